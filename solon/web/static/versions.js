// The versions of the principle file, the newest first; one is looked at beside the next or beside what is there now.

import { api, el, replace, tellFault } from "./kit.js";
import { difference } from "./difference.js";

const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Fills `past`; `restore(version, text)` is null where nothing can be saved. */
export async function versions({ past, path, restore }) {
  const list = el("ol", { class: "versions", reversed: true });
  const more = el("button", { type: "button", on: { click: () => add(list.dataset.before).catch(tellFault) } }, "Older versions");
  replace(past, list, el("div", { class: "actions" }, more));
  await add("");

  async function add(before) {
    more.disabled = true;
    try {
      const some = await api("GET", `${path}/history${before ? `?before=${before}` : ""}`);
      list.append(...some.map((version, place) => entry(version, !before && place === 0, path, restore)));
      list.dataset.before = some.at(-1)?.number ?? 1;
    } finally {
      more.disabled = false;
      more.hidden = Number(list.dataset.before) <= 1;
    }
  }
}

function entry(version, newest, path, restore) {
  const body = el("div", {});
  const who = version.by ? `saved by ${version.by}` : "found on the disk, saved by nobody here";
  const details = el("details", { on: { toggle: async () => {
    if (!details.open || details.dataset.loaded) return;
    details.dataset.loaded = "yes";
    try {
      replace(body, look(await api("GET", `${path}/history/${version.number}`), newest, restore));
    } catch (fault) {
      delete details.dataset.loaded;
      tellFault(fault);
    }
  } } }, el("summary", {}, newest ? "Its text" : "What was changed since, and the text"), body);
  return el("li", {},
    el("p", {}, el("strong", {}, `Version ${version.number} `), newest ? el("span", { class: "badge good" }, "now") : "",
      el("span", { class: "soft" }, ` ${TIME.format(new Date(version.at))}, ${who}; `,
        version.principles === null ? "not sound" : `${version.principles} principles`)),
    version.note ? el("p", {}, version.note) : "",
    version.changes ? el("p", { class: "soft" }, short(version.changes)) : "", details);
}

function short({ added, removed, reworded }) {
  const parts = [["added", added], ["removed", removed], ["reworded", reworded]].filter(([, ids]) => ids.length);
  return parts.length ? parts.map(([what, ids]) => `${what}: ${ids.join(", ")}`).join("; ") : "no principle says anything else";
}

function look(found, newest, restore) {
  if (newest) return el("pre", { tabindex: 0 }, found.text);
  return [
    el("div", { class: "actions" }, restore ? el("button", { type: "button", on: { click: () => restore(found.version, found.text) } }, "Bring this version back") : ""),
    el("h3", {}, "What was changed since"), difference(found.now),
    el("details", {}, el("summary", {}, "What the next version changed"), difference(found.next ?? [])),
    el("details", {}, el("summary", {}, "The whole text"), el("pre", { tabindex: 0 }, found.text)),
  ];
}
