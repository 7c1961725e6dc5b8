// A difference between two texts, as the server found it: lines with numbers and signs, and the words that are new.

import { el } from "./kit.js";

const SIGNS = { same: " ", old: "−", new: "+", gap: "" };
const SAID = { old: "removed: ", new: "added: " };

/** `lines` as the API gives them; null where there is none to show. */
export function difference(lines) {
  if (!lines.some((line) => line.kind === "old" || line.kind === "new")) return el("p", { class: "soft" }, "The two are the same.");
  return el("div", { class: "diff", tabindex: 0, role: "region", "aria-label": "What is different" }, lines.map((line) =>
    el("div", { class: line.kind },
      el("span", { class: "n" }, line.kind === "gap" ? "⋮" : line.old ?? ""),
      el("span", { class: "n" }, line.kind === "gap" ? "" : line.new ?? ""),
      el("span", { "aria-hidden": "true" }, SIGNS[line.kind]),
      el("code", {}, SAID[line.kind] ? el("span", { class: "visually-hidden" }, SAID[line.kind]) : "",
        line.segments.map((part) => (part.own && line.kind === "old" ? el("del", {}, part.text)
          : part.own && line.kind === "new" ? el("ins", {}, part.text) : part.text))))));
}
