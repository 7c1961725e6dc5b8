// The HTTP API as its own description tells it.

import { api, begin, el, replace, tellFault } from "./kit.js";

const main = document.getElementById("main");
let schemas = {};

function named(schema) {
  const name = schema?.$ref?.split("/").pop();
  return name ? { name, ...schemas[name] } : (schema ?? {});
}

/** A type in a few words. */
function kind(schema) {
  const one = named(schema);
  const many = one.anyOf ?? one.oneOf;
  if (many) return many.map(kind).join(" or ");
  if (one.enum) return one.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (one.const !== undefined) return JSON.stringify(one.const);
  if (one.type === "array") return `list of ${kind(one.items)}`;
  return one.name ?? one.type ?? "anything";
}

function fields(schema, taken = false) {
  const one = named(schema);
  const below = one.type === "array" ? named(one.items) : one;
  const rows = Object.entries(below.properties ?? {}).map(([name, field]) =>
    el("tr", {}, el("th", { scope: "row" }, el("code", {}, name)), el("td", { class: "words" }, kind(field)),
      el("td", { class: "words" }, taken && (below.required ?? []).includes(name) ? "required" : "", field.description ? ` ${field.description}` : "")));
  return rows.length ? el("div", { class: "wide" }, el("table", {}, el("tbody", {}, rows))) : el("p", {}, kind(schema));
}

function operation(method, path, told) {
  const body = told.requestBody?.content?.["application/json"]?.schema;
  const good = Object.entries(told.responses).filter(([status]) => status.startsWith("2"));
  return el("details", {},
    el("summary", {}, el("code", {}, `${method.toUpperCase()} ${path}`), el("span", { class: "badge" }, told["x-role"] === "nobody" ? "anybody" : told["x-role"])),
    el("p", { class: "text" }, told.description ?? told.summary),
    told.parameters ? [el("h3", {}, "Parameters"), el("ul", {}, told.parameters.map((one) =>
      el("li", {}, el("code", {}, one.name), ` (${one.in}): ${kind(one.schema)}${one.required ? ", required" : ""}`)))] : "",
    body ? [el("h3", {}, "Takes"), fields(body, true)] : "",
    good.map(([status, reply]) => [el("h3", {}, `Gives ${status}`),
      Object.entries(reply.content ?? {}).map(([type, { schema }]) => (type === "application/json" ? fields(schema) : el("p", {}, el("code", {}, type))))]));
}

async function show() {
  await begin({ title: "API" });
  const told = await api("GET", "openapi.json");
  schemas = told.components.schemas;
  const groups = new Map();
  for (const [path, methods] of Object.entries(told.paths)) {
    for (const [method, one] of Object.entries(methods)) {
      const tag = one.tags?.[0] ?? "others";
      groups.set(tag, [...(groups.get(tag) ?? []), operation(method, path, one)]);
    }
  }
  replace(main,
    el("h1", {}, "The HTTP API"),
    el("p", {}, "JSON in and out. Every change needs the session's cookie, its token as ", el("code", {}, "X-CSRF-Token"),
      " (", el("code", {}, "GET /api/me"), " tells it) and this site's own address as ", el("code", {}, "Origin"),
      ". What goes wrong comes as ", el("code", {}, '{"fact", "remedy"}'), ". Beside each address stands the least role that it is for. The same for programs: ",
      el("a", { href: "/api/openapi.json" }, "openapi.json"), "."),
    [...groups].map(([tag, operations]) => [el("h2", {}, tag[0].toUpperCase() + tag.slice(1)), operations]));
}

show().catch(tellFault);
