"use strict";
{
  const find = document.getElementById("find");
  const order = document.getElementById("order");
  const states = [...document.querySelectorAll("input[name=state]")];
  const sections = [...document.querySelectorAll("section")].map((node) => ({
    node,
    list: node.querySelector("ul"),
    cards: [...node.querySelectorAll("li")].map((card) => ({
      node: card,
      name: card.querySelector("h3").textContent,
      text: card.textContent.normalize().toLowerCase(),
      scores: new Map([...card.querySelectorAll("data")].map((score) => [score.dataset.name, Number(score.value)])),
    })),
  }));
  const total = sections.reduce((sum, section) => sum + section.cards.length, 0);
  const collator = new Intl.Collator(undefined, { numeric: true });
  let sorted = "name";

  const state = () => states.find((input) => input.checked).value;

  const sort = () => {
    if (order.value === sorted) return;
    sorted = order.value;
    const key = (card) => card.scores.get(sorted) ?? Infinity;
    for (const { list, cards } of sections) {
      cards.sort((a, b) => key(a) - key(b) || collator.compare(a.name, b.name));
      list.append(...cards.map((card) => card.node));
    }
  };

  const filter = () => {
    const words = find.value.normalize().toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { node, cards } of sections) {
      const open = state() === "all" || state() === node.id;
      let here = 0;
      for (const card of cards) {
        card.node.hidden = !(open && words.every((word) => card.text.includes(word)));
        here += !card.node.hidden;
      }
      node.hidden = here === 0;
      shown += here;
    }
    document.getElementById("count").textContent = shown === total ? `${total} albums` : `${shown} of ${total} albums`;
    document.getElementById("nothing").hidden = shown > 0 || total === 0;
  };

  // The choice is kept in the address, so that the way back from an album leads to the same list.
  const remember = () => {
    const choice = new URLSearchParams();
    if (find.value) choice.set("find", find.value);
    if (state() !== "all") choice.set("show", state());
    if (order.value !== "name") choice.set("order", order.value);
    history.replaceState(null, "", `#${choice}`);
  };

  const recall = () => {
    const choice = new URLSearchParams(location.hash.slice(1));
    const has = (options, value) => options.some((option) => option.value === value);
    find.value = choice.get("find") ?? "";
    const show = choice.get("show") ?? (has(states, location.hash.slice(1)) ? location.hash.slice(1) : "all");
    for (const input of states) input.checked = input.value === (has(states, show) ? show : "all");
    order.value = has([...order.options], choice.get("order")) ? choice.get("order") : "name";
    update();
  };

  const update = () => {
    sort();
    filter();
  };

  const change = () => {
    update();
    remember();
  };

  find.addEventListener("input", change);
  order.addEventListener("change", change);
  for (const input of states) input.addEventListener("change", change);
  document.getElementById("reset").addEventListener("click", () => {
    find.value = "";
    states[0].checked = true;
    change();
    find.focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target === find) return;
    event.preventDefault();
    find.focus();
  });
  window.addEventListener("hashchange", recall);
  document.querySelector(".tools").hidden = total === 0;
  recall();
}
