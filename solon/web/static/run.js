// A run: where it stands, live figures, start and pause.

import { api, begin, el, mayBe, ofRun, pageOf, replace, runOfPage, tell, tellFault } from "./kit.js";

const run = runOfPage();
const NUMBER = new Intl.NumberFormat("en");
const STATES = { // the tone of the badge, and the state in words
  "not begun": ["unknown", "Nothing has been asked of a model yet."],
  running: ["good", "The run works in a process of its own: it goes on when this page is closed, and when the server is stopped."],
  paused: ["careful", "It stopped before its end. “Go on” takes up where it left off, and pays for nothing twice."],
  "stopped by limit": ["careful", "A limit was reached. “Go on” takes it up once the limit allows."],
  done: ["good", "Every prompt is done. “Start again” looks whether principles or prompts have changed, and does only what that touches."],
  failed: ["bad", "The last session stopped with a fault. What was received until then is kept."],
};
let member = null;
let last = null;
let events = null;

// What stays where it is while figures change around it.
const badge = el("span", { class: "badge" });
const words = el("p", {});
const fault = el("div", { class: "card bad", role: "status", hidden: true });
const bar = el("progress", { max: 1, value: 0, "aria-label": "Prompts done" });
const far = el("p", { class: "soft" });
const start = el("button", { type: "button", class: "main", on: { click: () => act("start") } }, "Start");
const pause = el("button", { type: "button", on: { click: () => act("pause") } }, "Pause");
const accept = el("input", { type: "checkbox" });
const accepting = el("label", { class: "check", hidden: true }, accept, "Go on although the config means something else by now");
const cards = el("div", { class: "cards figures" });
const reasons = el("div", { class: "columns" });
const warnings = el("div", {});
const links = el("nav", { class: "actions links", "aria-label": "Of this run" });
const log = el("pre", { tabindex: 0 });
const logged = el("details", { hidden: true }, el("summary", {}, "What the run said"), log);

async function main() {
  member = await begin({ title: "Run", run, role: "adjudicator" });
  replace(document.getElementById("main"),
    el("div", { class: "title" }, el("h1", {}, run), badge), words, fault,
    el("div", { class: "far" }, bar, far),
    el("div", { class: "actions" }, start, pause, accepting, links), cards, warnings, reasons, logged);
  show(await api("GET", ofRun(run)));
  if (!document.hidden) watch();
  // A browser has six connections to a server, for all its tabs: only a page that somebody sees keeps one.
  addEventListener("visibilitychange", () => (document.hidden ? rest() : watch()));
  addEventListener("pagehide", rest);
  addEventListener("pageshow", (event) => { if (event.persisted) watch(); }); // out of the browser's own store of pages
}

function rest() {
  events?.close();
  events = null;
}

function watch() {
  rest();
  const own = new EventSource(`/api/${ofRun(run, "events")}`);
  events = own;
  own.onmessage = (event) => show(JSON.parse(event.data));
  own.onerror = () => {
    if (own.readyState === EventSource.CLOSED) setTimeout(() => comeAgain(own), 3000); // else it comes again by itself
  };
}

async function comeAgain(ended) {
  if (events !== ended) return;
  let again = true;
  try {
    show(await api("GET", ofRun(run)));
  } catch (refused) {
    tellFault(refused);
    again = refused.status === 0 || refused.status >= 500;
  }
  if (again && events === ended) watch();
}

async function act(what) {
  start.disabled = pause.disabled = true;
  try {
    show(await api("POST", ofRun(run, what), what === "start" ? { accept_changes: accept.checked && !accepting.hidden } : undefined));
    accept.checked = false;
  } catch (refused) {
    tellFault(refused);
    if (last) show(last);
  }
}

function show(facts) {
  if (last && last.state !== facts.state) tell(`${run}: ${facts.state}${facts.fault ? `. ${facts.fault}` : ""}`, facts.state === "failed" ? "error" : "ok");
  last = facts;
  const [tone, meaning] = STATES[facts.state];
  badge.className = `badge ${facts.pausing ? "careful" : tone}`;
  replace(badge, facts.pausing ? "pausing" : facts.state);
  replace(words, facts.pausing ? "It was asked to pause: calls in flight finish first, so that nothing paid for is lost." : meaning,
    facts.limit ? ` ${facts.limit}` : "");
  fault.hidden = !facts.fault;
  replace(fault, facts.fault ? [el("h3", {}, "Why it stopped"), el("p", {}, facts.fault)] : "");
  progress(facts);
  buttons(facts);
  figures(facts);
  const counts = facts.counts;
  replace(reasons, counted("Dropped", counts.drops, "Couples and candidates that gave no pair."),
    counted("No verdict", counts.no_verdicts, "Replies that were none, by reason; never counted as a tie."),
    counted("Flagged", counts.flags, "Candidates whose text speaks to the judge."));
  replace(warnings, facts.warnings.length || facts.told.length
    ? el("ul", { class: "plain" }, [...facts.warnings.map((text) => el("li", { class: "card careful" }, text)),
      ...facts.told.map((text) => el("li", { class: "card" }, text))]) : "");
  show_links(facts);
  logged.hidden = !facts.log.length;
  replace(log, facts.log.join("\n"));
}

function progress({ counts, state, holder }) {
  const share = counts.prompts ? counts.done / counts.prompts : 0;
  bar.value = share;
  const of = counts.prompts ? `${NUMBER.format(counts.done)} of ${NUMBER.format(counts.prompts)} prompts (${Math.floor(share * 100)} %)`
    : state === "running" ? "Starting: reading prompts and principles" : "No prompt is done yet";
  const behind = counts.counted < counts.done ? `; the figures below are of ${NUMBER.format(counts.counted)} of them so far` : "";
  replace(far, of, behind, state === "running" && holder ? el("span", { class: "who-runs" }, holder.replace(/\d{4}-\d\d-\d\dT[\d:.+Z-]+/, local)) : "");
}

/** An ISO 8601 time as people here write it; what is none stays as it is. */
function local(time) {
  const at = new Date(time);
  return Number.isNaN(at.getTime()) ? time : at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

function buttons({ state, pausing, busy, changed }) {
  const admin = mayBe(member, "admin");
  start.hidden = !admin || state === "running";
  pause.hidden = !admin || state !== "running";
  start.disabled = Boolean(busy);
  pause.disabled = pausing;
  replace(start, { "not begun": "Start", done: "Start again", failed: "Try again" }[state] ?? "Go on");
  replace(pause, pausing ? "Pausing …" : "Pause");
  start.title = busy ? `${busy} is at work in the run's folder` : "";
  accepting.hidden = start.hidden || !changed;
}

function figures({ counts, spending }) {
  const share = counts.pairs ? ` · orders disagree in ${NUMBER.format(counts.orders_disagree)}` : "";
  const cost = spending.cost_usd === null ? "unknown" : spending.cost_usd === 0 ? "nothing" : `${spending.cost_usd.toFixed(4)} USD`;
  const list = [
    ["Preference pairs", NUMBER.format(counts.pairs), `of ${NUMBER.format(counts.candidates)} candidates${share}`],
    ["Calls", NUMBER.format(spending.calls), counts.incomplete ? `${NUMBER.format(counts.incomplete)} prompts have failed calls` : "each paid for once"],
    ["Tokens", NUMBER.format(spending.prompt_tokens + spending.completion_tokens), `${NUMBER.format(spending.completion_tokens)} of them written`],
    ["Cost", cost, spending.cost_usd === null ? "a model has no price" : spending.seconds === null ? "so far" : `${NUMBER.format(Math.round(spending.seconds))} s of work in all`],
  ];
  replace(cards, list.map(([name, value, more]) =>
    el("div", { class: "card" }, el("h3", {}, name), el("p", { class: "shot" }, value), el("p", { class: "soft" }, more))));
}

function counted(title, reasons_of, about) {
  const rows = Object.entries(reasons_of);
  if (!rows.length) return "";
  return el("section", {}, el("h2", {}, title), el("p", { class: "soft" }, about),
    el("table", {}, el("tbody", {}, rows.map(([reason, count]) => el("tr", {}, el("th", { scope: "row" }, reason), el("td", {}, NUMBER.format(count)))))));
}

function show_links({ counts, has_report }) {
  const wanted = [
    ["Results", pageOf("results", run), counts.pairs > 0],
    ["Report", `/api/${ofRun(run, "report")}`, has_report],
    ["Review", pageOf("review", run), counts.done > 0],
    ["Lead", pageOf("lead", run), counts.done > 0],
    ["Principles", pageOf("principles", run), true],
  ].filter(([, , there]) => there).map(([name, address]) => [name, address]);
  const now = JSON.stringify(wanted);
  if (links.dataset.now === now) return; // a link that has the focus keeps it
  links.dataset.now = now;
  replace(links, wanted.map(([name, address]) => el("a", { class: "button", href: address }, name)));
}

main().catch((broken) => { if (broken.status === undefined) throw broken; tellFault(broken); });
