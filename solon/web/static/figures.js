// Numbers and times in words, the same on all of the lead's pages.

export const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

/** "14:32", with the day where it is not today. `at` is Unix time. */
export function clock(at) {
  const then = new Date(1000 * at);
  const time = then.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return then.toDateString() === new Date().toDateString() ? time : `${then.toLocaleDateString()} ${time}`;
}

/** A time to come or gone by: "12 minutes", "3 hours", "4 days". */
export function span(hours) {
  if (hours < 1.5) return count(Math.max(1, Math.round(60 * hours)), "minute");
  return hours < 48 ? count(Math.round(hours), "hour") : count(Math.round(hours / 24), "day");
}

/** Of when the figures are, and whether better ones are on their way. */
export function whenFigures({ measured, at, current, working, fault }) {
  if (fault) return fault;
  if (!measured) return working ? "This takes some seconds; the page shows them by itself." : "";
  const of = `As of ${clock(at)}, from ${count(measured.labels, "label")}`;
  return current ? `${of}.` : `${of}; newer figures ${working ? "are being made" : "come within a minute"}.`;
}
