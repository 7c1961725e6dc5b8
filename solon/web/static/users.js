// The people of the service, for admins: roles, runs, links.

import { api, ask, begin, el, replace, tell, tellFault } from "./kit.js";

const main = document.getElementById("main");
const ROLES = ["annotator", "adjudicator", "admin"];
const ALL = "*";
const state = { me: null, runs: [], users: [] };

/** Shows a link, which nobody can be shown again. */
function showLink(name, link) {
  const field = el("input", { id: "link", readonly: true, value: link, on: { focus: () => field.select() } });
  const said = el("span", { class: "soft", role: "status" });
  async function copy() {
    field.select();
    try {
      await navigator.clipboard.writeText(link);
      said.textContent = "Copied.";
    } catch {
      said.textContent = "Copy it by hand: it is selected.";
    }
  }
  const body = el("div", {},
    el("p", {}, `Give it to ${name} and nobody else: whoever opens it chooses the password. It works once, within 7 days, and is not shown again.`),
    el("div", { class: "field" }, el("label", { for: "link" }, "Link"), field),
    el("div", { class: "actions" }, el("button", { type: "button", class: "main", on: { click: copy } }, "Copy"), said));
  return ask(`The link for ${name}`, body, [{ label: "Done", value: null, class: "quiet" }]);
}

function roleField(id, value, change) {
  return el("select", { id, on: change ? { change } : {} },
    ROLES.map((role) => el("option", { value: role, selected: role === value }, role)));
}

/** Boxes for runs; `chosen()` is the list that the API takes. */
function runBoxes(id, had) {
  const names = [...new Set([...state.runs, ...had.filter((name) => name !== ALL)])].sort();
  const all = el("input", { type: "checkbox", id: `${id}-all`, checked: had.includes(ALL) });
  const boxes = names.map((name, index) => ({
    name, box: el("input", { type: "checkbox", id: `${id}-${index}`, checked: had.includes(name) }),
  }));
  const lock = () => boxes.forEach(({ box }) => { box.disabled = all.checked; });
  all.addEventListener("change", lock);
  lock();
  const fields = el("fieldset", { class: "checks" }, el("legend", { class: "visually-hidden" }, "Runs"),
    el("label", { class: "check" }, all, "All runs, later ones too"), " ",
    boxes.map(({ name, box }) => [el("label", { class: "check" }, box, name), " "]));
  return { fields, chosen: () => (all.checked ? [ALL] : boxes.filter(({ box }) => box.checked).map(({ name }) => name)) };
}

async function change(user, changed, said) {
  try {
    const now = await api("PATCH", `users/${encodeURIComponent(user.name)}`, changed);
    tell(said);
    if (user.name === state.me.name && now.role !== "admin") location.assign("/");
  } catch (fault) {
    tellFault(fault);
  }
  await show();
}

async function editRuns(user) {
  const boxes = runBoxes("edit", user.runs);
  const save = await ask(`Runs of ${user.name}`, boxes.fields,
    [{ label: "Save", value: true }, { label: "Cancel", value: null, class: "quiet" }]);
  if (save) await change(user, { runs: boxes.chosen() }, `The runs of ${user.name} are changed.`);
}

async function newLink(user) {
  try {
    const { link } = await api("POST", `users/${encodeURIComponent(user.name)}/invite`);
    await showLink(user.name, link);
  } catch (fault) {
    tellFault(fault);
  }
}

function card(user, index) {
  const id = `role-${index}`;
  const standing = user.disabled ? "disabled" : user.invited ? "invited" : "active";
  const tone = { disabled: "bad", invited: "careful", active: "good" }[standing];
  const role = roleField(id, user.role, (event) => change(user, { role: event.target.value }, `${user.name} is ${event.target.value} now.`));
  const runs = user.role === "admin" || user.runs.includes(ALL) ? "all runs" : user.runs.join(", ") || "no run yet";
  return el("li", { class: `card ${tone}` },
    el("h2", {}, el("span", { class: "mark" }, standing), user.name),
    el("div", { class: "field" }, el("label", { for: id }, "Role", el("span", { class: "visually-hidden" }, ` of ${user.name}`)), role),
    el("p", {}, el("span", { class: "soft" }, "Runs: "), runs),
    el("div", { class: "actions" },
      el("button", { type: "button", disabled: user.role === "admin", "aria-label": `Runs of ${user.name}`, on: { click: () => editRuns(user) } }, "Runs"),
      el("button", { type: "button", disabled: user.disabled, "aria-label": `New link for ${user.name}`, on: { click: () => newLink(user) } }, "New link"),
      el("button", { type: "button", class: user.disabled ? null : "danger", "aria-label": `${user.disabled ? "Enable" : "Disable"} ${user.name}`,
        on: { click: () => change(user, { disabled: !user.disabled }, `${user.name} is ${user.disabled ? "enabled" : "disabled"}.`) } },
      user.disabled ? "Enable" : "Disable")));
}

const toNoRun = (name) => ask(`Invite ${name} to no run?`, "No run is ticked: they would find nothing on their first page until you give them one.",
  [{ label: "Choose runs", value: false }, { label: "Invite to none", value: true }]);

function inviteForm() {
  const name = el("input", { id: "new-name", autocomplete: "off", autocapitalize: "none", spellcheck: "false", required: true, maxlength: 40,
    pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]*", title: "Letters, digits, dots, hyphens and underscores" });
  const role = roleField("new-role", "annotator");
  const boxes = runBoxes("new", [ALL]);
  async function invite(event) {
    event.preventDefault();
    if (role.value !== "admin" && !boxes.chosen().length && !await toNoRun(name.value)) return;
    try {
      const { link } = await api("POST", "users", { name: name.value, role: role.value, runs: boxes.chosen() });
      const who = name.value;
      await show();
      await showLink(who, link);
    } catch (fault) {
      tellFault(fault);
    }
  }
  return el("form", { method: "post", on: { submit: invite } },
    el("div", { class: "field" }, el("label", { for: "new-name" }, "Name"), name),
    el("div", { class: "field" }, el("label", { for: "new-role" }, "Role"), role,
      el("p", { class: "soft" }, "Annotators label. Adjudicators also see results and audits, and settle disputes. Admins also start runs, edit principles, and look after people.")),
    el("div", { class: "field" }, el("b", { "aria-hidden": "true" }, "Runs"), boxes.fields),
    el("div", { class: "actions" }, el("button", { class: "main" }, "Invite")));
}

async function show() {
  state.users = await api("GET", "users");
  replace(main,
    el("h1", {}, "People"),
    el("ul", { class: "cards" }, state.users.map(card)),
    el("p", { class: "soft" }, "Another role, a new password or disabling logs a person out."),
    el("h2", {}, "Invite somebody"), inviteForm());
}

async function start() {
  state.me = await begin({ title: "People", role: "admin" });
  state.runs = state.me.runs;
  await show();
}

start().catch(tellFault);
