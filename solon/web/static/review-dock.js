// The choice: what is better and by how much, a reason, and what else can be done with the item.

import { el, replace } from "./kit.js";

export const CHOICES = [["1", "First", "1"], ["2", "Second", "2"], ["tie", "Tie", "T"], ["both good", "Both good", "G"], ["both bad", "Both bad", "B"]];
export const STRENGTHS = ["slightly", "somewhat", "clearly", "by far"];
const LONGEST = 4000; // characters of a rationale, as the server has it

/** The form at the foot of the page. `changed(part)` is called with what the person changed. */
export function makeDock(actions, changed) {
  const choices = radios("choice", "Which completion is better?", CHOICES, (choice) => changed({ choice }));
  const strengths = radios("strength", "By how much (if you can say)?",
    STRENGTHS.map((name, index) => [String(index + 1), name, `Shift+${index + 1}`]), (strength) => changed({ strength: Number(strength) }));
  const rationale = el("textarea", { id: "rationale", rows: 1, maxlength: LONGEST, placeholder: "Why? (optional)", "aria-keyshortcuts": "R",
    "aria-label": "Rationale (optional)", on: { input: () => changed({ rationale: rationale.value }), keydown: fromRationale } });
  const tool = (name, label, key, tone = "") => el("button", { type: "button", class: `${tone} ${name}`, "aria-keyshortcuts": key,
    on: { click: () => actions[name]() } }, label, " ", el("kbd", { "aria-hidden": "true" }, key));
  const why = tool("rationale", "Why", "R", "why-button");
  const flag = tool("flag", "Flag", "F");
  const save = el("button", { type: "submit", class: "main", "aria-keyshortcuts": "Enter" }, "Save ", el("kbd", { "aria-hidden": "true" }, "⏎"));
  const all = el("fieldset", { class: "dock-all" }, el("legend", { class: "visually-hidden" }, "Your label"),
    choices.node, strengths.node, rationale, el("div", { class: "tools" }, why, tool("skip", "Skip", "S"), flag, save));
  const form = el("form", { class: "dock", novalidate: true, on: { submit: (event) => { event.preventDefault(); actions.save(); } } }, all);

  function fromRationale(event) {
    if (event.isComposing) return;
    if (event.key === "Escape") rationale.blur();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) actions.save();
    else return;
    event.preventDefault();
  }

  return {
    form,
    /** Shows a draft; what the person is typing in is left alone where it says the same. */
    show(draft) {
      choices.set(draft.choice);
      strengths.set(draft.strength === null ? null : String(draft.strength));
      strengths.node.disabled = draft.choice !== "1" && draft.choice !== "2";
      form.classList.toggle("with-strength", !strengths.node.disabled);
      if (rationale.value !== draft.rationale) rationale.value = draft.rationale;
      form.classList.toggle("with-rationale", draft.rationale !== "" || document.activeElement === rationale);
      flag.setAttribute("aria-pressed", String(draft.flag !== ""));
      replace(flag, draft.flagging ? "Flag, not given yet " : draft.flag ? "Flagged " : "Flag ", el("kbd", { "aria-hidden": "true" }, "F"));
      save.disabled = draft.choice === null;
    },
    busy(on) {
      all.disabled = on;
      form.setAttribute("aria-busy", String(on));
    },
    focusChoice(choice) {
      choices.focus(choice);
    },
    write() {
      form.classList.add("with-rationale");
      rationale.focus();
    },
  };
}

function radios(name, legend, options, changed) {
  const inputs = options.map(([value, , key]) => el("input", { type: "radio", name, value, id: `${name}-${value.replace(" ", "-")}`,
    class: "visually-hidden", "aria-keyshortcuts": key, on: { change: () => changed(value) } }));
  const labels = options.map(([, text, key], index) =>
    el("label", { for: inputs[index].id }, el("span", {}, text), name === "choice" ? el("kbd", { "aria-hidden": "true" }, key) : null));
  const node = el("fieldset", { class: name }, el("legend", { class: "visually-hidden" }, legend),
    inputs.map((input, index) => el("span", { class: "option" }, input, labels[index])));
  return {
    node,
    set: (value) => inputs.forEach((input) => { input.checked = input.value === value; }),
    focus: (value) => inputs.find((input) => input.value === value)?.focus({ preventScroll: true }),
  };
}
