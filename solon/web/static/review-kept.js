// What a reload must not lose: drafts, and the one decision that the server has not acknowledged yet.
// It is kept per tab, person and run. Where the browser refuses storage, it is kept while the page is open.

const memory = new Map();

function read(storage, name) {
  try {
    return JSON.parse(storage().getItem(name) ?? "null");
  } catch {
    return memory.get(name) ?? null;
  }
}

function write(storage, name, value) {
  try {
    if (value === null) storage().removeItem(name);
    else storage().setItem(name, JSON.stringify(value));
    memory.delete(name);
  } catch {
    if (value === null) memory.delete(name);
    else memory.set(name, value);
  }
}

const session = () => sessionStorage;
const local = () => localStorage;

/** An own key for a decision. randomUUID is missing where the page came by plain http from another machine. */
export function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const EMPTY = Object.freeze({ choice: null, strength: null, rationale: "", flag: "", flagging: "", edits: {} }); // flagging: a note that is not given yet

export function isEmpty(draft) {
  return !draft.choice && !draft.rationale && !draft.flag && !draft.flagging && Object.keys(draft.edits).length === 0;
}

/** The kept things of one person and run. */
export function keptFor(person, run) {
  const name = (what) => `solon.review:${JSON.stringify([person, run, what])}`;
  return {
    pending: () => read(session, name("pending")),
    keepPending: (pending) => write(session, name("pending"), pending),
    draft: (item) => {
      const draft = read(session, name(item));
      return draft && { ...EMPTY, ...draft };
    },
    keepDraft: (item, draft) => write(session, name(item), isEmpty(draft) ? null : draft),
    dropDraft: (item) => write(session, name(item), null),
    guidelinesRead: () => read(local, name("guidelines")) ?? 0,
    keepGuidelinesRead: (version) => write(local, name("guidelines"), version),
    setting: (what) => read(local, name(`setting ${what}`)) ?? false,
    keepSetting: (what, value) => write(local, name(`setting ${what}`), value),
  };
}
