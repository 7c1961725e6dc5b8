// Editing a completion in its place, with the other one and the principles still in sight.

import { ask, el } from "./kit.js";

const LONGEST = 20000; // characters, as the server has it

/**
 * Opens an editor over a side's text. `draft` is an unsaved version, or undefined. `typed(text)` is called as the person
 * types (null: it is as it was), `save(text)` with the version to save, `closed(discard)` when the editor is closed without saving:
 * Escape keeps what is written as a draft, and only a question throws it away.
 */
export function openEditor(side, draft, { typed, save, closed }) {
  const area = el("textarea", { class: "editor", maxlength: LONGEST, "aria-label": `Your version of the ${side.name.toLowerCase()} completion`, dir: "auto" });
  area.value = draft ?? side.text;
  const done = el("button", { type: "button", class: "main", on: { click: () => submit() } }, "Save version");
  const away = el("button", { type: "button", on: { click: discard } }, "Discard");
  const buttons = el("div", { class: "actions" }, away, done); // in the heading, which stays in sight
  const box = el("div", { class: "editing" },
    el("p", { class: "soft" }, "Your version is kept beside this one and becomes a candidate. Esc closes; what you wrote is kept, and E opens it again."), area);
  area.addEventListener("input", () => {
    typed(area.value === side.text ? null : area.value);
    look();
  });
  for (const part of [box, buttons]) part.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Escape") close(false);
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit();
    else return;
    event.preventDefault();
  });

  function look() {
    done.disabled = area.value === side.text || area.value.trim() === "";
  }
  function submit() {
    if (!done.disabled) save(area.value);
  }
  async function discard() {
    const sure = area.value === side.text || await ask("Discard your version?", "What you wrote is thrown away.",
      [{ label: "Keep it", value: false }, { label: "Discard it", value: true, class: "danger" }]);
    if (sure && box.isConnected) close(true);
    else area.focus({ preventScroll: true });
  }
  function close(discard) {
    remove();
    closed(discard);
    side.edit.focus();
  }
  function remove() {
    box.remove();
    buttons.remove();
    side.body.hidden = false;
    side.edit.hidden = false;
  }

  side.body.hidden = true;
  side.edit.hidden = true;
  side.body.after(box);
  side.head.append(buttons);
  look();
  area.setSelectionRange(0, 0);
  area.focus({ preventScroll: true }); // the person goes on where they were reading
  function busy(on) {
    for (const button of [done, away]) button.disabled = on;
    area.readOnly = on;
    if (!on) look();
  }
  return { remove, busy, focus: () => area.focus() };
}

/** What stands above a completion once the person's own version of it is saved. */
export function savedVersion(text) {
  return el("details", { class: "version" }, el("summary", {}, "Your version is saved: it becomes a candidate"),
    el("div", { class: "text", dir: "auto" }, text));
}
