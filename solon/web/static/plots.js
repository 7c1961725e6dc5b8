// Plots for the lead: dots with whiskers on one scale, and a course over time. What a plot shows stands in words beside
// it, row by row, so a screen reader misses nothing.

import { el, svg } from "./elements.js";

const HIGH = 28;

export const percent = (value) => `${Math.round(100 * value)}\u00a0%`;
export const between = ({ value, low, high }) => `${percent(value)} (${Math.round(100 * low)} to ${Math.round(100 * high)})`;

/**
 * Rows of {label, note, value, low, high, text, tone}; no `value` is "no figure". The scale goes from `from` to `to`;
 * `marks` are upright lines [{at}], which the caption explains; `plain` figures are no shares. Dots, since a bar from a
 * cut axis would lie.
 */
export function dots(rows, { from = 0, to = 1, marks = [], caption, head = ["", ""], ticks = 4, plain = false }) {
  return el("div", {},
    el("table", { class: "dots" },
      el("caption", {}, caption),
      el("thead", {}, el("tr", {},
        el("th", { scope: "col" }, head[0]),
        el("th", { scope: "col", class: "plot" }, axis(from, to, ticks, plain), el("span", { class: "visually-hidden" }, "plot")),
        el("th", { scope: "col" }, head[1]))),
      el("tbody", {}, rows.map((row) => el("tr", {},
        el("th", { scope: "row" }, row.label, row.note ? el("span", { class: "soft note" }, row.note) : null),
        el("td", { class: "plot" }, dot(row, { from, to, marks })),
        el("td", {}, row.text ?? (Number.isFinite(row.value) ? between(row) : "no figure")))))));
}

function axis(from, to, ticks, plain) {
  const steps = Array.from({ length: ticks + 1 }, (_, i) => from + ((to - from) * i) / ticks);
  const told = (step) => (plain ? String(Math.round(100 * step) / 100) : percent(step));
  return el("span", { class: "axis", "aria-hidden": "true" }, steps.map((step) => el("span", {}, told(step))));
}

/** One dot with its whiskers. */
export function dot({ value, low, high, tone = "judge" }, { from = 0, to = 1, marks = [] } = {}) {
  const at = (share) => `${Math.max(0, Math.min(100, (100 * (share - from)) / (to - from || 1)))}%`;
  const upright = (share, kind, inset) => svg("line", { class: kind, x1: at(share), x2: at(share), y1: inset, y2: HIGH - inset });
  const known = Number.isFinite(value);
  return svg("svg", { class: "dot", height: HIGH, "aria-hidden": "true" },
    marks.map((mark) => upright(mark.at, "mark-line", 0)),
    known && Number.isFinite(low) ? [
      svg("line", { class: `arm ${tone}`, x1: at(low), x2: at(high), y1: HIGH / 2, y2: HIGH / 2 }),
      upright(low, `arm ${tone}`, 9), upright(high, `arm ${tone}`, 9),
    ] : null,
    known ? svg("circle", { class: `fill ${tone}`, cx: at(value), cy: HIGH / 2, r: 5 }) : null);
}

/** Shares over time as a small line between 0 (below) and 1; `words` says the same. */
export function course(shares, words) {
  const wide = 96, high = 24;
  const at = (share, i) => `${((i * wide) / (shares.length - 1)).toFixed(1)},${(2 + (1 - share) * (high - 4)).toFixed(1)}`;
  return svg("svg", { class: "course", viewBox: `-2 0 ${wide + 4} ${high}`, width: wide + 4, height: high, role: "img", "aria-label": words },
    [2, high - 2].map((y) => svg("line", { class: "floor", x1: 0, x2: wide, y1: y, y2: y })),
    svg("polyline", { points: shares.map(at).join(" ") }));
}
