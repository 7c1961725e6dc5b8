// Settling disagreements: the item as annotators saw it, what they said, and the decision. What the judges said is
// shown on demand only, after the decision has had its chance.

import { api, ask, begin, el, ofRun, pageOf, replace, runOfPage, tell, tellFault } from "./kit.js";
import { count } from "./figures.js";
import { drawItem } from "./dispute-item.js";
import { keptFor } from "./review-kept.js";
import { OFF, OFF_LABEL } from "./review-keys.js";

const CHOICES = [["1", "First", "1"], ["2", "Second", "2"], ["tie", "Tie", "T"], ["both good", "Both good", "G"], ["both bad", "Both bad", "B"]];
const LETTERS = { t: "tie", g: "both good", b: "both bad" };
const TEXT = "input, textarea, select, [contenteditable]";
const FILTERS = [["open", "To decide"], ["opposite", "Opposite sides"], ["tie or not", "Tie or not"], ["flagged", "Flagged"], ["decided", "Decided"]];
const LONGEST = 5000;
const run = runOfPage();
// `at` is the item that is asked for, `item` the one on the screen; `before` is what was decided when it came
const page = { queue: [], filter: "open", at: null, item: null, before: {}, choice: null, busy: false };
let parts, kept;

async function main() {
  const member = await begin({ title: "Disputes", run, role: "adjudicator" });
  kept = keptFor(member.name, run);
  parts = layout();
  replace(document.getElementById("main"), parts.head, parts.item, parts.bar);
  document.addEventListener("keydown", onKey);
  addEventListener("beforeunload", (event) => { if (isUnsaved()) event.preventDefault(); });
  await load();
  const asked = new URLSearchParams(location.search).get("item");
  await open(asked || listed()[0]?.item);
}

function layout() {
  const filter = el("select", { id: "filter", on: { change: () => filterBy(filter) } },
    FILTERS.map(([value, label]) => el("option", { value }, label)));
  const told = el("p", { class: "soft", id: "told" });
  const choices = CHOICES.map(([value, label, key]) => el("button", { type: "button", "aria-pressed": "false", "aria-keyshortcuts": key,
    data: { value }, on: { click: () => choose(value) } }, label, " ", el("kbd", { "aria-hidden": "true" }, key)));
  const rationale = el("textarea", { id: "rationale", rows: 1, maxlength: LONGEST, "aria-label": "Why (optional)", placeholder: "Why? (optional)", "aria-keyshortcuts": "R" });
  const save = el("button", { type: "button", class: "main", "aria-keyshortcuts": "Enter", on: { click: decide } }, "Decide ", el("kbd", { "aria-hidden": "true" }, "⏎"));
  const next = el("button", { type: "button", "aria-keyshortcuts": "N", on: { click: () => step(1) } }, "Next ", el("kbd", { "aria-hidden": "true" }, "N"));
  return {
    filter, told, choices, rationale, save, next,
    head: el("div", {}, el("h1", {}, "Disputes"), el("div", { class: "queue" }, told,
      el("div", { class: "actions" }, el("label", { for: "filter" }, "Show"), filter,
        el("button", { type: "button", class: "quiet", "aria-keyshortcuts": "?", on: { click: help } }, "Keys ", el("kbd", { "aria-hidden": "true" }, "?"))))),
    item: el("div", {}),
    bar: el("div", { class: "bar-of-keys", role: "group", "aria-label": "Your decision" },
      el("div", { class: "actions" }, choices), rationale, el("div", { class: "actions" }, save, next)),
  };
}

async function load() {
  page.queue = await api("GET", ofRun(run, "lead", "disputes")).catch((fault) => { tellFault(fault); return []; });
  drawHead();
}

function listed() {
  const { filter, queue } = page;
  if (filter === "decided") return queue.filter((one) => one.decided !== null);
  const open = queue.filter((one) => one.decided === null);
  return filter === "open" ? open : open.filter((one) => one.why.includes(filter));
}

function drawHead() {
  const open = page.queue.filter((one) => one.decided === null).length;
  replace(parts.told, `${open ? count(open, "dispute") : "Nothing"} to decide, ${page.queue.length - open} decided`);
  const empty = !page.item;
  parts.bar.hidden = empty;
}

async function filterBy(select) {
  const before = page.filter;
  if (!(await mayLeave())) select.value = before;
  page.filter = select.value;
  if (page.filter === before) return;
  drawHead();
  await open(listed()[0]?.item);
}

async function open(item) {
  page.at = item;
  if (!item) {
    page.item = null;
    drawHead();
    const words = page.filter === "open" ? "Nothing is in dispute. Items with two people or more come here when they differ, and flagged ones." : "Nothing of this kind.";
    replace(parts.item, el("p", { class: "empty" }, words), el("p", {}, el("a", { href: pageOf("lead", run) }, "Back to the lead's page")));
    return;
  }
  try {
    const shown = await api("GET", ofRun(run, "lead", "items", encodeURIComponent(item)));
    if (page.at === item) show(shown); // else another one was asked for since
  } catch (fault) {
    if (page.at === item) page.at = page.item;
    tellFault(fault);
  }
}

function show(shown) {
  page.item = shown.item;
  page.before = { choice: shown.decision?.choice ?? null, rationale: shown.decision?.rationale ?? "" };
  page.choice = page.before.choice;
  parts.rationale.value = page.before.rationale;
  history.replaceState(null, "", pageOf("dispute", run, { item: shown.item }));
  const why = page.queue.find((one) => one.item === shown.item)?.why ?? [];
  const heading = drawItem(parts.item, shown, why, () => api("GET", ofRun(run, "lead", "items", encodeURIComponent(shown.item), "verdicts")));
  drawHead();
  drawChoice();
  heading.focus({ preventScroll: true });
  scrollTo({ top: 0 });
}

function drawChoice() {
  parts.choices.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.value === page.choice)));
  parts.save.disabled = page.choice === null || page.busy;
  parts.item.querySelectorAll(".side").forEach((side, i) => side.classList.toggle("chosen", page.choice === String(i + 1)));
}

function choose(value) {
  if (page.at !== page.item) return; // the next item is on its way, and this one is over
  page.choice = value;
  drawChoice();
}

async function decide() {
  if (page.choice === null || page.busy || !page.item || page.at !== page.item) return;
  page.busy = true;
  drawChoice();
  const { item } = page;
  const after = following(1);
  try {
    await api("PUT", ofRun(run, "lead", "items", encodeURIComponent(item), "decision"), { choice: page.choice, rationale: parts.rationale.value });
    page.before = { choice: page.choice, rationale: parts.rationale.value };
    tell("Decided: this wins over every label.");
    await load();
    await open(after && after !== item ? after : listed()[0]?.item);
  } catch (fault) {
    tellFault(fault);
  } finally {
    page.busy = false;
    drawChoice();
  }
}

/** The item so many places further in the list, round its end; undefined where the list is empty. */
function following(steps) {
  const list = listed();
  const at = list.findIndex((one) => one.item === page.at);
  return list[(at + steps + list.length) % (list.length || 1)]?.item;
}

async function step(steps) {
  if (page.busy || !(await mayLeave())) return;
  const item = following(steps);
  if (item && item !== page.item) await open(item);
}

function isUnsaved() {
  if (!page.item || page.at !== page.item) return false;
  return page.choice !== page.before.choice || parts.rationale.value !== page.before.rationale;
}

async function mayLeave() {
  if (!isUnsaved()) return true;
  const words = el("p", {}, "Your choice and what you wrote are not saved.");
  return (await ask("Leave this item undecided?", words, [{ label: "Stay", value: false }, { label: "Leave it", value: true }])) === true;
}

function onKey(event) {
  if (event.defaultPrevented || event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
  const typing = event.target.closest?.(TEXT);
  const command = event.ctrlKey || event.metaKey;
  if (typing) {
    if (event.target !== parts.rationale) return;
    if (event.key === "Escape") parts.rationale.blur();
    else if (event.key === "Enter" && command) decide();
    else return;
  } else if (command || !act(event)) return;
  event.preventDefault();
}

function act(event) {
  if (kept.setting(OFF) && event.key !== "Enter") return false;
  const digit = /^(?:Digit|Numpad)([12])$/.exec(event.code)?.[1];
  const key = event.key.toLowerCase();
  if (digit && !event.shiftKey) choose(digit);
  else if (event.key === "?") help();
  else if (event.shiftKey || event.repeat) return false;
  else if (LETTERS[key]) choose(LETTERS[key]);
  else if (key === "n") step(1);
  else if (key === "p") step(-1);
  else if (key === "r") parts.rationale.focus();
  else if (key === "j") document.getElementById("judges")?.click();
  else if (event.key === "Enter" && !event.target.closest?.("button, a, summary")) decide();
  else return false;
  return true;
}

function help() {
  const rows = [["1 2", "the first, the second is better"], ["T G B", "tie, both good, both bad"], ["R", "write why; Escape leaves the field"],
    ["Enter", "decide, and go on (Ctrl+Enter while writing)"], ["N P", "next, previous, without deciding"], ["J", "show what the judges said"]];
  const off = el("input", { type: "checkbox", checked: kept.setting(OFF), on: { change: () => kept.keepSetting(OFF, off.checked) } });
  ask("Keys", [el("label", { class: "check" }, off, OFF_LABEL), el("table", {}, el("tbody", {}, rows.map(([key, words]) => el("tr", {},
    el("th", { scope: "row" }, key.split(" ").map((one) => [el("kbd", {}, one), " "])), el("td", { class: "words" }, words)))))]);
}

main().catch((fault) => { if (!fault.status) tellFault(fault); });
