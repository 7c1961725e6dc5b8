// A link is opened: whoever holds it chooses a password, the first admin a name too.

import { api, el, replace, tellFault } from "./kit.js";
import { newPassword } from "./passwords.js";

const main = document.getElementById("main");
const token = location.hash.slice(1);

function nameField(known) {
  const attributes = { id: "name", autocomplete: "username", autocapitalize: "none", spellcheck: "false", required: true,
    maxlength: 40, pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]*", title: "Letters, digits, dots, hyphens and underscores" };
  const input = el("input", known ? { ...attributes, value: known, readonly: true } : attributes);
  return { input, field: el("div", { class: "field" }, el("label", { for: "name" }, "Name"), input) };
}

function form(invited) {
  const name = nameField(invited.name);
  const password = newPassword();
  const begin = el("button", { class: "main" }, "Set the password and log in");

  async function accept(event) {
    event.preventDefault();
    const chosen = password.value();
    if (chosen === null) return;
    begin.disabled = true;
    try {
      await api("POST", "invites/accept", { token, name: name.input.value, password: chosen });
      location.replace("/");
    } catch (fault) {
      tellFault(fault);
      begin.disabled = false;
    }
  }

  replace(main,
    el("h1", {}, invited.name ? `Welcome, ${invited.name}` : "Become the admin"),
    el("p", {}, invited.name ? `Choose a password. Your role is ${invited.role}.`
      : "This service has no admin yet. Choose a name and a password; you can then invite others."),
    el("form", { class: "narrow", method: "post", on: { submit: accept } }, name.field, password.fields, el("div", { class: "actions" }, begin)));
  (invited.name ? document.getElementById("new-password") : name.input).focus();
}

async function start() {
  document.getElementById("head").replaceChildren(el("span", { class: "brand" }, "Solon"));
  try {
    form(await api("POST", "invites/look", { token: token || "none" }));
  } catch (fault) {
    replace(main, el("h1", {}, "This link does not work"), el("p", {}, fault.message),
      el("p", {}, el("a", { href: "/login" }, "Log in")));
  }
}

window.addEventListener("hashchange", () => location.reload());
start();
