// The lead's page: how good the labels are, how far the work is, who needs a word, and what to do next.

import { api, begin, el, mayBe, ofRun, pageOf, replace, runOfPage, tell, tellFault } from "./kit.js";
import { whenFigures } from "./figures.js";
import { agreement, judges } from "./beside.js";
import { controls } from "./controls.js";
import { people, warnings } from "./people.js";
import { progress } from "./work.js";

const EVERY = 10_000; // milliseconds between two looks
const run = runOfPage();
const shown = new Map(); // what each live part was drawn from

async function main() {
  const member = await begin({ title: "Lead", run, role: "adjudicator" });
  const admin = mayBe(member, "admin");
  const parts = Object.fromEntries(["top", "work", "warn", "judges", "among", "people"].map((name) => [name, el("section", {})]));
  const rest = el("div", {});
  replace(document.getElementById("main"), el("h1", {}, `Review of ${run}`), Object.values(parts), rest);

  const drop = async (name, dropped) => {
    try {
      await api("PATCH", ofRun(run, "lead", "annotators", encodeURIComponent(name)), { dropped });
      tell(dropped ? `${name}'s labels are left out from now on; nothing is deleted.` : `${name}'s labels count again.`);
      await look();
    } catch (fault) {
      tellFault(fault);
    }
  };
  const draw = (seen) => {
    const found = seen.figures.measured;
    live(parts.top, [found?.headline, found?.why, seen.figures.at, seen.figures.working, seen.figures.fault, seen.disputes], () => top(seen));
    live(parts.work, [seen.progress, seen.rounds.length], () => progress(seen));
    live(parts.warn, found?.doubts, () => warnings(found?.doubts ?? [], seen.annotators));
    live(parts.judges, [found?.label, found?.judges, found?.why], () => judges(found));
    live(parts.among, found?.among, () => agreement(found?.among));
    live(parts.people, [found?.people, found?.doubts, seen.annotators, seen.figures.working], () => people(seen, found, admin ? drop : null));
  };
  const look = async () => draw(await api("GET", ofRun(run, "lead", "summary")));

  await look().catch(tellFault);
  replace(rest, await controls(run, admin, look));
  setInterval(() => {
    if (!document.hidden) look().catch((fault) => fault.status === 0 ? null : tellFault(fault));
  }, EVERY);
  document.addEventListener("visibilitychange", () => document.hidden || look().catch(() => null));
}

/** Draws a part anew where what it shows has changed; what was open stays open, and what had the focus keeps it. */
function live(section, data, render) {
  const text = JSON.stringify(data ?? null);
  if (shown.get(section) === text) return;
  shown.set(section, text);
  const open = [...section.querySelectorAll("details")].map((one) => one.open);
  const focus = section.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
  replace(section, render());
  [...section.querySelectorAll("details")].forEach((one, i) => { if (open[i]) one.open = true; });
  if (focus) section.querySelector(`[data-focus="${CSS.escape(focus)}"]`)?.focus();
}

function top(seen) {
  const found = seen.figures.measured;
  const disputes = seen.disputes === 1 ? "1 dispute to decide" : `${seen.disputes} disputes to decide`;
  return [
    el("p", { class: "headline" }, found?.headline || (found ? "Not enough labels yet to say how good the AI labels are." : seen.figures.working ? "The figures are being made." : "No figures yet.")),
    found && !found.headline && found.why ? el("p", {}, found.why) : null,
    el("p", { class: "soft as-of" }, whenFigures(seen.figures, seen.now)),
    el("div", { class: "actions" },
      el("a", { class: `button${seen.disputes ? " main" : ""}`, href: pageOf("dispute", run) }, disputes),
      el("a", { class: "button", href: pageOf("audit", run) }, "The whole audit"),
      el("a", { class: "button", href: `/api/${ofRun(run, "lead", "labels.csv")}`, download: "labels.csv" }, "Download labels.csv")),
  ];
}

main().catch((fault) => { if (!fault.status) console.error(fault); });
