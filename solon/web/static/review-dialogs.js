// Dialogs of the review page: skip, flag, guidelines, help. Each gives a promise of what was said, null where it was closed.

import { el, replace } from "./kit.js";

const REASONS = [
  "I do not know enough about the subject",
  "A text is broken, cut off or in a language that I do not read",
  "It does not fit the guidelines or the principle",
  "I would rather not read this",
];
const LONGEST = 240; // characters

function modal(title, content, { must = false } = {}) {
  const form = el("form", { method: "dialog" }, el("h2", { id: "dialog-title" }, title), content);
  const dialog = el("dialog", { "aria-labelledby": "dialog-title" }, form);
  dialog.addEventListener("cancel", (event) => { if (must) event.preventDefault(); });
  // A browser lets a second Escape through, whatever the page says of the first.
  if (must) dialog.addEventListener("keydown", (event) => { if (event.key === "Escape") event.preventDefault(); });
  document.body.append(dialog);
  return { dialog, form, shown: () => new Promise((resolve) => {
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue); });
    dialog.showModal();
  }) };
}

const button = (label, value, tone = null, more = {}) => el("button", { type: "submit", value, class: tone, ...more }, label);
const closing = (label) => el("button", { type: "button", class: "quiet", on: { click: (event) => event.target.closest("dialog").close("") } }, label);

/** The reason for a skip, or null. With `keys` a digit chooses: 1 to 4 a reason that is there, 5 or O one's own. */
export async function askSkip({ keys }) {
  const other = el("input", { type: "text", maxlength: LONGEST, "aria-label": "Another reason", placeholder: "Another reason",
    on: { input: () => { if (other.value) choices.at(-1).checked = true; } } });
  const choices = [...REASONS, ""].map((reason, index) => el("input", { type: "radio", name: "reason", value: reason, id: `reason-${index + 1}`,
    "aria-keyshortcuts": index + 1, on: { change: () => replace(wrong) } }));
  const digit = (index) => el("kbd", { "aria-hidden": "true" }, index + 1);
  const given = REASONS.map((reason, index) => el("label", { class: "check" }, choices[index], digit(index), el("span", {}, reason)));
  const own = choices.at(-1);
  const wrong = el("p", { class: "wrong", role: "alert" });
  const { form, shown } = modal("Why do you skip this item?", [
    el("fieldset", { class: "stack" }, el("legend", { class: "visually-hidden" }, "Reason"), given,
      el("div", { class: "own-reason" }, el("label", { class: "check", for: own.id }, own, digit(REASONS.length), el("span", { class: "visually-hidden" }, "Another reason")), other)),
    wrong,
    el("div", { class: "actions" }, button("Skip", "skip", "main"), closing("Back to the item")),
  ]);
  form.addEventListener("keydown", (event) => { if (keys && chosenBy(event, choices, other)) event.preventDefault(); });
  form.addEventListener("submit", (event) => {
    if (choices.some((one) => one.checked) && (!own.checked || other.value.trim())) return;
    event.preventDefault();
    replace(wrong, own.checked ? "Write your reason, or choose another one" : `Nothing chosen yet: ${keys ? `press 1 to ${choices.length}` : "choose a reason"}`);
    if (own.checked) other.focus();
  });
  if ((await shown()) !== "skip") return null;
  return new FormData(form).get("reason") || other.value.trim();
}

/** Whether the key chose a reason. Digits go by their place on the keyboard; in the own reason all keys write. */
function chosenBy(event, choices, other) {
  if (event.target === other || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey || event.isComposing) return false;
  const index = event.key.toLowerCase() === "o" ? choices.length - 1 : Number(/^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1]) - 1;
  const choice = choices[index];
  if (!choice) return false;
  choice.checked = true;
  choice.dispatchEvent(new Event("change"));
  (choice.value ? choice : other).focus();
  return true;
}

/**
 * The note of a flag ("" takes the flag away), or null. `unsent` is what was written and not given, "" where nothing was;
 * `typed(text)` is called as the person writes ("": as it was), so that closing the dialog loses nothing.
 */
export async function askFlag(note, unsent, typed) {
  const text = el("textarea", { maxlength: LONGEST, rows: 3, required: true, autofocus: true, "aria-label": "What should somebody look at?",
    on: { input: () => typed(text.value === note ? "" : text.value) } });
  text.value = unsent || note;
  const { form, shown } = modal("Flag this item", [
    el("p", {}, "Tell the lead what somebody should look at. The flag is saved together with your label. Esc closes; what you wrote is kept for this item."), text,
    el("div", { class: "actions" }, button("Flag", "flag", "main"),
      note ? button("Take the flag away", "none", null, { formnovalidate: true }) : null, closing("Back to the item")),
  ]);
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit(form.querySelector("button.main"));
    }
  });
  const said = await shown();
  if (said === "none") return "";
  return said === "flag" ? text.value.trim() || null : null;
}

/** Shows the guidelines; where they are new, they must be acknowledged, and nothing but that closes them. */
export async function showGuidelines({ version, text }, isNew) {
  const { shown } = modal(isNew ? (version > 1 ? "The guidelines have changed" : "Guidelines") : "Guidelines", [
    el("p", { class: "soft" }, `Version ${version}`),
    el("div", { class: "text", dir: "auto" }, text),
    el("div", { class: "actions" }, button(isNew ? "I have read them" : "Close", "read", "main", { autofocus: true })),
  ], { must: isNew });
  await shown();
}

const HELP = [
  ["1  2", "the first, the second completion is better; pressed again: by how much"],
  ["T  G  B", "tie, both good, both bad"],
  ["Shift+1 … Shift+4", "slightly, somewhat, clearly, by far"],
  ["Tab", "to the strengths and all other controls; the arrow keys move within choices and strengths"],
  ["Enter", "save, and go to the next item (Ctrl+Enter from the rationale)"],
  ["R", "write a rationale; Esc leaves it"],
  ["D", "mark the words that only one of two related completions has"],
  ["E", "edit a completion: your version becomes a candidate"],
  ["S  F", "skip the item (1 to 5 choose the reason, Enter skips), flag it"],
  ["U", "undo: the last item comes back, with what you said"],
  ["P  L", "principles, guidelines"],
  ["?", "this help"],
];

/** The keys, and the settings: `settings` are [{label, value, set}]. */
export async function showHelp(settings) {
  const { shown } = modal("Keys and settings", [
    el("dl", { class: "keys" }, HELP.map(([names, does]) => el("div", {},
      el("dt", {}, names.split("  ").map((name) => [el("kbd", {}, name), " "])), el("dd", {}, does)))),
    settings.map(({ label, value, set }) => el("label", { class: "check" },
      el("input", { type: "checkbox", checked: value, on: { change: (event) => set(event.target.checked) } }), label)),
    el("div", { class: "actions" }, button("Close", "close", "main", { autofocus: true })),
  ]);
  await shown();
}
