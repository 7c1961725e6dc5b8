// What the lead changes: the guidelines, and further rounds.

import { api, ask, el, ofRun, replace, tell, tellFault } from "./kit.js";
import { clock, count } from "./figures.js";

export async function controls(run, admin, changed) {
  const editor = el("section", {});
  const load = async () => {
    const versions = await api("GET", ofRun(run, "lead", "guidelines"));
    replace(editor, guidelines(run, admin, versions, load));
  };
  await load().catch(tellFault);
  return [editor, admin ? drawing(run, changed) : null];
}

function guidelines(run, admin, versions, reload) {
  const now = versions[0]?.guidelines;
  const field = el("textarea", { id: "guidelines", rows: 10, maxlength: 50000, value: now?.text ?? "" });
  const save = async () => {
    if (field.value === (now?.text ?? "")) return tell("Nothing has changed.", "warn");
    try {
      const made = await api("PUT", ofRun(run, "lead", "guidelines"), { text: field.value });
      tell(`Version ${made.version} is saved; annotators see it before their next label.`);
      await reload();
      document.getElementById("guidelines")?.focus();
    } catch (fault) {
      tellFault(fault);
    }
  };
  return [
    el("h2", {}, "Guidelines"),
    el("p", { class: "soft" }, now?.version ? `Version ${now.version}, by ${now.by}, ${clock(now.at)}.` : "None are written yet."),
    admin
      ? [el("div", { class: "field" }, el("label", { for: "guidelines" }, "What annotators should know"), field,
          el("p", { class: "soft" }, "Each save is a new version. Every label keeps the version it was made under.")),
        el("div", { class: "actions" }, el("button", { type: "button", class: "main", on: { click: save } }, "Save as a new version"))]
      : el("pre", {}, now?.text || "–"),
    versions.length ? el("details", { class: "history" }, el("summary", {}, `Versions (${versions.length})`),
      versions.map((one) => el("details", {},
        el("summary", {}, `Version ${one.guidelines.version}: ${count(one.labels, "label")}`),
        one.guidelines.version ? el("p", { class: "soft" }, `By ${one.guidelines.by}, ${clock(one.guidelines.at)}`) : null,
        el("pre", {}, one.guidelines.text || "(empty)")))) : null,
  ];
}

function drawing(run, changed) {
  const number = (id, value, min, max, step = 1) => el("input", { id, type: "number", value: String(value), min, max, step, required: true, inputmode: "decimal" });
  const n = number("draw-n", 100, 1, 100000), overlap = number("draw-overlap", 2, 1, 20), share = number("draw-share", 20, 0, 100);
  const policy = el("select", { id: "draw-policy" },
    el("option", { value: "mixed" }, "Half at random, half where a label is worth most"),
    el("option", { value: "random" }, "All at random: measures best"),
    el("option", { value: "uncertain" }, "All where a label is worth most: improves, but measures nothing"));
  const form = el("form", { on: { submit: send } },
    el("div", { class: "columns" },
      field("How many items", n), field("Which", policy),
      field("Labels by different people", overlap, "Two or more show how far people agree, and find disputes."),
      field("Share of the items with so many, in percent", share, "The others get one label each.")),
    el("div", { class: "actions" }, el("button", { type: "submit" }, "Draw")));
  const told = el("div", { role: "status" });

  async function send(event) {
    event.preventDefault();
    const wanted = { n: Number(n.value), policy: policy.value, overlap: Number(overlap.value), overlap_share: Number(share.value) / 100 };
    const sure = await ask(`Draw ${count(wanted.n, "item")}?`, "A round cannot be taken back: its items come to annotators at once.",
      [{ label: "Draw", value: true }, { label: "Not yet", value: false }]);
    if (!sure) return;
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      replace(told, drawnInWords(await api("POST", ofRun(run, "lead", "draw"), wanted), wanted.policy).map((line) => el("p", {}, line)));
      await changed();
    } catch (fault) {
      tellFault(fault);
    } finally {
      button.disabled = false;
    }
  }
  return el("section", {}, el("h2", {}, "Draw more"), form, told);
}

const KINDS = { audit: "at random", worth: "for their worth", gold: "to check annotators" };

/** What a round drew and why, sentence by sentence; `solon review draw` says the same. */
function drawnInWords(found, policy) {
  const { audit, worth } = found.drawn;
  const kinds = Object.keys(KINDS).filter((kind) => found.drawn[kind]);
  const items = kinds.reduce((sum, kind) => sum + found.drawn[kind], 0);
  const drawn = kinds.map((kind) => `${found.drawn[kind].toLocaleString("en")} ${KINDS[kind]}`).join(", ");
  const reasons = Object.entries(found.reasons).map(([reason, number]) => `${number.toLocaleString("en")} since ${reason}`).join(", ");
  return [
    `Round ${found.round}: ${count(items, "item")}${drawn ? ` (${drawn})` : ""}; ${found.left.toLocaleString("en")} of ${count(found.couples, "couple")} are left.`,
    reasons && `Of those drawn for their worth: ${reasons}.`,
    audit + worth < found.asked && `Fewer than the ${found.asked.toLocaleString("en")} asked for: there are no more.`,
    found.needed > found.asked && audit && `${count(found.new, "couple is", "couples are")} new since the last round: draw at least ${found.needed.toLocaleString("en")} for an even sample, which this is not.`,
    found.by_labels && `What is worth asking was decided with the labels of ${count(found.by_labels, "couple")} so far.`,
    !found.by_labels && worth && found.left && "Draw a part of what people can label now and the rest later: a further round follows what they said in the first.",
    policy === "uncertain" && "Nothing was drawn at random, so these labels tell nothing of the other couples' quality.",
  ].filter(Boolean);
}

function field(label, input, words = "") {
  return el("div", { class: "field" }, el("label", { for: input.id }, label), input, words ? el("p", { class: "soft" }, words) : null);
}
