"use strict";
{
  const viewer = document.getElementById("viewer");
  const [previous, next, close] = viewer.querySelectorAll("button");
  const shown = new Image();
  viewer.prepend(shown);
  let pictures = [];
  let at = 0;
  const show = (index) => {
    at = (index + pictures.length) % pictures.length;
    const image = pictures[at].querySelector("img");
    shown.src = pictures[at].href;
    shown.alt = image.alt.replace(/^Enlarge:? /, "");
    viewer.querySelector("p").textContent = pictures[at].parentElement.querySelector("h3, figcaption").innerText;
  };
  for (const link of document.querySelectorAll(".enlarge")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      pictures = [...link.closest("section").querySelectorAll(".enlarge")];
      previous.hidden = next.hidden = pictures.length < 2;
      show(pictures.indexOf(link));
      viewer.showModal();
      close.focus();
    });
  }
  previous.addEventListener("click", () => show(at - 1));
  next.addEventListener("click", () => show(at + 1));
  close.addEventListener("click", () => viewer.close());
  viewer.addEventListener("click", (event) => {
    if (event.target === viewer) viewer.close();
  });
  viewer.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) show(at + step);
  });
  viewer.addEventListener("close", () => pictures[at].focus());
}
