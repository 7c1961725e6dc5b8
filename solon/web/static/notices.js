// What a page says to the person: live regions that a screen reader reads out, and questions in a dialog.

import { el, replace } from "./elements.js";

const STAYS = 6000; // milliseconds that good news and warnings stay on the screen; an error stays until it is put away
let region = null;
let timer = 0;
let goes = false; // at the next key

/** The live regions; they have to be there before they say something, or nothing is read out. */
export function notices() {
  if (region) return region;
  const polite = el("div", { role: "status", "aria-live": "polite" });
  const urgent = el("div", { role: "alert", "aria-live": "assertive" });
  document.body.append(el("div", { class: "notices" }, polite, urgent));
  region = { polite, urgent };
  // First of all listeners: what the key then does may say something new. A key that is held down is not the next one.
  document.addEventListener("keydown", (event) => { if (goes && !event.repeat) tell(""); }, { capture: true });
  return region;
}

/** Says something: "ok" and "warn" go by themselves, "warn" at the next key too; "error" stays until put away. An empty text clears. */
export function tell(text, kind = "ok") {
  const { polite, urgent } = notices();
  clearTimeout(timer);
  goes = kind === "warn" && Boolean(text);
  replace(polite);
  replace(urgent);
  if (!text) return;
  const put = el("button", { type: "button", class: "quiet", "aria-label": "Put this message away", on: { click: () => tell("") } }, "×");
  replace(kind === "error" ? urgent : polite, el("div", { class: `notice ${kind}` }, el("p", {}, text), put));
  if (kind !== "error") timer = setTimeout(() => tell(""), STAYS);
}

/** Says what went wrong, of a Fault or of anything else that was thrown. */
export function tellFault(fault) {
  if (fault?.name === "AbortError") return;
  tell(fault?.message || String(fault), "error");
}

/**
 * Asks in a modal dialog and gives the value of the button that was pressed, null where it was closed.
 * `actions` are [{label, value, class}]; the first is the default. `body` is nodes or text.
 */
export function ask(title, body, actions = [{ label: "Close", value: null }]) {
  return new Promise((resolve) => {
    let said = null;
    const buttons = actions.map(({ label, value, class: tone }, index) =>
      el("button", { type: "button", class: tone ?? (index === 0 ? "main" : null), autofocus: index === 0,
        on: { click: () => { said = value; dialog.close(); } } }, label));
    const dialog = el("dialog", { "aria-label": title }, el("h2", {}, title),
      typeof body === "string" ? el("p", {}, body) : body, el("div", { class: "actions" }, buttons));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(said);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
