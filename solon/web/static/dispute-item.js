// An item in dispute: prompt, both completions, principles, what people said, and on demand what the judges said.

import { el, replace, tellFault } from "./kit.js";
import { percent } from "./plots.js";

const SIDES = ["First", "Second"];
const SAID = { 1: "First", 2: "Second", tie: "Tie", "both good": "Both good", "both bad": "Both bad" };
const STRENGTHS = ["", "slightly", "somewhat", "clearly", "by far"];
const WHY = { opposite: "people prefer opposite sides", "tie or not": "a tie for some", flagged: "flagged" };

/** Draws it and gives its heading. `verdicts()` fetches what the judges said. */
export function drawItem(place, shown, why, verdicts) {
  const heading = el("h2", { tabindex: -1, id: "item" }, why.length ? sentence(why.map((one) => WHY[one]).join(", ")) : "No dispute");
  replace(place, heading, known(shown.known), decided(shown.decision), prompt(shown.prompt), pair(shown), people(shown), rewritten(shown.edits), guides(shown.guides), judges(verdicts));
  return heading;
}

const sentence = (text) => text[0].toUpperCase() + text.slice(1);

function known(choice) {
  if (!choice) return null;
  return el("div", { class: "notice" }, el("p", {}, el("b", {}, `The label of this item is known: ${SAID[choice]}. `),
    "It checks annotators, and is in no export: a decision answers the flag, and changes no label."));
}

function decided(decision) {
  if (!decision) return null;
  return el("div", { class: "notice ok" }, el("p", {}, el("b", {}, `Decided by ${decision.by}: ${SAID[decision.choice]}. `), decision.rationale));
}

function prompt(turns) {
  const alone = turns.length === 1 && turns[0].role === "user";
  return el("section", { class: "prompt", "aria-label": "Prompt" }, el("h3", {}, "Prompt"),
    turns.map((turn) => el("div", { class: "turn" }, alone ? null : el("b", {}, turn.role), el("div", { class: "text", dir: "auto" }, turn.content))));
}

function pair(shown) {
  const bodies = SIDES.map(() => el("div", { class: "text", dir: "auto" }));
  const draw = (marked) => bodies.forEach((body, i) => replace(body, marked
    ? shown.diff[i === 0 ? "left" : "right"].map(({ text, own }) => (own ? el("mark", { class: `only-${i + 1}` }, text) : text))
    : shown.completions[i]));
  draw(Boolean(shown.diff));
  const box = el("input", { type: "checkbox", id: "diff", checked: true, on: { change: () => draw(box.checked) } });
  return [
    shown.diff ? el("label", { class: "check", for: "diff" }, box, "Mark the words that stand on one side only") : null,
    el("div", { class: "columns" }, bodies.map((body, i) => el("section", { class: "side", "aria-label": `${SIDES[i]} completion` }, el("h3", {}, SIDES[i]), body))),
  ];
}

function people({ labels }) {
  if (!labels.length) return el("p", { class: "soft" }, "Nobody has labelled this item yet.");
  return el("section", {}, el("h3", {}, "What people said"),
    el("div", { class: "wide" }, el("table", { class: "votes said" },
      el("thead", {}, el("tr", {}, ["Annotator", "Choice", "Why", "Seconds"].map((name, i) => el("th", { scope: "col", class: i < 3 ? "words" : null }, name)))),
      el("tbody", {}, labels.map((one) => el("tr", {},
        el("th", { scope: "row" }, one.annotator, one.dropped ? el("span", { class: "soft note" }, "left out") : null),
        el("td", { class: "words" }, el("b", {}, SAID[one.choice]), one.strength ? `, ${STRENGTHS[one.strength]}` : ""),
        el("td", { class: "words" }, one.rationale ? el("div", { class: "rationale", dir: "auto" }, one.rationale) : null,
          one.flag ? el("div", { class: "careful" }, el("span", { class: "badge" }, "flag"), " ", one.flag) : null),
        el("td", {}, Math.round(one.seconds))))))));
}

function rewritten(edits) {
  if (!edits.length) return null;
  return el("section", {}, edits.map((one) => el("details", {},
    el("summary", {}, `${one.annotator} rewrote the ${SIDES[one.completion - 1].toLowerCase()}`), el("div", { class: "text", dir: "auto" }, one.text))));
}

function guides(all) {
  if (!all.length) return null;
  return el("details", {}, el("summary", {}, all.length === 1 ? "The principle" : `The principles (${all.length})`),
    all.map((one) => el("article", {}, el("p", { class: "soft" }, one.id), el("p", { class: "text" }, one.rule),
      one.rationale ? el("p", { class: "text soft" }, one.rationale) : null,
      one.examples.map((example) => el("dl", {}, [["Prompt", example.prompt], ["Better", example.better], ["Worse", example.worse]].map(([name, text]) =>
        [el("dt", {}, name), el("dd", { class: "text" }, text)]))))));
}

function judges(verdicts) {
  const place = el("div", {});
  const button = el("button", { type: "button", id: "judges", "aria-keyshortcuts": "J", on: { click: async () => {
    try {
      replace(place, said(await verdicts()));
      button.hidden = true;
      place.scrollIntoView({ block: "center" });
    } catch (fault) {
      tellFault(fault);
    }
  } } }, "Show what the judges said ", el("kbd", { "aria-hidden": "true" }, "J"));
  return el("section", { "aria-live": "polite" }, el("div", { class: "actions" }, button), place);
}

function said({ p_left: share, decided_by: by, spoken }) {
  return [
    el("h3", {}, "What the judges said"),
    el("p", {}, el("b", {}, "The run's label: "), leaning(share), by.length ? `, decided by ${by.join(", ")}` : ""),
    el("div", { class: "wide" }, el("table", { class: "votes" },
      el("thead", {}, el("tr", {}, ["Principle", "Judge", "Both ways", "Shown this way round", "The other way round"].map((name) => el("th", { scope: "col", class: "words" }, name)))),
      el("tbody", {}, spoken.map((one) => el("tr", {}, el("th", { scope: "row" }, one.principle),
        [one.judge || "a check", leaning(one.p_left) + (one.orders_agree === false ? " (orders disagree)" : "") + (one.heard ? "" : " (not heard)"),
          sentence(one.left_first || "–"), sentence(one.right_first || "–")].map((text) => el("td", { class: "words" }, text))))))),
  ];
}

function leaning(share) {
  if (share === null) return "no verdict";
  if (share === 0.5) return "a tie";
  return share > 0.5 ? `First, ${percent(share)}` : `Second, ${percent(1 - share)}`;
}
