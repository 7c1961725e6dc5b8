// The two fields of a new password, as the invitation and the account page have them.

import { el } from "./kit.js";

const SHORTEST = 12;

/** `fields` to show; `value()` is the new password, or null after saying in the field what is wrong. */
export function newPassword() {
  const first = field("new-password", `New password, at least ${SHORTEST} characters`);
  const second = field("again", "The same once more");
  const wrong = el("p", { id: "wrong", class: "badge bad", role: "alert", hidden: true });

  function value() {
    const fault = [...first.input.value].length < SHORTEST ? `It needs at least ${SHORTEST} characters.`
      : first.input.value !== second.input.value ? "The two are not the same." : "";
    wrong.textContent = fault;
    wrong.hidden = fault === "";
    for (const { input } of [first, second]) input.setAttribute("aria-invalid", String(fault !== ""));
    if (fault) first.input.focus();
    return fault ? null : first.input.value;
  }

  return { fields: [first.field, second.field, wrong], value };
}

function field(id, label) {
  const input = el("input", { id, type: "password", autocomplete: "new-password", required: true, maxlength: 256,
    "aria-describedby": "wrong" });
  return { input, field: el("div", { class: "field" }, el("label", { for: id }, label), input) };
}
