// Keys: which one does what, and when they are silent.

const TEXT = "input:not([type=range]):not([type=checkbox]), textarea, select, [contenteditable]";
const SETTING = "realfill-single-keys";

// Name, keys as they are shown, and what they do.
export const KEYS = [
  ["← →", "previous, next album"],
  ["A", "approve what is shown, and go on"],
  ["X", "reject, and go on; after it Enter, to write a reason"],
  ["1 to 9", "candidates, the best first; 0: the photo"],
  ["C", "use the candidate that is shown"],
  ["Space", "the photo before, while it is held"],
  ["↑ ↓", "layers"],
  ["Z", "fit the window, or 100 % at the pointer"],
  ["N", "next doubtful place"],
  ["B, S, D", "blink, slider, difference with the photo before"],
  ["R", "references beside the photo"],
  ["M", "repaint the mask: B brush, P polygon, E erase, G grow, Shift+G shrink, [\u00a0] size; drag with Shift to move"],
  ["L", "lasso: this part from the candidate that is shown"],
  ["Ctrl+Z", "undo, also over albums"],
  ["/", "list and search of albums"],
  ["Esc", "leave the mask, the lasso, the list, the reason"],
  ["?", "this help"],
];

export const singleKeys = {
  get on() { return localStorage.getItem(SETTING) !== "off"; },
  set on(value) { localStorage.setItem(SETTING, value ? "on" : "off"); },
};

// Call handlers[key](event) for keys; "Ctrl+z" is one, letters are lower case, with "Shift+" where it is held.
export function listen(handlers, onRelease) {
  addEventListener("keydown", (event) => {
    if (event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
    const inText = event.target.matches?.(TEXT);
    const control = event.ctrlKey || event.metaKey;
    if (inText && event.key !== "Escape") return;
    if (!control && !singleKeys.on && event.key.length === 1) return;
    if (event.target.matches?.("button, a, input, summary") && ["Enter", " "].includes(event.key)) return;
    if (event.target.matches?.("input[type=range]") && event.key.startsWith("Arrow")) return;
    const letter = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const isShifted = event.shiftKey && /^[a-z]$/.test(letter);
    const handler = handlers[`${control ? "Ctrl+" : ""}${isShifted ? "Shift+" : ""}${letter}`];
    if (!handler) return;
    event.preventDefault();
    event.stopPropagation();
    handler(event);
  }, true);
  addEventListener("keyup", (event) => onRelease(event), true);
  addEventListener("blur", () => onRelease(null));
}
