// Judges beside people, and people beside one another.

import { el } from "./kit.js";
import { count } from "./figures.js";
import { between, dots, percent } from "./plots.js";

const MOST = 12; // rows that are shown at once

export function judges(found) {
  if (!found) return null;
  const rows = [
    ...(found.label ? [{ ...found.label, label: "The run's label", note: "what the export takes", tone: "people" }] : []),
    ...found.judges.map((one) => ({ ...one, label: one.principle || one.judge, note: one.principle ? one.judge : null })),
  ].map((row) => ({ ...row, text: `${between(row)}, n = ${row.labels}` }));
  if (!rows.length) return [el("h2", {}, "Judges beside people"), el("p", { class: "soft" }, found.why || "No figures yet.")];
  const from = Math.max(0, Math.min(0.4, Math.floor(5 * Math.min(...rows.map((row) => row.low))) / 5));
  const table = (some, caption) => dots(some, { from, ticks: Math.round((1 - from) * 5), // every 20 %
    marks: [{ at: 0.5 }], caption, head: ["Principle and judge", "Agreement"] });
  const caption = "How often people agree with it, with 95\u00a0% intervals, over all items it judged. First the run's label, then the worst judge. The dashed line is one half.";
  return [
    el("h2", {}, "Judges beside people"),
    table(rows.slice(0, MOST), caption),
    rows.length > MOST ? el("details", {}, el("summary", {}, `${rows.length - MOST} more`), table(rows.slice(MOST), "The others.")) : null,
  ];
}

export function agreement(among) {
  if (!among) return null;
  const figure = (label, one, note) => ({ label, note, ...(one ?? {}), tone: "other", text: one ? told(one) : "no figure" });
  const rows = [
    figure("Two people say the same", among.pairwise, "of those asked about one item"),
    figure("A person says what most others say", among.left_out, "the ceiling for any judge"),
    figure("Krippendorff's α", among.alpha, "1 is perfect, 0 is chance"),
    ...(among.five ? [figure("α with ties told apart", among.five, "tie, both good and both bad as three choices")] : []),
    figure("Cohen's κ, mean of pairs", among.kappa, among.kappa ? `${count(among.kappa.n, "pair")} of people` : "no two people share 20 items"),
  ];
  const couples = among.couples.map((one) => figure(`${one.one} and ${one.other}`, one.kappa,
    `${count(one.accuracy.n, "shared item")}, the same on ${percent(one.accuracy.value)}`));
  return [
    el("h2", {}, "People beside one another"),
    among.shared
      ? scaled(rows, `${count(among.shared, "item")} with two people or more, of ${count(among.items, "labelled item")}; known items and dropped people are left out.`, ["", "Figure"])
      : el("p", { class: "soft" }, "No item has two people's labels: draw with an overlap of two or more to see how far people agree."),
    couples.length ? el("details", {}, el("summary", {}, `Each pair of people (${couples.length})`),
      scaled(couples, "Cohen's κ on the items that both labelled: 1 is perfect, 0 is chance.", ["Pair", "κ"])) : null,
  ];
}

const told = ({ value, low, high }) => `${value.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;

/** From 0, or from where the lowest interval begins, in steps of a quarter. */
function scaled(rows, caption, head) {
  const from = Math.min(0, ...rows.map((row) => Math.floor(2 * (row.low ?? 0)) / 2));
  return dots(rows, { from, ticks: Math.round(4 * (1 - from)), plain: true, marks: from < 0 ? [{ at: 0 }] : [], caption, head });
}
