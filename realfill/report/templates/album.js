"use strict";
{
  const divider = document.getElementById("divider");
  const sliders = [...document.querySelectorAll("img-comparison-slider")];

  const tell = () => divider.setAttribute("aria-valuetext", `before ${divider.value} %, after ${100 - divider.value} %`);
  divider.addEventListener("input", () => {
    for (const slider of sliders) slider.value = divider.value;
    tell();
  });
  for (const slider of sliders) {
    slider.addEventListener("slide", () => {
      divider.value = slider.value;
      for (const other of sliders) if (other !== slider) other.value = slider.value;
      tell();
    });
  }
  tell();

  const said = document.getElementById("said");
  const copied = async (code) => {
    getSelection().selectAllChildren(code);
    if (!navigator.clipboard) return document.execCommand("copy");
    return navigator.clipboard.writeText(code.textContent).then(() => true, () => document.execCommand("copy"));
  };
  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", async () => {
      const done = await copied(button.previousElementSibling);
      said.textContent = done ? "Copied." : "Selected; press Ctrl+C.";
      button.classList.toggle("done", done);
      setTimeout(() => {
        said.textContent = "";
        button.classList.remove("done");
      }, 2000);
    });
  }
}
