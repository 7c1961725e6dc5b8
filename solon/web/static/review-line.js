// The line to the server: a request is made again until there is a reply, with the same key, so that a decision whose
// acknowledgement was lost is not taken twice.

const WAITS = [1, 2, 4, 8, 15, 30]; // seconds
const PATIENCE = 20000; // milliseconds for a reply

/** Whether the same request may succeed later. */
export function passes(fault) {
  return fault.status === 0 || fault.status === 408 || fault.status === 429 || fault.status >= 500;
}

/**
 * `waiting(seconds, fault)` is called before every wait, and `waiting(null)` when there was a reply.
 * Gives `through(ask)`, where `ask(signal)` makes the request, and `again()`, which ends the wait.
 */
export function line(waiting) {
  let wake = () => {};
  addEventListener("online", () => wake());

  function pause(tries, fault) {
    const seconds = WAITS[Math.min(tries, WAITS.length - 1)] * (0.8 + 0.4 * Math.random());
    waiting(Math.max(1, Math.round(seconds)), fault);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 1000 * seconds);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async function through(ask) {
    for (let tries = 0; ; tries += 1) {
      try {
        const reply = await ask(AbortSignal.timeout(PATIENCE));
        waiting(null);
        return reply;
      } catch (fault) {
        if (!passes(fault)) {
          waiting(null);
          throw fault;
        }
        await pause(tries, fault);
      }
    }
  }

  return { through, again: () => wake() };
}
