// Tabs of the same person on the same run tell each other what was done, so that none offers what is over.

/** `heard(what, item)` is called for what another tab says; `say(what, item)` tells the others. */
export function makeTabs(person, run, heard) {
  if (!("BroadcastChannel" in globalThis)) return { say() {} };
  const channel = new BroadcastChannel(`solon.review:${JSON.stringify([person, run])}`);
  channel.addEventListener("message", ({ data }) => heard(data.what, data.item));
  return { say: (what, item) => channel.postMessage({ what, item }) };
}
