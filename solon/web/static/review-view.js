// An item on the page: the prompt, the two completions, the principles beside them. No length is told: it would bias.

import { el, replace } from "./kit.js";

const SIDES = ["First", "Second"];
const WIDE = "(min-width: 75rem)"; // where the principles fit beside the completions
const CLAMPED = 0.45; // of the window: a longer prompt is folded, so that the completions are in sight

/** Draws `shown` into `place` and gives what the rest of the page needs of it. */
export function drawItem(place, shown, number, actions) {
  const heading = el("h1", { tabindex: -1, id: "item" }, `Item ${number}`, el("span", { class: "visually-hidden" }, ": which completion is better?"));
  const sides = shown.completions.map((text, index) => completion(text, index, actions));
  const guides = principles(shown.guides);
  replace(place,
    el("div", { class: guides ? "item beside" : "item" },
      heading,
      guides,
      el("div", { class: "reading" },
        prompt(shown.prompt),
        // The page scrolls as one: in long texts the same wheel or key moves both completions, nothing is read through
        // a slot, and no scroll is trapped. The headings and the choice stay in sight.
        el("div", { class: "pair" }, sides.map((side) => side.node)))));
  fold(place.querySelector(".prompt .text.last"));
  return { heading, sides, guides };
}

function prompt(turns) {
  const earlier = turns.slice(0, -1);
  const one = turns.length === 1;
  return el("section", { class: "prompt", "aria-labelledby": "prompt-heading" },
    el("h2", { id: "prompt-heading" }, "Prompt"),
    earlier.length ? el("details", { open: earlier.length < 3 },
      el("summary", {}, earlier.length === 1 ? "One earlier turn" : `${earlier.length} earlier turns`),
      earlier.map((turn) => said(turn, false))) : null,
    turns.slice(-1).map((turn) => said(turn, one && turn.role === "user", "last")));
}

function said(turn, plain, place = "") {
  const who = { user: "User", assistant: "Assistant", system: "System" }[turn.role] ?? turn.role;
  return el("div", { class: `turn ${turn.role === "assistant" ? "reply" : ""}` },
    plain ? null : el("h3", {}, who), el("div", { class: `text ${place}`, dir: "auto" }, turn.content));
}

function fold(text) {
  if (!text || text.offsetHeight < innerHeight * CLAMPED) return;
  text.id = "prompt-text";
  text.classList.add("folded");
  const more = el("button", { type: "button", "aria-expanded": "false", "aria-controls": text.id, on: { click: () => {
    const open = text.classList.toggle("folded") === false;
    more.setAttribute("aria-expanded", String(open));
    more.textContent = open ? "Fold the prompt" : "Show the whole prompt";
  } } }, "Show the whole prompt");
  text.after(more);
}

function completion(text, index, actions) {
  const name = SIDES[index];
  const body = el("div", { class: "text", dir: "auto" }, text);
  const edit = el("button", { type: "button", class: "quiet", "aria-label": `Edit the ${name.toLowerCase()} completion`,
    on: { click: () => actions.edit(index + 1) } }, "Edit");
  const head = el("div", { class: "side-head" }, el("h2", { id: `side-${index + 1}` }, name, " ", el("kbd", { "aria-hidden": "true" }, index + 1)), edit);
  const node = el("section", { class: "completion", "aria-labelledby": `side-${index + 1}` }, head, body);
  return { node, head, body, text, edit, name };
}

/** Tells on its button whether there is an unsaved version of a completion. */
export function markDraft({ edit, name }, unsaved) {
  edit.textContent = unsaved ? "Unsaved version" : "Edit";
  edit.classList.toggle("unsaved", unsaved);
  edit.setAttribute("aria-label", `Edit the ${name.toLowerCase()} completion${unsaved ? ": your unsaved version is kept" : ""}`);
}

/**
 * Marks what stands on one side only. Both sides are underlined, each in its own manner, and in colours that say neither
 * good nor bad: which side is which was drawn, so nothing here is "deleted" or "added".
 */
export function drawDiff(sides, diff, on) {
  sides.forEach((side, index) => {
    const pieces = on && diff ? diff[index === 0 ? "left" : "right"] : [{ text: side.text, own: false }];
    replace(side.body, pieces.map(({ text, own }) => (own ? el("mark", { class: `only-${index + 1}` }, text) : text)));
  });
}

function principles(guides) {
  if (!guides.length) return null;
  const wide = matchMedia(WIDE);
  const title = guides.length === 1 ? "Principle" : `Principles (${guides.length})`;
  const all = el("details", { open: wide.matches }, el("summary", { "aria-keyshortcuts": "P" }, el("h2", {}, title), el("kbd", { "aria-hidden": "true" }, "P")),
    el("div", { class: "guides" }, guides.map((guide) => principle(guide, guides.length === 1))));
  return el("aside", { class: "principles", "aria-label": title }, all);
}

function principle({ id, rule, rationale, examples }, alone) {
  return el("article", { class: "guide" },
    el("p", { class: "soft" }, id),
    el("div", { class: "text rule", dir: "auto" }, rule),
    rationale ? [el("h3", {}, "Why"), el("div", { class: "text", dir: "auto" }, rationale)] : null,
    examples.length ? el("details", { open: alone },
      el("summary", {}, examples.length === 1 ? "An example" : `${examples.length} examples`), examples.map(example)) : null);
}

function example({ prompt: asked, better, worse }) {
  const part = (name, text, tone) => [el("dt", { class: tone }, name), el("dd", { class: "text", dir: "auto" }, text)];
  return el("dl", { class: "example" }, part("Prompt", asked), part("Better", better, "better"), part("Worse", worse, "worse"));
}
