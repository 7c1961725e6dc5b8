// The runs that this person may see, and what there is to do in each.

import { api, begin, el, mayBe, ofRun, pageOf, replace, tellFault } from "./kit.js";

const main = document.getElementById("main");
const TONES = { done: "good", running: "good", failed: "bad", paused: "careful", "stopped by limit": "careful" };

/** The state of one's own work in a run; null where nothing is drawn for review yet. */
async function progress(run) {
  try {
    return await api("GET", ofRun(run, "review/progress"));
  } catch (fault) {
    if (fault.status === 0 || fault.status === 401) throw fault;
    return null;
  }
}

const drawn = (own) => Boolean(own) && own.done + own.skipped + own.left > 0;

function labelling(run, own) {
  if (!drawn(own)) return [el("p", { class: "soft" }, "Nothing is drawn for review yet.")];
  const share = `${own.done} of your labels are in${own.skipped ? `, ${own.skipped} skipped` : ""}; about ${own.left} left for you.`;
  return [
    el("p", {}, share),
    el("progress", { value: own.done + own.skipped, max: own.done + own.skipped + own.left, "aria-label": `Your labels in ${run}` }, share),
  ];
}

function links(run, member, own) {
  const pages = [
    drawn(own) ? ["review", "Label", "annotator"] : null,
    ["run", "Run", "adjudicator"],
    ...(run.state === "not begun" ? [] : [["results", "Results", "adjudicator"], ["lead", "Lead", "adjudicator"],
      ["dispute", "Disputes", "adjudicator"], ["audit", "Audit", "adjudicator"]]),
    ["principles", "Principles", "adjudicator"],
  ];
  return pages.filter((page) => page && mayBe(member, page[2])).map(([name, label], index) =>
    el("a", { class: index === 0 ? "button main" : "button", href: pageOf(name, run.name) }, label));
}

function card(run, member, own) {
  const begun = run.state !== "not begun";
  const facts = begun && typeof run.prompts === "number" ? `${run.done} of ${run.prompts} prompts are done, ${run.pairs} preference pairs.` : "";
  const leads = mayBe(member, "adjudicator"); // who only labels has nothing to do with how far the run is
  return el("li", { class: `card ${leads ? TONES[run.state] ?? "unknown" : ""}` },
    el("h2", {}, leads ? el("span", { class: "mark" }, run.state) : null, run.name),
    run.fault ? el("p", {}, run.fault) : "",
    facts ? el("p", {}, facts) : "",
    begun ? labelling(run.name, own) : el("p", { class: "soft" }, "There is nothing to look at yet."),
    el("div", { class: "actions" }, links(run, member, own)));
}

async function show() {
  const member = await begin({ title: "Runs" });
  const runs = await api("GET", "runs");
  const own = await Promise.all(runs.map((run) => (run.state === "not begun" ? null : progress(run.name))));
  replace(main,
    el("h1", {}, "Runs"),
    runs.length ? el("ul", { class: "cards" }, runs.map((run, index) => card(run, member, own[index])))
      : el("p", { class: "empty" }, "You are not one of the people of any run yet. An admin can change that."),
    el("p", { class: "soft" }, el("a", { href: "/account" }, "Your account"), " · ", el("a", { href: "/api" }, "The HTTP API")));
}

show().catch(tellFault);
