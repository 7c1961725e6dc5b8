// The one decision that is on its way: kept until the server has answered, and sent again with its one key until then.

import { newKey } from "./review-kept.js";

/**
 * `request(method, parts, body, key)` reaches the server however long it takes. `told` hears `sending(pending)`, and then
 * `acknowledged(pending, reply)` or `refused(pending, fault)`; after a 401 the decision still waits in the tab.
 * A decision is {kind: "label" | "skip" | "edit" | "undo", item, body, key}.
 */
export function makeOutbox(kept, request, told) {
  async function deliver(pending) {
    told.sending(pending);
    let reply;
    try {
      reply = await sent(pending);
    } catch (fault) {
      if (fault.status !== 401) kept.keepPending(null);
      return told.refused(pending, fault);
    }
    kept.keepPending(null);
    return told.acknowledged(pending, reply);
  }

  function sent({ kind, item, body, key }) {
    if (kind === "undo") return request("POST", ["undo"], undefined, key);
    return request("PUT", ["items", item, kind], body, key);
  }

  return {
    decide(kind, item, body) {
      const pending = { kind, item, body, key: newKey() };
      kept.keepPending(pending);
      return deliver(pending);
    },
    /** Sends what waited in the tab while the page was loaded; null where nothing did. */
    left() {
      const pending = kept.pending();
      return pending && deliver(pending);
    },
  };
}
