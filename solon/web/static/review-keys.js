// Keys. A single key acts only where it cannot be typing: not in a text field, a select or a dialog, not with Ctrl, Alt
// or Meta, not while an input method composes; and not where the person has turned single keys off.

const TEXT = "input:not([type=radio]):not([type=checkbox]):not([type=button]), textarea, select, [contenteditable]";

/** The setting's name, for all pages of a run, and its words. */
export const OFF = "keys off";
export const OFF_LABEL = "Single keys do nothing: only Tab, the arrow keys, Space, Enter and Escape act";

/**
 * Listens for keys and calls `act(name, argument)`; while `off()`, only for Enter. Digits go by their place on the keyboard, because some layouts
 * have them under Shift; letters by what they write.
 */
export function keys(act, off) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.isComposing || event.keyCode === 229) return;
    if (event.target.closest?.(TEXT) || document.querySelector("dialog[open]")) return;
    if (off() && event.key !== "Enter") return;
    const named = meant(event);
    if (!named || event.repeat) return;
    event.preventDefault();
    act(...named);
  });
}

function meant(event) {
  const digit = /^(?:Digit|Numpad)([1-4])$/.exec(event.code)?.[1];
  if (digit && event.shiftKey) return ["strength", Number(digit)];
  if (digit === "1" || digit === "2") return ["choose", digit];
  const focused = event.target.closest?.("button, a, summary, input");
  if (event.key === "Enter") return focused && !focused.matches("input") ? null : ["save"];
  if (event.key === "?") return ["help"];
  if (event.shiftKey) return null;
  return LETTERS[event.key.toLowerCase()] ?? null;
}

const LETTERS = {
  t: ["choose", "tie"], g: ["choose", "both good"], b: ["choose", "both bad"],
  s: ["skip"], e: ["edit"], f: ["flag"], d: ["diff"], r: ["rationale"], u: ["undo"], p: ["principles"], l: ["guidelines"],
};
