// One's own account: a new password.

import { api, begin, el, replace, tell, tellFault } from "./kit.js";
import { newPassword } from "./passwords.js";

const main = document.getElementById("main");

function show(member) {
  const old = el("input", { id: "old", type: "password", autocomplete: "current-password", required: true, maxlength: 256 });
  const password = newPassword();
  const change = el("button", { class: "main" }, "Change the password");

  async function send(event) {
    event.preventDefault();
    const chosen = password.value();
    if (chosen === null) return;
    change.disabled = true;
    try {
      await api("POST", "me/password", { old: old.value, new: chosen });
      show(await begin({ title: "Your account" }));
      tell("The password is changed. You are logged out everywhere else.");
    } catch (fault) {
      tellFault(fault);
      change.disabled = false;
    }
  }

  replace(main,
    el("h1", {}, "Your account"),
    el("p", {}, `You are ${member.name}, and your role is ${member.role}.`),
    el("h2", {}, "Change the password"),
    el("form", { class: "narrow", method: "post", on: { submit: send } },
      el("input", { class: "visually-hidden", autocomplete: "username", value: member.name, readonly: true, tabindex: -1, "aria-hidden": "true" }),
      el("div", { class: "field" }, el("label", { for: "old" }, "Old password"), old),
      password.fields, el("div", { class: "actions" }, change)));
}

show(await begin({ title: "Your account" }));
