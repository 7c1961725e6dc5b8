// The principle editor: checked while you type, nothing lost by a reload, nothing saved over somebody else's work.

import { api, ask, begin, el, mayBe, ofRun, replace, runOfPage, tell, tellFault } from "./kit.js";
import { difference } from "./difference.js";
import { editor } from "./editor.js";
import { versions } from "./versions.js";

const PAUSE = 300; // milliseconds without a key, after which the text is checked
const run = runOfPage();
const draft = `solon.principles.${run}`;
const path = ofRun(run, "principles");
let saved = { text: "", sha256: "", read_only: "" };
let member = null;
let timer = 0;
let asking = null;
let checked = null;

const verdict = el("div", { class: "verdict", id: "verdict" });
const announced = el("p", { class: "visually-hidden", role: "status" }); // the verdict, where it turns; not at every pause
const sheet = editor({ label: "The principle file", describedby: "verdict keys", changed: typed });
const note = el("input", { id: "note", maxlength: 1000, autocomplete: "off", placeholder: "optional" });
const save = el("button", { type: "button", class: "main", title: "Ctrl+S", on: { click: store } }, "Save");
const look = el("button", { type: "button", "aria-expanded": "false", on: { click: () => compare(changes.hidden) } }, "What changes");
const discard = el("button", { type: "button", class: "quiet", on: { click: drop } }, "Discard");
const changes = el("section", { class: "changes", hidden: true, "aria-label": "What changes" });
const listed = el("ul", { class: "listed" });
const count = el("h2", {}, "Principles");
const before = el("p", { class: "soft", hidden: true }, "As they were before the fault.");
const past = el("div", {});
const why = el("p", { class: "card careful", hidden: true });
const keys = el("p", { class: "soft hint", id: "keys" }, el("kbd", {}, "Ctrl"), " ", el("kbd", {}, "S"), " saves; ",
  el("kbd", {}, "Tab"), " indents; ", el("kbd", {}, "Esc"), " then ", el("kbd", {}, "Tab"), " leaves the field.");

async function main() {
  member = await begin({ title: "Principles", run, role: "adjudicator" });
  const file = el("p", { class: "soft" });
  const saving = el("div", { class: "saving" },
    el("div", { class: "field" }, el("label", { for: "note" }, "What did you change, and why?"), note), save, look, discard);
  replace(document.getElementById("main"), el("h1", {}, "Principles"), file, why,
    el("div", { class: "desk" },
      el("div", {}, sheet.node, verdict, announced, keys, saving, changes),
      el("aside", { class: "aside", "aria-label": "The principles in this text" }, count, before, listed)),
    el("details", { on: { toggle: (event) => event.target.open && versions({ past, path, restore: mayWrite() ? restore : null }).catch(tellFault) } },
      el("summary", {}, "History"), past));
  const kept = JSON.parse(sessionStorage.getItem(draft) ?? "null");
  take(await api("GET", path));
  replace(file, el("code", {}, saved.file));
  const readOnly = saved.read_only || (mayBe(member, "admin") ? "" : "only an admin saves");
  why.hidden = !readOnly;
  replace(why, `You can read and try changes here, but not save them: ${readOnly}.`);
  saving.hidden = Boolean(readOnly);
  bringBack(kept);
  addEventListener("keydown", shortcut);
  addEventListener("beforeunload", (event) => { if (dirty() && mayWrite()) event.preventDefault(); });
}

const mayWrite = () => mayBe(member, "admin") && !saved.read_only;
const dirty = () => sheet.text() !== saved.text;

/** What the server has is what the page goes by from now on. */
function take(file) {
  saved = file;
  sheet.put(file.text);
  sessionStorage.removeItem(draft);
  show(file.checked);
  state();
}

function bringBack(kept) {
  if (!kept || kept.text === saved.text) return;
  sheet.put(kept.text);
  note.value = kept.note ?? "";
  if (kept.based_on === saved.sha256) tell("The text that you had not saved is back.");
  else tell("The text that you had not saved is back, but the file was changed meanwhile: see what changes before you save.", "error");
  typed();
}

function typed() {
  keep();
  state();
  clearTimeout(timer);
  timer = setTimeout(() => check().catch(tellFault), PAUSE);
}

function keep() {
  try {
    if (dirty()) sessionStorage.setItem(draft, JSON.stringify({ text: sheet.text(), based_on: saved.sha256, note: note.value }));
    else sessionStorage.removeItem(draft);
  } catch {
    // Too long for the browser to keep: leaving warns all the same.
  }
}

function state() {
  save.disabled = !dirty() || !mayWrite() || checked?.ok === false;
  look.disabled = !dirty() && changes.hidden;
  discard.disabled = !dirty();
}

async function check(diff = !changes.hidden) {
  clearTimeout(timer);
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  const found = await api("POST", `${path}/check`, { text: sheet.text(), diff }, { signal });
  if (!signal.aborted) show(found);
  return found;
}

function show(found) {
  if (checked && checked.ok !== found.ok) replace(announced, found.ok ? "The text is sound again." : `Line ${found.fault.line} has a fault.`);
  checked = found;
  sheet.mark(found.fault ? found.fault.line : 0);
  verdict.className = `verdict ${found.ok ? "good" : "bad"}`;
  replace(verdict, found.ok ? el("p", {}, found.changes.told) : [
    el("p", {}, el("button", { type: "button", class: "quiet", on: { click: () => sheet.go(found.fault.line) } }, `Line ${found.fault.line}`), ": ", found.fault.fact),
    el("p", { class: "soft" }, "To mend it: ", found.fault.remedy)]);
  listed.classList.toggle("stale", !found.ok);
  before.hidden = found.ok;
  if (found.ok) list(found);
  if (found.diff) replace(changes, el("h2", {}, "What saving changes in the file"), difference(found.diff));
  state();
}

function list({ principles, changes: changed }) {
  replace(count, `${principles.length} ${principles.length === 1 ? "principle" : "principles"}`);
  replace(listed, principles.map((one) => {
    const news = changed.added.includes(one.id) ? "new" : changed.reworded.includes(one.id) ? "reworded" : "";
    const more = [
      one.check ? `decided by code (${one.check})` : "",
      one.examples ? `${one.examples} ${one.examples === 1 ? "example" : "examples"}` : "no example",
      one.weight !== 1 ? `weight ${one.weight}` : "", one.hard ? "hard" : "", one.priority ? `priority ${one.priority}` : "",
      one.applies_to.length ? `for ${one.applies_to.join(", ")}` : "",
    ].filter(Boolean).join(" · ");
    return el("li", { class: news ? "card careful" : "card" },
      el("button", { type: "button", title: `Line ${one.line}`, on: { click: () => sheet.go(one.line) } }, one.id),
      news ? [" ", el("span", { class: "badge careful" }, news)] : "",
      el("p", { class: "rule" }, one.rule), el("p", { class: "soft" }, more));
  }), changed.removed.map((id) => el("li", { class: "card bad" }, el("del", {}, id), " ", el("span", { class: "badge bad" }, "removed"))));
}

async function compare(open) {
  changes.hidden = !open;
  look.setAttribute("aria-expanded", String(open));
  if (open) await check(true).catch(tellFault);
  state();
}

async function store() {
  if (!dirty() || !mayWrite()) return;
  const text = sheet.text();
  save.disabled = true;
  try {
    const file = await api("PUT", path, { text, based_on: saved.sha256, note: note.value });
    const meanwhile = sheet.text(); // typed while it was being saved
    note.value = "";
    take(file);
    if (meanwhile !== text) {
      sheet.put(meanwhile);
      typed();
    }
    if (!changes.hidden) await compare(false);
    tell(`Saved. ${file.checked.changes.told}`);
    replace(past);
    document.querySelector("main > details").open = false;
  } catch (fault) {
    if (fault.status === 409) await settle();
    else tellFault(fault);
  }
  state();
}

/** Somebody else saved: nobody's text is lost, and a person decides. */
async function settle() {
  const theirs = await api("GET", path);
  const { diff } = await api("POST", `${path}/check`, { text: sheet.text(), diff: true });
  const said = await ask("The file was changed meanwhile", el("div", {},
    el("p", {}, "Nothing was saved. This is what your text would change in what is there now:"), difference(diff)), [
    { label: "Go on with mine", value: "mine" }, { label: "Take what is there now", value: "theirs" }]);
  if (said === "theirs") {
    take(theirs);
  } else if (said === "mine") {
    const mine = sheet.text();
    saved = theirs;
    sheet.put(mine);
    keep();
    await compare(true);
    tell("Your text is based on what is there now: save it to put it in its place.", "warn");
  }
}

async function drop() {
  const sure = await ask("Discard what you changed?", "The text goes back to what is saved.", [
    { label: "Keep it", value: null }, { label: "Discard", value: "yes", class: "danger" }]);
  if (sure !== "yes") return;
  note.value = "";
  take(saved);
  typed();
  if (!changes.hidden) await compare(false);
}

/** An old version comes back as a text that is not saved yet: saving it makes a new version. */
async function restore(version, text) {
  if (dirty()) {
    const sure = await ask("Put the old version over what you changed?", "What you have not saved would be lost.", [
      { label: "Keep mine", value: null }, { label: "Put it there", value: "yes", class: "danger" }]);
    if (sure !== "yes") return;
  }
  sheet.put(text);
  note.value = `back to version ${version.number}`;
  typed();
  await compare(true);
  sheet.field.focus();
  tell(`Version ${version.number} is in the editor; it is not saved yet.`);
}

function shortcut(event) {
  if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "s") {
    event.preventDefault();
    if (checked?.ok === false) tell("It is not saved: mend the fault first.", "error");
    else store();
  }
}

note.addEventListener("input", keep);
main().catch((broken) => { if (broken.status === undefined) throw broken; if (broken.status !== 401) tellFault(broken); });
