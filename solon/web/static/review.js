// The page on which a person labels: an item, what is said of it, and the server's word that it is saved.
// Nothing new is taken while something is not saved; what was saved is told only when the server has acknowledged it.

import { api, ask, begin, el, ofRun, replace, runOfPage, tell, tellFault, toLogin } from "./kit.js";
import { heartbeat } from "./review-beat.js";
import { askFlag, askSkip, showGuidelines, showHelp } from "./review-dialogs.js";
import { makeDock } from "./review-dock.js";
import { openEditor, savedVersion } from "./review-editor.js";
import { makeFrame } from "./review-frame.js";
import { EMPTY, isEmpty, keptFor } from "./review-kept.js";
import { OFF, OFF_LABEL, keys } from "./review-keys.js";
import { line } from "./review-line.js";
import { makeOutbox } from "./review-outbox.js";
import { makeTabs } from "./review-tabs.js";
import { drawDiff, drawItem, markDraft } from "./review-view.js";

const run = runOfPage();
let kept, tabs, server, outbox, lease;
let shown = null; // the item on the screen
let drawn = null; // its parts
let draft = { ...EMPTY };
let editor = null; // {completion, ...}
let busy = true; // a decision or a fetch is under way
let leaving = false;
let dimming = 0;
let progress = null; // {done, skipped, left}, counted by the server
let guidelines = { version: 0, text: "" };

const actions = {
  choose, strength: (strength) => preferred() && change({ strength }), save, skip, edit, flag, diff: toggleDiff, undo, help,
  rationale: () => shown && dock.write(), principles: () => fold(drawn?.guides), guidelines: () => guidelines.version && showGuidelines(guidelines, false),
};
const frame = makeFrame(document.getElementById("main"), [
  { name: "undo", label: "Undo", key: "U", act: undo }, { name: "diff", label: "Diff", key: "D", act: toggleDiff },
  { name: "guidelines", label: "Guidelines", key: "L", act: () => actions.guidelines() }, { name: "help", label: "Help", key: "?", act: help },
], () => server.again());
const dock = makeDock({ ...actions, save }, change);

async function start() {
  if (!run) return tell("No run is named: go to the list of runs", "error");
  const member = await begin({ title: "Review", run, role: "annotator" });
  kept = keptFor(member.name, run);
  tabs = makeTabs(member.name, run, otherTab);
  server = line(waiting);
  keys((name, argument) => { if (!busy || name === "help") actions[name](argument); }, () => kept.setting(OFF));
  outbox = makeOutbox(kept, request, { sending, acknowledged, refused });
  lease = heartbeat({ item: () => (busy ? null : shown?.item ?? null), lost: leaseLost,
    beat: (item) => api("POST", path("items", item, "heartbeat"), undefined, { stay: true }) });
  await (outbox.left() ?? next());
}

const path = (...parts) => ofRun(run, "review", ...parts);
const request = (method, parts, body, key) => server.through((signal) => api(method, path(...parts), body, { key, signal, stay: true }));

// ---- an item comes

async function next() {
  occupied(true);
  [shown, draft] = [null, { ...EMPTY }]; // the old item stays on the screen until the new one is here
  try {
    await show(await request("POST", ["next"]));
  } catch (fault) {
    trouble(fault);
  }
}

async function show(reply) {
  frame.progress(progress = reply.progress);
  document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close()); // it was about another item
  await readGuidelines(reply.guidelines);
  editor?.remove();
  [editor, shown] = [null, reply.shown];
  if (!shown) return finished();
  drawn = drawItem(frame.place, shown, progress.done + progress.skipped + 1, actions);
  replace(frame.foot, dock.form);
  draft = kept.draft(shown.item) ?? { ...EMPTY, ...shown.saved, edits: {} };
  kept.keepDraft(shown.item, draft); // what was undone, too
  frame.buttons.diff.hidden = !shown.diff;
  showDiff();
  lease.began();
  occupied(false);
  scrollTo(0, 0);
  drawn.heading.focus({ preventScroll: true });
}

function finished() {
  drawn = null;
  frame.buttons.diff.hidden = true;
  replace(frame.foot);
  const heading = el("h1", { tabindex: -1 }, progress.left ? "Others have the rest just now" : "Nothing is left for you");
  const word = progress.left ? "Some of it may come back to you in a while." : "Thank you. Further rounds appear here.";
  replace(frame.place, el("section", { class: "empty" }, heading, el("p", {}, word),
    el("button", { type: "button", class: "main", on: { click: next } }, "Look again")));
  busy = false;
  heading.focus();
}

async function readGuidelines(version) {
  if (version !== guidelines.version) guidelines = await request("GET", ["guidelines"]);
  frame.buttons.guidelines.hidden = guidelines.version === 0;
  if (guidelines.version <= kept.guidelinesRead()) return;
  frame.alarm(null);
  await showGuidelines(guidelines, true);
  kept.keepGuidelinesRead(guidelines.version);
}

// ---- what the person says

function change(part) {
  if (busy || !shown) return;
  draft = { ...draft, ...part };
  if (!preferred()) draft.strength = null;
  kept.keepDraft(shown.item, draft);
  showDraft();
}

function preferred() {
  return draft.choice === "1" || draft.choice === "2";
}

/** Chooses by key. Pressing 1 or 2 once more says how much better: slightly, somewhat, clearly, by far, and around. */
function choose(choice) {
  if (!shown) return;
  const again = choice === draft.choice && preferred();
  dock.focusChoice(choice); // a screen reader says it, and Enter saves whatever had the focus before
  change(again ? { strength: ((draft.strength ?? 0) % 4) + 1 } : { choice, strength: null });
  if (!again && kept.setting("at once")) save();
}

function save() {
  if (busy || !shown) return;
  if (!draft.choice) return tell("Nothing chosen yet: press 1, 2, T, G or B", "warn");
  const [unsaved] = Object.keys(draft.edits);
  if (unsaved) {
    tell("Your version of a completion is not saved: save it or discard it first", "warn");
    return edit(Number(unsaved));
  }
  const { choice, strength, rationale, flag: note } = draft;
  outbox.decide("label", shown.item, { choice, strength, rationale: rationale.trim(), flag: note });
}

async function skip() {
  if (busy || !shown) return;
  const item = shown;
  const reason = await askSkip({ keys: !kept.setting(OFF) });
  if (reason && shown === item) outbox.decide("skip", shown.item, { reason: draft.flag ? `${reason} (flagged: ${draft.flag})` : reason });
}

async function flag() {
  if (busy || !shown) return;
  const item = shown;
  const note = await askFlag(draft.flag, draft.flagging, (typed) => { if (shown === item) change({ flagging: typed }); });
  if (note !== null && shown === item) change({ flag: note, flagging: "" });
}

async function edit(which) {
  if (busy || !shown) return;
  if (editor) return editor.focus();
  const [unsaved] = Object.keys(draft.edits);
  const completion = which ?? (unsaved ? Number(unsaved) : preferred() ? Number(draft.choice)
    : await ask("Which completion do you want to edit?", null, [{ label: "First", value: 1 }, { label: "Second", value: 2, class: "main" }]));
  if (!completion || busy || !shown) return;
  editor = openEditor(drawn.sides[completion - 1], draft.edits[completion], {
    typed: (text) => (text === null ? dropEdit(completion) : change({ edits: { ...draft.edits, [completion]: text } })),
    save: (text) => outbox.decide("edit", shown.item, { completion, text }),
    closed: (discard) => {
      editor = null;
      if (discard) dropEdit(completion);
      else if (draft.edits[completion] !== undefined) tell("Your version is kept here, not saved yet: E opens it again");
    },
  });
}

function dropEdit(completion) {
  const { [completion]: _, ...edits } = draft.edits;
  change({ edits });
}

function toggleDiff() {
  if (!shown?.diff) return tell("These completions are not related: there is nothing to compare word by word");
  kept.keepSetting("diff", !kept.setting("diff"));
  showDiff();
}

function undo() {
  if (!busy) outbox.decide("undo", shown?.item ?? null);
}

function showDiff() {
  const on = Boolean(shown.diff) && kept.setting("diff");
  drawDiff(drawn.sides, shown.diff, on);
  frame.buttons.diff.setAttribute("aria-pressed", String(on));
}

function fold(guides) {
  const details = guides?.querySelector("details");
  if (details) details.open = !details.open;
}

function help() {
  showHelp([{ label: "Save as soon as I choose by key (without saying how much better)",
    value: kept.setting("at once"), set: (on) => kept.keepSetting("at once", on) },
  { label: OFF_LABEL, value: kept.setting(OFF), set: (on) => kept.keepSetting(OFF, on) }]);
}

// ---- saving

function sending({ kind }) {
  occupied(true);
  frame.state(kind === "undo" ? "undoing…" : "saving…");
}

async function acknowledged({ kind, item, body }, reply) {
  frame.alarm(null);
  frame.state(kind === "undo" ? "" : "saved", "good");
  if (kind === "edit") return editSaved(item, body);
  tabs.say(kind === "undo" ? "undone" : "done", item);
  if (kind !== "undo") {
    kept.dropDraft(item);
    frame.progress(progress = reply.progress);
    return next();
  }
  if (!reply.shown) tell("There is nothing to undo");
  return reply.shown ? show(reply) : next();
}

function editSaved(item, { completion, text }) {
  if (shown?.item !== item) return next(); // it was waiting when the page was loaded
  editor?.remove();
  editor = null;
  occupied(false);
  dropEdit(completion);
  const side = drawn.sides[completion - 1];
  side.note?.remove();
  side.body.before(side.note = savedVersion(text));
  side.edit.focus();
}

/** The server said no. What the person wrote stays in reach. */
function refused(pending, fault) {
  if (fault.status === 401) return logIn();
  frame.state(pending.kind === "undo" ? "" : "not saved", "bad");
  if ([403, 404, 409].includes(fault.status)) return lost(pending, fault);
  tell(fault.message, "error");
  return shown ? occupied(false) : next();
}

function lost({ kind, body }, fault) {
  const text = { label: body?.rationale, edit: body?.text }[kind];
  const more = text ? el("label", {}, "What you wrote: ", el("textarea", { readonly: true, value: text })) : null;
  frame.alarm(fault.message, { more, act: { label: "Go on with the next item", does: next } });
}

function trouble(fault) {
  if (fault.status === 401) return logIn();
  busy = false;
  frame.state("");
  frame.alarm(fault.message, { tone: "error", act: { label: "Try again", does: next } });
}

function logIn() {
  leaving = true; // drafts and what is not saved wait in this tab
  toLogin();
}

function waiting(seconds) {
  if (seconds === null) return frame.alarm(null);
  const saving = kept.pending() !== null;
  frame.state(saving ? "not saved yet" : "", "careful");
  frame.waiting(saving, `The server cannot be reached; next try in ${seconds} s.`);
}

function occupied(on) {
  busy = on;
  clearTimeout(dimming);
  if (on) dimming = setTimeout(() => dock.busy(true), 200); // a quick server makes nothing flicker
  else dock.busy(false);
  editor?.busy(on);
  if (!on) showDraft();
}

function showDraft() {
  dock.show(draft);
  drawn.sides.forEach((side, index) => {
    side.node.classList.toggle("chosen", draft.choice === String(index + 1));
    markDraft(side, draft.edits[index + 1] !== undefined);
  });
}

// ---- the lease, other tabs, leaving

function leaseLost(fault) {
  if (fault.status === 401) return logIn();
  if (fault.status === 403) return frame.alarm(fault.message);
  if (fault.status !== 409) return;
  frame.alarm("The time for this item is over, and somebody else has it now. What you said can be saved only if they give it back.", { act: { label: "Go on with the next item", does: next } });
}

function otherTab(what, item) {
  if (busy || (what === "done" && shown?.item !== item)) return;
  if (what === "done") kept.dropDraft(item);
  tell(what === "done" ? "You labelled this item in another tab: here is the next one" : "You took an item back in another tab: this tab shows it too");
  next();
}

addEventListener("beforeunload", (event) => {
  if (!leaving && kept && (kept.pending() || (shown && !isEmpty(draft)))) event.preventDefault();
});
start().catch((fault) => { if (fault.status === undefined) tellFault(fault); });
