"use strict";
{
  const searchInput = document.getElementById("search");
  const sortSelect = document.getElementById("sort");
  const stateInputs = [...document.querySelectorAll("input[name=state]")];
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
  if (location.pathname === "/review/gallery/index.html") { // served by `realfill review`
    for (const { node, name } of sections.flatMap(({ cards }) => cards)) {
      if (!node.querySelector("h3 a")) continue;
      const link = document.createElement("a");
      link.className = "review-link";
      link.href = `/#${encodeURIComponent(name)}`;
      link.textContent = "Review";
      node.append(link);
    }
  }
  const total = sections.reduce((sum, section) => sum + section.cards.length, 0);
  const collator = new Intl.Collator(undefined, { numeric: true });
  let sortKey = "name";

  const selectedState = () => stateInputs.find((input) => input.checked).value;

  const sort = () => {
    if (sortSelect.value === sortKey) return;
    sortKey = sortSelect.value;
    const score = (card) => card.scores.get(sortKey) ?? Infinity;
    for (const { list, cards } of sections) {
      cards.sort((a, b) => score(a) - score(b) || collator.compare(a.name, b.name));
      list.append(...cards.map((card) => card.node));
    }
  };

  const filter = () => {
    const words = searchInput.value.normalize().toLowerCase().split(/\s+/).filter(Boolean);
    let visible = 0;
    for (const { node, cards } of sections) {
      const isSelected = selectedState() === "all" || selectedState() === node.id;
      let visibleHere = 0;
      for (const card of cards) {
        card.node.hidden = !(isSelected && words.every((word) => card.text.includes(word)));
        visibleHere += !card.node.hidden;
      }
      node.hidden = visibleHere === 0;
      visible += visibleHere;
    }
    document.getElementById("count").textContent =
      visible === total ? `${total} albums` : `${visible} of ${total} albums`;
    document.getElementById("no-match").hidden = visible > 0 || total === 0;
  };

  const update = () => {
    sort();
    filter();
  };

  // The search, the state and the sort key are kept in the URL, so that going back from an album restores the list.
  const saveToUrl = () => {
    const values = new URLSearchParams();
    if (searchInput.value) values.set("search", searchInput.value);
    if (selectedState() !== "all") values.set("show", selectedState());
    if (sortSelect.value !== "name") values.set("sort", sortSelect.value);
    history.replaceState(null, "", `#${values}`);
  };

  const restoreFromUrl = () => {
    const hash = location.hash.slice(1);
    const values = new URLSearchParams(hash);
    const has = (options, value) => options.some((option) => option.value === value);
    const state = values.get("show") ?? hash; // links such as #failed name a state alone
    searchInput.value = values.get("search") ?? "";
    for (const input of stateInputs) input.checked = input.value === (has(stateInputs, state) ? state : "all");
    sortSelect.value = has([...sortSelect.options], values.get("sort")) ? values.get("sort") : "name";
    update();
  };

  const handleInput = () => {
    update();
    saveToUrl();
  };

  searchInput.addEventListener("input", handleInput);
  sortSelect.addEventListener("change", handleInput);
  for (const input of stateInputs) input.addEventListener("change", handleInput);
  document.getElementById("reset").addEventListener("click", () => {
    searchInput.value = "";
    stateInputs[0].checked = true;
    handleInput();
    searchInput.focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target === searchInput) return;
    event.preventDefault();
    searchInput.focus();
  });
  window.addEventListener("hashchange", restoreFromUrl);
  document.querySelector(".tools").hidden = total === 0;
  restoreFromUrl();
}
