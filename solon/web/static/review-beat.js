// The heartbeat: while the page is looked at, the server is told now and then that the item is still in hand.

const BEAT = 120000; // milliseconds

/**
 * `item()` names the item in hand, or null; `beat(item)` tells the server, `lost(fault, item)` hears of a refusal.
 * A server that cannot be reached is no loss: the next beat tries again. Gives `began()`, for when an item comes.
 */
export function heartbeat({ item, beat, lost }) {
  let last = Date.now();

  async function now() {
    const held = item();
    if (document.hidden || held === null || Date.now() - last < BEAT) return;
    last = Date.now();
    try {
      await beat(held);
    } catch (fault) {
      if (item() === held) lost(fault);
    }
  }

  setInterval(now, BEAT / 8);
  document.addEventListener("visibilitychange", now); // the machine may have slept
  return { began: () => { last = Date.now(); } };
}
