// The way in.

import { api, el, tell, tellFault } from "./kit.js";

const name = el("input", { id: "name", name: "name", autocomplete: "username", autocapitalize: "none", spellcheck: "false",
  required: true, maxlength: 40 });
const password = el("input", { id: "password", name: "password", type: "password", autocomplete: "current-password",
  required: true, maxlength: 256 });
const enter = el("button", { class: "main" }, "Log in");

/** Where the visitor wanted to go: an address of this site, or home. */
function next() {
  const wanted = new URLSearchParams(location.search).get("next") ?? "/";
  try {
    const address = new URL(wanted, location.origin);
    // The whole address: of "/.//elsewhere" the path alone is "//elsewhere", which leads to another site.
    return address.origin === location.origin && wanted.startsWith("/") ? address.href : "/";
  } catch {
    return "/";
  }
}

async function logIn(event) {
  event.preventDefault();
  enter.disabled = true;
  try {
    await api("POST", "login", { name: name.value, password: password.value });
    tell("");
    location.replace(next());
  } catch (fault) {
    tellFault(fault);
    enter.disabled = false;
    password.select();
    password.focus();
  }
}

document.getElementById("head").replaceChildren(el("span", { class: "brand" }, "Solon"));
document.getElementById("main").replaceChildren(
  el("h1", {}, "Log in"),
  el("form", { class: "narrow", method: "post", on: { submit: logIn } },
    el("div", { class: "field" }, el("label", { for: "name" }, "Name"), name),
    el("div", { class: "field" }, el("label", { for: "password" }, "Password"), password),
    el("div", { class: "actions" }, enter)),
  el("p", { class: "soft" }, "No account, or the password is lost? An admin can give you a link. Where there is no admin yet, look in the terminal where ",
    el("code", {}, "solon serve"), " runs; start it again for a new link."),
);
name.focus();
