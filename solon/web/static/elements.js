// Elements made by hand. Strings become text nodes; there is no way from here to markup.

const PROPERTIES = new Set(["value", "checked", "indeterminate", "disabled", "open"]);
const UNSAFE = /^\s*(javascript|data|vbscript):/i;

/**
 * An element. Attributes that are null, undefined or false are left out, true is an empty attribute;
 * `on: {click: f}` listens, `data: {name: value}` sets data-name. Children may be nodes, text, numbers, lists of these;
 * null, undefined and false are nothing.
 */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

/** Puts the children in place of what is there. */
export function replace(node, ...children) {
  node.replaceChildren(...nodes(children));
  return node;
}

function fill(node, attributes, children) {
  node.append(...nodes(children));
  for (const [name, value] of Object.entries(attributes ?? {})) set(node, name, value);
  return node;
}

function set(node, name, value) {
  if (value === null || value === undefined) return;
  if (name === "on") {
    for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
  } else if (name === "data") {
    Object.assign(node.dataset, value);
  } else if (PROPERTIES.has(name) && name in node) {
    node[name] = value;
  } else if (name === "style" || name === "srcdoc" || /^on/i.test(name)) {
    throw new Error(`${name} is no attribute for a page: the content security policy forbids it`);
  } else if (name === "href" && UNSAFE.test(value)) {
    throw new Error("an address must lead to a page");
  } else if (value !== false) {
    node.setAttribute(name, value === true ? "" : String(value));
  }
}

function nodes(children) {
  return children.flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false && child !== "")
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}
