"use strict";
{
  const viewer = document.getElementById("viewer");
  const [previousButton, nextButton, closeButton] = viewer.querySelectorAll("button");
  const image = new Image();
  viewer.prepend(image);
  let links = [];
  let current = 0;
  const show = (index) => {
    current = (index + links.length) % links.length;
    const link = links[current];
    image.src = link.href;
    image.alt = link.querySelector("img").alt.replace(/^Enlarge:? /, "");
    viewer.querySelector("p").textContent = link.parentElement.querySelector("h3, figcaption").innerText;
  };
  for (const link of document.querySelectorAll(".enlarge")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      links = [...link.closest("section").querySelectorAll(".enlarge")];
      previousButton.hidden = nextButton.hidden = links.length < 2;
      show(links.indexOf(link));
      viewer.showModal();
      closeButton.focus();
    });
  }
  previousButton.addEventListener("click", () => show(current - 1));
  nextButton.addEventListener("click", () => show(current + 1));
  closeButton.addEventListener("click", () => viewer.close());
  viewer.addEventListener("click", (event) => {
    if (event.target === viewer) viewer.close();
  });
  viewer.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) show(current + step);
  });
  viewer.addEventListener("close", () => links[current].focus());
}
