// How far the work is.

import { el } from "./kit.js";
import { count, span } from "./figures.js";

const KINDS = { audit: "drawn at random", worth: "where a label is worth most", gold: "label known, to check people" };

export function progress({ progress: state, rounds }) {
  if (!state.items) {
    return [el("h2", {}, "Progress"), el("p", { class: "empty" }, "Nothing is drawn yet: an admin draws items below.")];
  }
  const share = state.wanted ? state.labels / state.wanted : 0;
  return [
    el("h2", {}, "Progress"),
    el("progress", { value: share, max: 1, "aria-label": `${state.labels} of ${state.wanted} labels` }),
    el("ul", { class: "facts" },
      fact(`${state.labels.toLocaleString("en")} of ${state.wanted.toLocaleString("en")}`, `labels (${Math.floor(100 * share)} %)`),
      fact(`${state.labelled.toLocaleString("en")} of ${state.items.toLocaleString("en")}`, "items looked at"),
      fact(Math.round(state.per_hour).toLocaleString("en"), "labels in an hour"),
      fact(left(state), state.hours_left ? "to go at this pace" : "")),
    el("details", {}, el("summary", {}, `By round and kind (${count(rounds.length, "round")})`),
      el("div", { class: "wide" }, el("table", {},
        el("thead", {}, el("tr", {}, ["Round", "Kind", "Items", "Looked at", "Labels", "Wanted"].map((name, i) =>
          el("th", { scope: "col", class: i === 1 ? "words" : null }, name)))),
        el("tbody", {}, state.parts.map((part) => el("tr", {},
          el("th", { scope: "row" }, part.round),
          el("td", { class: "words" }, `${part.kind}: ${KINDS[part.kind]}`),
          [part.items, part.labelled, part.labels, part.wanted ?? "–"].map((n) => el("td", {}, n.toLocaleString("en"))))))))),
  ];
}

function fact(figure, words) {
  return figure ? el("li", {}, el("b", {}, figure), ` ${words}`) : null;
}

function left({ hours_left: hours, wanted, labels }) {
  if (labels >= wanted) return "done";
  return hours === null ? "nobody labels just now" : `about ${span(hours)}`;
}
