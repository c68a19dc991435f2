// The review: one album at a time, its layers, and what is decided about it.

import { albumPath, begin, decide, get } from "./api.js";
import { Drawing } from "./drawing.js";
import { KEYS, listen, singleKeys } from "./keys.js";
import { layerKey, Outdated, prepareFullSize, Viewer } from "./viewer.js";

const AHEAD = 2; // albums that are loaded ahead
const BLINK = 500; // milliseconds
const DWELL = 1500; // milliseconds that an album is looked at before it is made ready to be zoomed
const STATES = {
  doubtful: "look closely", changed: "made anew", new: "new", looked: "looked at", rejected: "rejected", approved: "approved",
};

const COMPARED = { // what is said to be shown beside the photo before
  blink: (name) => `Before, ${name}`,
  slider: (name) => `Before | ${name}`,
  difference: (name) => `Difference of before and ${name}`,
};

const byId = (id) => document.getElementById(id);
const all = (selector) => [...document.querySelectorAll(selector)];

const photo = new Viewer(byId("photo"));
const reference = new Viewer(byId("reference-photo"));
const drawing = new Drawing(byId("drawing"), photo, (tool, points) => drawn(tool, points));

let albums = []; // summaries, in the order of the review
let history = []; // decisions that can be undone, the last one last
let readOnly = false;
let index = -1;
let layer = null; // that is to be shown
let expected = ""; // key of the layer on top, when it is complete
let compare = ""; // "", "blink", "slider" or "difference"
let mode = ""; // "", "mask" or "lasso"
let erase = false;
let isHeld = false; // the photo before is shown
let lastRejected = null;
let place = -1; // number of the doubtful place
const details = new Map(); // promises of albums by name

const current = () => albums[index];
const album = () => current()?.details;
const find = (kind, number = 0) => album()?.layers.find((other) => other.kind === kind && other.number === number);
const base = () => find("choice") ?? find("after");
const isSame = (one, other) => one?.kind === other?.kind && one?.number === other?.number; // descriptions are renewed

// ---- Albums

function load(name, again = false) {
  if (again || !details.has(name)) {
    const promise = get(albumPath(name));
    promise.catch(() => details.delete(name));
    details.set(name, promise);
  }
  return details.get(name);
}

function update(fresh) {
  const summary = albums.find((other) => other.name === fresh.name);
  if (!summary) return;
  Object.assign(summary, fresh, { details: fresh });
  details.set(fresh.name, Promise.resolve(fresh));
  if (summary === current()) {
    showAlbum();
    if (layer && !isHeld) renew();
  }
  showList();
}

// Show the layer as it is by now, or another one where it is no more; it is decided about what is seen.
function renew() {
  const now = find(layer.kind, layer.number) ?? base();
  if (layerKey(album(), now) === layerKey(album(), layer)) showLayer();
  else show(now);
}

async function open(number) {
  if (!albums.length) return;
  leave();
  index = Math.min(Math.max(number, 0), albums.length - 1);
  const summary = current();
  delete document.body.dataset.shown;
  layer = null;
  expected = "";
  place = -1;
  photo.abandon(albums.slice(index, index + 1 + AHEAD).map((other) => other.name));
  location.replace(`#${encodeURIComponent(summary.name)}`);
  showAlbum();
  try {
    summary.details = await load(summary.name);
  } catch (error) {
    if (summary !== current()) return;
    photo.clear();
    warn(error.message);
    return;
  }
  if (summary !== current()) return;
  Object.assign(summary, summary.details);
  showAlbum();
  await show(base());
  if (summary === current()) loadAhead().catch(() => {}); // it is told when it is shown
}

async function loadAhead() {
  const next = albums.slice(index + 1, index + 1 + AHEAD);
  photo.keep([...albums.slice(Math.max(index - 1, 0), index + 1), ...next].map((other) => other.name));
  for (const summary of next) {
    const ahead = await load(summary.name).catch(() => null);
    if (!ahead) continue;
    summary.details = ahead;
    await photo.load(ahead, ahead.layers.find((other) => other.kind === "choice") ?? ahead.layers[0]);
  }
  const about = album();
  const best = about.layers.filter((other) => other.kind === "candidate").slice(0, AHEAD);
  for (const other of [find("before"), ...best]) if (about === album()) await photo.load(about, other);
  clearTimeout(loadAhead.timer);
  loadAhead.timer = setTimeout(() => {
    if (about === album()) for (const other of [base(), find("before")]) prepareFullSize(about, other);
  }, DWELL);
}

photo.onShown = (key) => {
  if (key !== expected) return;
  document.body.dataset.shown = album().name;
  document.body.dataset.layer = `${layer.kind}/${layer.number}`;
  drawing.settle();
  const isUnseen = album().state === "new" || (album().state === "changed" && !album().verdict);
  if (!readOnly && isUnseen) {
    current().state = album().state = "looked";
    decide(album(), "looked", true).result.catch(() => {});
  }
};

// ---- What is shown

async function show(wanted) {
  if (!wanted || !album()) return;
  const before = find("before");
  const pair = mode === "mask" ? [wanted, find("mask")] : compare && wanted !== before ? [before, wanted] : [wanted];
  layer = wanted;
  expected = layerKey(album(), pair.at(-1));
  delete document.body.dataset.layer;
  showLayer();
  try {
    if (await photo.show(album(), ...pair)) showComparison();
  } catch (error) {
    if (error instanceof Outdated) return;
    photo.clear();
    warn(error.message);
  }
}

function showComparison() {
  const item = photo.item;
  const isComparing = compare && layer?.kind !== "before" && mode !== "mask" && !isHeld && item;
  byId("stage").classList.toggle("difference", Boolean(isComparing) && compare === "difference");
  byId("divider").hidden = byId("divider-label").hidden = !(isComparing && compare === "slider");
  if (!isComparing) return;
  const share = byId("divider-place").value / 100;
  item.setCompositeOperation(compare === "difference" ? "difference" : "source-over");
  byId("divider").style.left = `${100 * share}%`;
  if (compare === "slider") photo.clipAbove(item, share);
}

setInterval(() => {
  if (compare !== "blink" || !photo.item || layer?.kind === "before" || isHeld) return;
  photo.item.setOpacity(photo.item.getOpacity() ? 0 : 1);
}, BLINK);

const label = (wanted) => {
  if (!wanted) return "";
  const isDelivered = wanted.kind === "candidate"
    && album().candidates.some((row) => row.candidate === wanted.number && row.delivered);
  return `${wanted.label}${isDelivered ? ", delivered" : ""}`;
};

const shownLayers = () => album()?.layers.filter((other) => !["reference", "mask"].includes(other.kind)) ?? [];

function showLayer() {
  const isCompared = compare && mode !== "mask" && layer?.kind !== "before";
  tell("shows", isCompared ? COMPARED[compare](label(layer)) : label(layer));
  let rank = 0;
  const focused = document.activeElement.dataset.shows;
  byId("layers").replaceChildren(...shownLayers().map((other) => {
    const button = document.createElement("button");
    button.type = "button";
    if (other.kind === "candidate") {
      rank += 1;
      if (rank < 10) button.setAttribute("aria-keyshortcuts", rank);
    }
    button.textContent = other.kind === "candidate" && rank < 10 ? `${rank}: ${other.label}` : other.label;
    button.setAttribute("aria-pressed", isSame(other, layer));
    button.dataset.shows = `${other.kind}/${other.number}`;
    button.addEventListener("click", () => show(other));
    return button;
  }));
  if (focused) byId("layers").querySelector(`[data-shows="${focused}"]`)?.focus();
  for (const button of all("[data-compare]")) button.setAttribute("aria-pressed", button.dataset.compare === compare);
  byId("tools").hidden = mode !== "mask";
  for (const name of ["mask", "lasso"]) byAction(name).setAttribute("aria-pressed", mode === name);
  byAction("erase").setAttribute("aria-pressed", erase);
  for (const button of all("[data-tool]")) button.setAttribute("aria-pressed", button.dataset.tool === drawing.tool);
  byAction("pick").disabled = layer?.kind !== "candidate";
}

const byAction = (name) => document.querySelector(`[data-action=${name}]`);

function showAlbum() {
  const summary = current();
  document.title = `${summary.name} – Review`;
  tell("name", summary.name);
  const choice = [
    summary.candidate !== null && `candidate ${summary.candidate}`,
    summary.regions && `${summary.regions} part${summary.regions > 1 ? "s" : ""} from other candidates`,
    summary.strokes && `mask repainted (${summary.strokes})`,
  ].filter(Boolean).join(", ");
  const takenBack = summary.pending && !choice ? "a choice is taken back" : "";
  byId("about").textContent = [
    `${index + 1} of ${albums.length}`, STATES[summary.state], summary.reason, summary.sentence,
    (choice || takenBack) && `${choice || takenBack}${summary.pending ? ", not applied yet" : ""}`,
  ].filter(Boolean).join(" · ");
  if (document.activeElement !== byId("note")) byId("note").value = summary.note;
  byAction("undo").disabled = readOnly || !history.length;
  const names = album()?.layers.filter((other) => other.kind === "reference") ?? [];
  const select = byId("reference-name");
  const chosen = select.dataset.album === summary.name ? Number(select.value) : 0;
  select.replaceChildren(...names.map((other) => new Option(other.label, other.number, false, other.number === chosen)));
  select.dataset.album = summary.name;
  if (!byId("reference").hidden) showReference();
}

function showList() {
  const decided = albums.filter((summary) => summary.verdict).length;
  byId("progress").textContent = `${decided} of ${albums.length} decided`;
  if (byId("list").hidden) return;
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = albums.filter((summary) => {
    const text = `${summary.name} ${STATES[summary.state]} ${summary.note}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  byId("albums").replaceChildren(...shown.map((summary) => {
    const row = document.createElement("li");
    const button = document.createElement("button");
    const state = document.createElement("small");
    button.type = "button";
    button.append(summary.name, state);
    state.textContent = STATES[summary.state];
    if (summary === current()) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => open(albums.indexOf(summary)));
    row.append(button);
    return row;
  }));
}

// ---- References

async function showReference() {
  const wanted = find("reference", Number(byId("reference-name").value || 0));
  if (!wanted || byId("reference").hidden) return;
  await reference.show(album(), wanted);
  reference.keep([album().name]);
  follow();
}

function follow() {
  if (!byId("reference").hidden && photo.item && reference.item) reference.moveTo(photo.place());
}

reference.onResize = follow; // what was shown at once has no size yet

photo.onMove = () => {
  follow();
  showComparison();
  drawing.draw();
};

// ---- Decisions

// Whether what is decided about is what is seen: completely, and nothing else.
const isShown = () => {
  const { shown, layer: seen } = document.body.dataset;
  return !readOnly && !mode && !isHeld && album() && shown === album().name && seen === `${layer.kind}/${layer.number}`;
};

function send(subject, value, about = album()) {
  if (readOnly) return null;
  const summary = albums.find((other) => other.name === about.name);
  const { id, result } = decide(about, subject, value);
  history.push({ id, album: about.name });
  byAction("undo").disabled = false;
  result.then(update, (error) => {
    history = history.filter((entry) => entry.id !== id);
    Object.assign(summary, { state: about.state, verdict: about.verdict });
    if (lastRejected?.name === about.name) explain("");
    warn(`${about.name}: ${error.message}`);
    load(about.name, true).then((fresh) => update(fresh), () => {});
    if (summary !== current()) open(albums.indexOf(summary));
  });
  return result;
}

function judge(verdict) {
  if (!isShown()) {
    if (!readOnly && !isHeld) say(mode ? "Leave the mask or the lasso first: Esc." : "Wait until the photo is shown.");
    return;
  }
  const summary = current();
  const about = album();
  if (verdict === "approved") takeShown();
  send("verdict", { verdict, reason: "" }, about);
  summary.state = summary.verdict = verdict;
  lastRejected = verdict === "rejected" ? about : null;
  byId("reasons").hidden = !lastRejected;
  byId("rejected").textContent = lastRejected ? `${about.name} is rejected. Why?` : "";
  say(`${about.name}: ${verdict}`);
  showList();
  if (index + 1 < albums.length) open(index + 1);
  else say(`${about.name}: ${verdict}. This was the last album; ${undecided()}.`);
}

const undecided = () => {
  const count = albums.filter((summary) => !summary.verdict).length;
  return count ? `${count} of ${albums.length} are not decided` : "all are decided";
};

// Choose what is shown: a candidate, or the photo as it was delivered, where another choice was made.
function takeShown() {
  const delivered = album().candidates.find((row) => row.delivered)?.candidate;
  const isOther = layer.kind === "candidate" || (layer.kind === "after" && find("choice"));
  if (!isOther) return;
  const number = layer.kind === "candidate" ? layer.number : delivered;
  const summary = current();
  if ((summary.candidate ?? delivered) !== number) send("pick", { candidate: number });
  const regions = layer.kind === "after" ? album().deliveredRegions : [];
  if (summary.regions || regions.length) for (const region of [null, ...regions]) send("region", region);
}

function explain(reason) {
  if (lastRejected && reason) {
    const { latest } = albums.find((other) => other.name === lastRejected.name).details;
    send("verdict", { verdict: "rejected", reason }, { ...lastRejected, latest });
  }
  byId("reasons").hidden = true;
  byId("reason").value = "";
  lastRejected = null;
}

function pick() {
  if (layer?.kind !== "candidate" || !isShown()) return;
  send("pick", { candidate: layer.number })?.then(() => show(base()), () => {});
}

function undo() {
  if (readOnly || !history.length) return;
  const entry = history.pop();
  const number = albums.findIndex((other) => other.name === entry.album);
  if (number < 0) { undo(); return; }
  const { result } = decide(albums[number], "undo", entry.id);
  result.then((fresh) => {
    update(fresh);
    if (number !== index) open(number);
    else show(mode === "mask" ? layer : base());
  }, (error) => warn(error.message));
  if (lastRejected?.name === entry.album) explain("");
  say(`${entry.album}: undone`);
}

function drawn(tool, points) {
  if (mode === "lasso") {
    if (layer?.kind !== "candidate") { explainLasso(); drawing.settle(); return; }
    send("region", { candidate: layer.number, polygon: points })?.then(() => { leave(); show(base()); }, () => drawing.settle());
    return;
  }
  const [left, top] = album().photoBox;
  sendStroke({ tool, erase, radius: tool === "brush" ? drawing.radius : 0, points: points.map(([x, y]) => [x - left, y - top]) });
}

function sendStroke(stroke) {
  const shown = layer;
  if (current().candidate !== null || current().regions) warn("A new mask has new candidates: those that you chose are taken back. Ctrl+Z brings them again.");
  send("stroke", stroke)?.then(() => { if (mode === "mask") show(shown.kind === "choice" ? base() : shown); }, () => drawing.settle());
}

// ---- Modes

function leave() {
  mode = "";
  drawing.hide();
  isHeld = false;
}

function toggle(name) {
  if (readOnly || !album()) return;
  const isOn = mode === name;
  leave();
  if (!isOn) {
    mode = name;
    drawing.open(name === "lasso" ? "polygon" : "brush");
    if (name === "lasso") explainLasso();
  }
  show(layer);
}

function explainLasso() {
  say(layer?.kind === "candidate" ? `Draw around the part that ${layer.label} is to show.` : "Show a candidate first: 1 to 9.");
}

function setCompare(name) {
  compare = compare === name ? "" : name;
  show(layer);
}

function setTool(tool) {
  drawing.open(tool);
  showLayer();
}

function setRadius(radius) {
  drawing.radius = Math.min(Math.max(Math.round(radius), 1), 200);
  byId("radius").value = byId("radius-value").value = drawing.radius;
  drawing.draw();
}

function hold(on) {
  if (on === isHeld || !find("before")) return;
  isHeld = on;
  const shown = layer;
  if (!on) { show(shown); return; }
  photo.show(album(), find("before")).then(showComparison, () => {});
  tell("shows", "Before");
}

function step(by) {
  const layers = shownLayers();
  const number = layers.findIndex((other) => isSame(other, layer));
  show(layers[(number + by + layers.length) % layers.length]);
}

function showCandidate(rank) {
  if (rank === 0) { show(base()); return; }
  const candidate = album()?.candidates[rank - 1];
  if (candidate) show(find("candidate", candidate.candidate));
}

function nextPlace() {
  const places = album()?.doubtful ?? [];
  if (!places.length) { say("Nothing of this photo is generated or uncertain."); return; }
  place = (place + 1) % places.length;
  const [x, y] = places[place];
  photo.zoomIn({ x: x + 0.5, y: y + 0.5 });
  say(`Doubtful place ${place + 1} of ${places.length}`);
}

function toggleList(on = byId("list").hidden) {
  byId("list").hidden = !on;
  byAction("list").setAttribute("aria-expanded", on);
  showList();
  if (on) byId("search").focus();
}

function escape() {
  byId("reason").value = ""; // else it is sent as it loses the focus
  document.activeElement.blur();
  if (mode) {
    leave();
    show(layer);
  } else if (!byId("list").hidden) toggleList(false);
  else explain("");
}

function toggleReference() {
  byId("reference").hidden = !byId("reference").hidden;
  byAction("reference").setAttribute("aria-pressed", !byId("reference").hidden);
  showReference();
}

// ---- Messages

// Set what screen readers announce, unless it is there already.
function tell(id, text) {
  if (byId(id).textContent !== text) byId(id).textContent = text;
}

function say(text) {
  byId("message").className = "";
  byId("message").textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { byId("message").textContent = ""; }, 2500);
}

function warn(text) {
  say(text);
  clearTimeout(say.timer);
  byId("message").className = "warning";
}

// ---- Applying and delivering

const JOBS = { apply: "applying", deliver: "delivering" };

async function watch(job, state) {
  const status = byId(JOBS[job]);
  if (state.running) {
    status.textContent = `${job === "apply" ? "Applying" : "Delivering"}: ${state.album || "…"}`;
    setTimeout(() => report(job, get("/api/albums").then((fresh) => fresh[JOBS[job]])), 1000);
    return;
  }
  const problems = Object.entries(state.problems).map(([name, error]) => `${name}: ${error}`);
  status.textContent = [state.report, ...problems].join(". ");
  await refresh();
}

// Show how a job stands, or why that is not known.
const report = (job, state) => state.then((known) => watch(job, known)).catch((error) => {
  byId(JOBS[job]).textContent = error.message;
});

async function refresh() {
  const fresh = await get("/api/albums");
  for (const summary of fresh.albums) {
    const known = albums.find((other) => other.name === summary.name);
    if (known && JSON.stringify({ ...known, details: 0 }) !== JSON.stringify({ ...known, ...summary, details: 0 })) {
      details.delete(summary.name);
      Object.assign(known, summary);
      if (known === current()) load(summary.name).then((one) => { update(one); show(base()); }, () => {});
    } else if (!known) albums.push(summary);
  }
  showList();
}

// ---- Keys and buttons

const ACTIONS = {
  previous: () => open(index - 1),
  next: () => open(index + 1),
  undo,
  list: () => toggleList(),
  help: () => byId("help").showModal(),
  close: () => byId("help").close(),
  dismiss: () => explain(""),
  approve: () => judge("approved"),
  reject: () => judge("rejected"),
  pick,
  mask: () => toggle("mask"),
  lasso: () => toggle("lasso"),
  erase: () => { erase = !erase; showLayer(); },
  grow: () => sendStroke({ tool: "grow", erase: false, radius: 4, points: [] }),
  shrink: () => sendStroke({ tool: "grow", erase: true, radius: 4, points: [] }),
  zoom: () => photo.toggleZoom(),
  doubtful: nextPlace,
  reference: toggleReference,
  ...Object.fromEntries(Object.keys(JOBS).map((job) => [job, () => report(job, begin(job))])),
};

const once = (action) => (event) => { if (!event.repeat) action(); };
const inMask = (action, otherwise) => () => (mode === "mask" ? action() : otherwise?.());

listen({
  ArrowLeft: ACTIONS.previous,
  ArrowRight: ACTIONS.next,
  ArrowUp: () => step(-1),
  ArrowDown: () => step(1),
  " ": once(() => hold(true)),
  a: once(ACTIONS.approve),
  x: once(ACTIONS.reject),
  c: once(pick),
  z: ACTIONS.zoom,
  n: nextPlace,
  b: inMask(() => setTool("brush"), () => setCompare("blink")),
  p: inMask(() => setTool("polygon")),
  e: inMask(ACTIONS.erase),
  g: inMask(ACTIONS.grow),
  "Shift+g": inMask(ACTIONS.shrink),
  "[": () => setRadius(drawing.radius / 1.25 - 0.5),
  "]": () => setRadius(drawing.radius * 1.25 + 0.5),
  s: () => setCompare("slider"),
  d: () => setCompare("difference"),
  r: toggleReference,
  m: ACTIONS.mask,
  l: ACTIONS.lasso,
  "Ctrl+z": undo,
  "/": () => toggleList(true),
  "?": ACTIONS.help,
  Enter: () => { if (mode) drawing.close(); else if (lastRejected) byId("reason").focus(); },
  Escape: escape,
  ...Object.fromEntries([...Array(10).keys()].map((rank) => [String(rank), () => showCandidate(rank)])),
}, (event) => { if (!event || event.key === " ") hold(false); });

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (event.detail) button?.blur(); // a click of the mouse: the space bar shall show the photo before, not click again
  if (button?.dataset.action) ACTIONS[button.dataset.action]();
  if (button?.dataset.compare) setCompare(button.dataset.compare);
  if (button?.dataset.tool) setTool(button.dataset.tool);
  if (button?.dataset.reason) explain(button.dataset.reason);
});
byId("search").addEventListener("input", showList);
byId("note").addEventListener("change", () => send("note", byId("note").value));
byId("reason").addEventListener("change", () => explain(byId("reason").value));
byId("radius").addEventListener("input", () => setRadius(byId("radius").value));
byAction("dismiss").addEventListener("pointerdown", () => { byId("reason").value = ""; });
byId("divider-place").addEventListener("input", showComparison);
byId("reference-name").addEventListener("change", () => { byId("reference-name").blur(); showReference(); });
byId("single-keys").addEventListener("change", () => { singleKeys.on = byId("single-keys").checked; });
addEventListener("visibilitychange", () => { if (!document.hidden) refresh().catch(() => {}); });
addEventListener("hashchange", () => openNamed());

function openNamed() {
  const name = decodeURIComponent(location.hash.slice(1));
  const number = albums.findIndex((summary) => summary.name === name);
  if (number >= 0 && number !== index) open(number);
  return number >= 0;
}

async function start() {
  byId("single-keys").checked = singleKeys.on;
  document.querySelector("#help dl").replaceChildren(...KEYS.flatMap(([keys, meaning]) => {
    const term = document.createElement("dt");
    const description = document.createElement("dd");
    term.append(Object.assign(document.createElement("kbd"), { textContent: keys }));
    description.textContent = meaning;
    return [term, description];
  }));
  const state = await get("/api/albums");
  ({ albums, history, readOnly } = state);
  for (const part of all(".decides")) part.hidden = readOnly;
  byId("gallery").hidden = !state.gallery;
  showList();
  for (const [job, name] of Object.entries(JOBS)) if (state[name].running) watch(job, state[name]);
  if (!albums.length) { byId("about").textContent = "No album is finished yet."; return; }
  if (!openNamed()) open(0);
}

start().catch((error) => warn(error.message));
