// Everybody by the numbers, and in words what should worry the lead.

import { ask, el } from "./kit.js";
import { count } from "./figures.js";
import { between, course, dot, percent } from "./plots.js";

const HALF = [{ at: 0.5 }];

export function warnings(doubts, annotators) {
  const dropped = new Set(annotators.filter((one) => one.dropped).map((one) => one.name));
  const open = doubts.filter((one) => !dropped.has(one.annotator));
  if (!open.length) return null;
  return [
    el("h2", {}, "Worth a word"),
    el("ul", { class: "warnings" }, open.map((one) => el("li", { class: one.severe ? "bad" : "careful" },
      el("span", { class: "badge" }, one.severe ? "serious" : "look"), el("b", {}, one.annotator), el("span", {}, one.text)))),
  ];
}

/** `drop(name, dropped)` is null where this member may not. */
export function people(seen, found, drop) {
  if (!seen.annotators.length) return [el("h2", {}, "Annotators"), el("p", { class: "soft" }, "Nobody has labelled yet.")];
  const figures = new Map((found?.people ?? []).map((one) => [one.annotator, one]));
  const worries = (name, ...what) => (found?.doubts ?? []).find((one) => one.annotator === name && what.includes(one.what));
  const tone = (name, usual, ...what) => { const worry = worries(name, ...what); return worry ? (worry.severe ? "bad" : "careful") : usual; };
  const rows = seen.annotators.map((who) => {
    const one = figures.get(who.name);
    return row(who, one, tone, { drop, none: !one && seen.figures.working ? "being made" : "no figure" });
  });
  const heads = ["Annotator", "Labels", "Right on known items", "Over time", "Agrees with the others", "Chooses what is shown first", "Median time", "Too quick", "Ties", "Skips", "Flags", ...(drop ? [el("span", { class: "visually-hidden" }, "Leave out")] : [])];
  return [
    el("h2", {}, "Annotators"),
    el("p", { class: "soft" }, "Shares with 95\u00a0% intervals, from 0 to 100\u00a0%; the dashed line is one half. Annotators see nothing of this."),
    el("div", { class: "wide" }, el("table", { class: "people", "aria-label": "Annotators" },
      el("thead", {}, el("tr", {}, heads.map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, rows))),
    seen.annotators.some((one) => one.dropped) ? el("p", { class: "soft" }, "Labels of people with a line through their name count nowhere and are not exported. Nothing is deleted.") : null,
  ];
}

function row(who, one, tone, { drop, none }) {
  const plain = (share, ...what) => el("td", { class: tone(who.name, "", ...what) && "mark-of" },
    share ? [percent(share.value), tone(who.name, "", ...what) ? " !" : ""] : "–");
  return el("tr", { class: who.dropped ? "dropped" : null },
    el("th", { scope: "row" }, el("span", { class: "name" }, who.name), who.dropped ? el("span", { class: "soft note" }, "left out") : null),
    el("td", {}, who.labels.toLocaleString("en")),
    figure(one?.gold, tone(who.name, "people", "gold"), [], none),
    el("td", {}, curve(one)),
    figure(one?.agreement, tone(who.name, "other", "agreement"), [], none),
    figure(one?.left, tone(who.name, "judge", "position"), HALF, none),
    el("td", {}, one?.seconds === null || one?.seconds === undefined ? "–" : `${one.seconds < 10 ? one.seconds.toFixed(1) : Math.round(one.seconds)} s`),
    plain(one?.hasty, "speed"), plain(one?.ties, "ties"), plain(one?.skips, "skips"),
    el("td", {}, one ? one.flags : "–"),
    drop ? el("td", {}, button(who, drop)) : null);
}

function button(who, drop) {
  const words = who.dropped ? "Take in again" : "Leave out";
  return el("button", { type: "button", class: who.dropped ? null : "danger", "aria-label": `${words}: ${who.name}`, data: { focus: `drop-${who.name}` },
    on: { click: () => change(who, drop) } }, words);
}

function figure(share, tone, marks, none) {
  if (!share) return el("td", {}, el("span", { class: "soft" }, none));
  return el("td", {}, el("span", { class: "small-plot" }, dot({ ...share, tone }, { marks })), el("span", { class: "note" }, `${between(share)}`), el("span", { class: "note soft" }, `of ${share.n}`));
}

function curve(one) {
  const shares = one?.gold_course ?? [];
  if (shares.length < 2) return el("span", { class: "soft" }, "–");
  const words = `right on known items, ten at a time: from ${percent(shares[0])} to ${percent(shares.at(-1))}`;
  return [course(shares, words), el("span", { class: "note" }, `${percent(shares[0])} → ${percent(shares.at(-1))}`)];
}

async function change(who, drop) {
  if (who.dropped) return drop(who.name, false);
  const words = `${count(who.labels, "label")} of ${who.name} will count nowhere: not in the figures, not in the export. They stay stored, and you can take them in again.`;
  const sure = await ask(`Leave out ${who.name}?`, words, [{ label: "Leave out", value: true, class: "danger" }, { label: "Keep", value: false }]);
  if (sure) await drop(who.name, true);
}
