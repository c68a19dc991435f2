"use strict";
{
  const dividerInput = document.getElementById("divider");
  const sliders = [...document.querySelectorAll("img-comparison-slider")];

  const updateValueText = () => {
    const before = dividerInput.value;
    dividerInput.setAttribute("aria-valuetext", `before ${before} %, after ${100 - before} %`);
  };
  dividerInput.addEventListener("input", () => {
    for (const slider of sliders) slider.value = dividerInput.value;
    updateValueText();
  });
  for (const slider of sliders) {
    slider.addEventListener("slide", () => {
      dividerInput.value = slider.value;
      for (const other of sliders) if (other !== slider) other.value = slider.value;
      updateValueText();
    });
  }
  updateValueText();

  if (location.pathname.startsWith("/review/")) { // served by `realfill review`, which serves no full-size files
    const button = document.querySelector("header .button");
    button.href = `/#${encodeURIComponent(document.querySelector("h1").textContent)}`;
    button.textContent = "Review";
  }

  const status = document.getElementById("status");
  const copyText = async (code) => {
    getSelection().selectAllChildren(code);
    if (!navigator.clipboard) return document.execCommand("copy");
    return navigator.clipboard.writeText(code.textContent).then(() => true, () => document.execCommand("copy"));
  };
  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", async () => {
      const isCopied = await copyText(button.previousElementSibling);
      status.textContent = isCopied ? "Copied." : "Selected; press Ctrl+C.";
      button.classList.toggle("copied", isCopied);
      setTimeout(() => {
        status.textContent = "";
        button.classList.remove("copied");
      }, 2000);
    });
  }
}
