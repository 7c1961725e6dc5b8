// What stays on the page while items come and go: progress, the state of saving, the tools, and places for the rest.

import { el, replace } from "./kit.js";

/** Draws the frame into <main>. `tools` are [{name, label, key, act}]; `again()` is for "Try now". */
export function makeFrame(main, tools, again) {
  const count = el("p", { class: "count", id: "count" });
  const meter = el("progress", { "aria-labelledby": "count", value: 0, max: 1 });
  const state = el("p", { class: "state", role: "status" });
  const buttons = Object.fromEntries(tools.map(({ name, label, key, act }) => [name,
    el("button", { type: "button", class: "quiet", "aria-keyshortcuts": key, on: { click: act } }, label, " ", el("kbd", { "aria-hidden": "true" }, key))]));
  const alarm = el("div", { class: "alarm", role: "alert" });
  const place = el("div", { class: "place" });
  const foot = el("div", { class: "foot" });
  replace(main,
    el("section", { class: "topline", "aria-label": "Progress and tools" },
      el("div", { class: "progress" }, count, meter), state, el("div", { class: "tools" }, Object.values(buttons))),
    alarm, place, foot);

  for (const name of ["diff", "guidelines"]) buttons[name].hidden = true; // until there is one

  return {
    place, foot, buttons,
    progress({ done, skipped, left }) {
      const skips = skipped ? `, ${skipped} skipped` : "";
      replace(count, el("strong", {}, done), ` done${skips}, about `, el("strong", {}, left), " left for you");
      meter.max = Math.max(1, done + skipped + left);
      meter.value = done + skipped;
    },
    /** What is happening to the last decision: "", "saving…", "saved". */
    state(text, tone = "") {
      state.className = `state ${tone}`;
      if (state.textContent !== text) replace(state, text);
    },
    /** A line that stays until it is over; null takes it away. `act` is a button: {label, does}. */
    alarm(text, { act, more, tone = "careful" } = {}) {
      alarm.className = text ? `alarm notice ${tone}` : "alarm";
      if (!text) return void replace(alarm);
      replace(alarm, el("div", {}, el("p", {}, text), more), act ? el("button", { type: "button", on: { click: act.does } }, act.label) : null);
    },
    /** Says that the server is away, and for how long yet; only the first time is read out. */
    waiting(saving, text) {
      const line = alarm.querySelector(".waiting");
      if (line) return void replace(line, text);
      alarm.className = "alarm notice careful";
      const fact = saving ? "Not saved yet, trying again. " : "The next item cannot be fetched yet, trying again. ";
      replace(alarm, el("p", {}, el("strong", {}, fact), el("span", { class: "waiting", "aria-live": "off" }, text)),
        el("button", { type: "button", on: { click: again } }, "Try now"));
    },
  };
}
