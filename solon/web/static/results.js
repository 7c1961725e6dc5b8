// The pairs of a run, a page at a time; a row's whole history where it is asked for.

import { api, begin, el, ofRun, pageOf, replace, runOfPage, tellFault } from "./kit.js";

const run = runOfPage();
const list = el("div", { class: "pairs" });
const about = el("p", { class: "soft", role: "status" });
const principle = el("select", { id: "principle", on: { change: filter } }, el("option", { value: "" }, "any principle"));
const disagreement = el("input", { type: "checkbox", on: { change: filter } });
const flagged = el("input", { type: "checkbox", on: { change: filter } });
const next = el("button", { type: "button", class: "main", on: { click: () => turn(next.dataset.after) } }, "Next");
const first = el("button", { type: "button", on: { click: () => turn("") } }, "First page");
const pager = el("nav", { class: "actions", "aria-label": "Pages" }, next, first);

async function main() {
  await begin({ title: "Results", run, role: "adjudicator" });
  replace(document.getElementById("main"),
    el("h1", {}, "Preference pairs"),
    el("form", { class: "filter" },
      el("div", { class: "field" }, el("label", { for: "principle" }, "Decided by"), principle),
      el("label", { class: "check" }, disagreement, "The judge's two orders disagree"),
      el("label", { class: "check" }, flagged, "A text looks like manipulation")),
    about, list, pager);
  addEventListener("popstate", load);
  await load();
}

function asked() {
  const given = new URLSearchParams(location.search);
  given.delete("run");
  return given;
}

function filter() {
  const wanted = new URLSearchParams({ run });
  if (principle.value) wanted.set("principle", principle.value);
  if (disagreement.checked) wanted.set("disagreement", "true");
  if (flagged.checked) wanted.set("flagged", "true");
  go(wanted);
}

function turn(after) {
  const wanted = new URLSearchParams(location.search);
  if (after) wanted.set("after", after); else wanted.delete("after");
  go(wanted);
}

function go(wanted) {
  history.pushState(null, "", `/results?${wanted}`);
  load().then(() => { scrollTo(0, 0); document.getElementById("main").focus(); });
}

async function load() {
  const wanted = asked();
  try {
    const page = await api("GET", `${ofRun(run, "results")}?${wanted}`);
    options(page.principles, wanted);
    replace(list, page.pairs.length ? page.pairs.map(pair) : el("p", { class: "empty" }, page.after
      ? "None among these prompts: look on." : "There is no such pair."));
    replace(about, `${page.pairs.length} pairs of ${page.looked_at} prompts on this page; ${page.rows} prompts are done in all.`);
    next.hidden = page.after === null;
    next.dataset.after = page.after ?? "";
    first.hidden = !wanted.has("after");
  } catch (fault) {
    if (fault.status === undefined) throw fault;
    if (fault.status === 404) replace(list, el("p", { class: "empty" }, fault.fact, " ", el("a", { href: pageOf("run", run) }, "To the run")));
    else tellFault(fault);
    next.hidden = first.hidden = true;
  }
}

function options(principles, wanted) {
  const now = wanted.get("principle") ?? "";
  const names = principles.includes(now) || !now ? principles : [...principles, now];
  replace(principle, el("option", { value: "" }, "any principle"), names.map((name) => el("option", { value: name }, name)));
  principle.value = now;
  disagreement.checked = wanted.get("disagreement") === "true";
  flagged.checked = wanted.get("flagged") === "true";
}

function pair(one) {
  const badges = [
    el("span", { class: "badge", title: "the chance that the chosen completion is the better one" }, `p ${one.p_chosen.toFixed(2)}`),
    el("span", { class: "badge", title: "2·p − 1" }, `margin ${one.margin.toFixed(2)}`),
    el("span", { class: "badge" }, one.label_source === "human" ? "by people" : "by AI"),
    one.decided_by.map((name) => el("span", { class: "badge" }, name)),
    one.orders_agree === false ? el("span", { class: "badge careful" }, "orders disagree") : "",
  ];
  return el("article", { class: "pair", "aria-label": `Pair ${one.id}` },
    el("h2", { class: "text" }, one.prompt),
    el("p", { class: "badges" }, badges),
    el("div", { class: "columns" }, side("Chosen", "good", one.chosen), side("Rejected", "unknown", one.rejected)),
    history_of(one));
}

function side(title, tone, completion) {
  return el("section", { class: `card ${tone}` },
    el("h3", {}, title, completion.revised_under ? el("span", { class: "soft" }, ` · revised under ${completion.revised_under}`) : ""),
    completion.flags.map((flag) => el("p", {}, el("span", { class: "badge bad" }, `flagged: ${flag}`))),
    el("p", { class: "text" }, completion.text));
}

function history_of(one) {
  const told = el("pre", { tabindex: 0 }, "…");
  const details = el("details", { on: { toggle: async () => {
    if (!details.open || details.dataset.loaded) return;
    details.dataset.loaded = "yes";
    try {
      const found = await api("GET", ofRun(run, "rows", encodeURIComponent(one.prompt_id)));
      replace(told, found.text);
    } catch (fault) {
      delete details.dataset.loaded;
      details.open = false;
      tellFault(fault);
    }
  } } }, el("summary", {}, "History", el("span", { class: "soft id" }, one.id)), told);
  return details;
}

main().catch((broken) => { if (broken.status === undefined) throw broken; });
