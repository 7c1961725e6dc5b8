// The audit of the labels so far: five answers, what speaks against the judges, and how many labels would say more.

import { api, begin, el, ofRun, replace, runOfPage, tellFault } from "./kit.js";
import { judges } from "./beside.js";
import { whenFigures } from "./figures.js";
import { percent } from "./plots.js";

const AGAIN = 5_000; // milliseconds until the next look, while figures are being made
const MARKS = { good: "✓ good", careful: "! with care", bad: "✗ no", unknown: "? not known" };
const run = runOfPage();
let timer = 0;

async function main() {
  await begin({ title: "Audit", run, role: "adjudicator" });
  await look();
}

async function look() {
  clearTimeout(timer);
  try {
    const seen = await api("GET", ofRun(run, "lead", "audit"));
    draw(seen);
    if (seen.working && !seen.measured) timer = setTimeout(look, AGAIN);
  } catch (fault) {
    tellFault(fault);
  }
}

function draw(seen) {
  const found = seen.measured;
  replace(document.getElementById("main"),
    el("h1", {}, "How far can the AI labels be trusted?"),
    el("p", { class: "headline" }, found?.headline || (seen.working && !found ? "The figures are being made." : "There is no audit yet.")),
    found?.why ? el("p", {}, found.why) : null,
    el("p", { class: "soft as-of" }, whenFigures(seen, 0)),
    found?.audit ? whole(found) : null,
    found ? judges(found) : null,
    found?.audit ? needed(found.audit) : null);
}

function whole(found) {
  const page = `/api/${ofRun(run, "lead", "audit.html")}`;
  return [
    el("div", { class: "actions" },
      el("a", { class: "button main", href: page, target: "_blank", rel: "noopener" }, "The whole audit as a page"),
      el("button", { type: "button", on: { click: look } }, "Look again")),
    el("ul", { class: "cards" }, found.answers.map((one) => el("li", { class: `card ${one.state}` },
      el("span", { class: "mark" }, MARKS[one.state]), el("h3", {}, one.question),
      one.figure ? el("p", { class: "shot" }, one.figure) : null, el("p", {}, one.words)))),
    found.findings.length ? [el("h2", {}, "What speaks against it"), el("ul", { class: "warnings" }, found.findings.map((one) =>
      el("li", { class: "careful" }, el("span", {}, one.what ? el("b", {}, `${one.what}. `) : null, `${one.fact} ${one.remedy}`.trim()))))] : null,
  ];
}

function needed(audit) {
  const rows = Object.entries(audit.needed?.accuracy ?? {}).filter(([, some]) => some.length);
  if (!rows.length) return null;
  const widths = [...new Set(rows.flatMap(([, some]) => some.map((one) => one.width)))].sort((a, b) => b - a);
  return [
    el("h2", {}, "How many labels would say more"),
    el("div", { class: "wide" }, el("table", {},
      el("caption", {}, "Labels, in all, that give each agreement so closely; some of them are there already."),
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Judge"), widths.map((width) => el("th", { scope: "col" }, `±\u00a0${percent(width / 2)}`)))),
      el("tbody", {}, rows.map(([name, some]) => el("tr", {}, el("th", { scope: "row" }, name),
        widths.map((width) => el("td", {}, some.find((one) => one.width === width)?.with_judges.toLocaleString("en") ?? "–"))))))),
  ];
}

main().catch((fault) => { if (!fault.status) tellFault(fault); });
