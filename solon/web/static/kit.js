// What every page needs: the API, elements without markup, the header, and the live regions.
// Text of models and people is hostile: it enters a page as text nodes only, never as markup.

import { el } from "./elements.js";
import { notices, tell, tellFault } from "./notices.js";

export { el, replace } from "./elements.js";
export { ask, tell, tellFault } from "./notices.js";

const ROLES = ["annotator", "adjudicator", "admin"];
const PUBLIC = ["/login", "/invite"]; // pages for nobody in particular: there a 401 is an answer, not a way out
const PAGES = [ // of a run: address, name, who may see it
  ["review", "Review", "annotator"],
  ["lead", "Lead", "adjudicator"],
  ["dispute", "Disputes", "adjudicator"],
  ["audit", "Audit", "adjudicator"],
  ["run", "Run", "adjudicator"],
  ["results", "Results", "adjudicator"],
  ["principles", "Principles", "adjudicator"],
];

let csrf = null;

/**
 * What the server refused, in words: `fact`, and `remedy` where there is one; `message` has both. Status 0: no server
 * was reached.
 */
export class Fault extends Error {
  constructor(status, fact, remedy = "") {
    super(sentence(remedy ? `${fact}: ${remedy}` : fact));
    this.name = "Fault";
    this.status = status;
    this.fact = fact;
    this.remedy = remedy;
  }
}

function sentence(text) {
  if (/^\S*[\d._/]\S/.test(text)) return text; // the name of a file stays as it is
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/**
 * One request to the API. `path` is below /api ("runs/demo/review/next"), or absolute.
 * `body` is sent as JSON; JSON is returned parsed, other text as text, nothing as null.
 * `key` is the Idempotency-Key. A stale CSRF token is fetched again once; 401 leads to the login page and back,
 * unless `stay` is set.
 */
export async function api(method, path, body, { key, signal, stay = false } = {}) {
  const changes = method !== "GET" && method !== "HEAD";
  if (changes && csrf === null && !PUBLIC.includes(location.pathname)) await me({ stay, signal });
  const had = csrf;
  let reply = await send(method, path, body, key, signal);
  if (reply.status === 403 && changes && !PUBLIC.includes(location.pathname)) {
    await me({ stay, signal });
    if (csrf !== had) reply = await send(method, path, body, key, signal);
  }
  return readReply(reply, stay);
}

async function send(method, path, body, key, signal) {
  const headers = { Accept: "application/json" };
  if (method !== "GET" && method !== "HEAD" && csrf !== null) headers["X-CSRF-Token"] = csrf;
  if (key) headers["Idempotency-Key"] = key;
  const sent = body === undefined || body === null ? undefined : JSON.stringify(body);
  if (sent !== undefined) headers["Content-Type"] = "application/json";
  const address = path.startsWith("/") ? path : `/api/${path}`;
  try {
    return await fetch(address, { method, headers, body: sent, signal, credentials: "same-origin", cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Fault(0, "The server cannot be reached", "check the connection");
  }
}

async function readReply(reply, stay) {
  const text = await reply.text().catch(() => {
    throw new Fault(0, "The connection was lost", "try again");
  });
  const json = (reply.headers.get("Content-Type") || "").includes("json");
  let value = text === "" ? null : text;
  if (json && text !== "") {
    try {
      value = JSON.parse(text);
    } catch {
      throw new Fault(0, "The server's reply was cut off", "try again");
    }
  }
  if (reply.ok) return value;
  if (reply.status === 401) csrf = null;
  if (reply.status === 401 && !stay && !PUBLIC.includes(location.pathname)) toLogin();
  const told = value !== null && typeof value === "object" ? value : {};
  throw new Fault(reply.status, told.fact || `The server says ${reply.status}`, told.remedy || "");
}

/** Leaves for the login page, which leads back here. */
export function toLogin() {
  location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

async function me(options) {
  const reply = await send("GET", "me", undefined, undefined, options?.signal);
  const value = await readReply(reply, options?.stay ?? false);
  csrf = value.csrf ?? null;
  return value;
}

/** The run that the page's address names, "" where it names none. */
export function runOfPage() {
  return new URLSearchParams(location.search).get("run") || "";
}

/** The address of a page ("review") of a run. */
export function pageOf(name, run, more = {}) {
  return `/${name}?${new URLSearchParams({ run, ...more })}`;
}

/** The address of the API for a run: `ofRun("demo", "review/next")`, or with parts that may hold any character. */
export function ofRun(run, ...parts) {
  return ["runs", encodeURIComponent(run), ...parts].join("/");
}

export function mayBe(member, role) {
  return ROLES.indexOf(member.role) >= ROLES.indexOf(role);
}

/**
 * Loads who is here, draws the header, and gives {name, role, runs, csrf}.
 * `title` names the page (document title and the current entry's fallback), `run` the run whose pages are listed,
 * `role` the least role; a member below it is told so and a Fault is thrown.
 */
export async function begin({ title, run = "", role = "annotator" } = {}) {
  document.title = [title, run, "Solon"].filter(Boolean).join(" · ");
  notices();
  skipLink();
  try {
    const member = await me();
    header(member, member.runs.includes(run) ? run : ""); // a run that is not there has no pages
    if (!mayBe(member, role)) throw new Fault(403, `This page is for people who are at least ${role}`, "ask the admin");
    return member;
  } catch (fault) {
    if (fault.status !== 401) tellFault(fault);
    throw fault;
  }
}

function skipLink() {
  if (document.querySelector(".skip-link")) return;
  document.body.prepend(el("a", { class: "skip-link", href: "#main" }, "Skip to the content"));
}

function header(member, run) {
  const here = location.pathname.slice(1);
  const pages = run ? PAGES.filter(([, , role]) => mayBe(member, role)) : [];
  const links = pages.map(([name, label]) =>
    el("a", { href: pageOf(name, run), "aria-current": here === name ? "page" : null }, label));
  document.getElementById("head").replaceChildren(
    el("a", { class: "brand", href: "/", "aria-label": "Solon: all runs" }, "Solon"),
    run ? el("span", { class: "run-name", title: run }, run) : "",
    links.length > 1 ? el("nav", { "aria-label": "Pages of this run" }, links) : "",
    el("div", { class: "who" },
      mayBe(member, "admin") ? el("a", { href: "/users", "aria-current": here === "users" ? "page" : null }, "People") : "",
      el("a", { href: "/account", title: `${member.role}: your account`, "aria-current": here === "account" ? "page" : null }, member.name),
      el("button", { type: "button", class: "quiet", on: { click: logOut } }, "Log out")),
  );
}

async function logOut() {
  try {
    await api("POST", "logout");
    location.assign("/login");
  } catch (fault) {
    if (fault.status !== 401) tell(fault.message, "error");
  }
}
