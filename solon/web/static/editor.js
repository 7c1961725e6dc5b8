// A text field with line numbers: it lies over a copy of its own text, line by line, that carries numbers and marks.

import { el } from "./kit.js";

const INDENT = "    ";
const BEGINS = /^\s*\[/;

/**
 * Gives {node, text(), put(text), mark(line), go(line), field}. `changed` is called whenever the text is another one.
 * Tab writes spaces; after Escape, Tab leaves the field as everywhere else.
 */
export function editor({ label, describedby, changed }) {
  const mirror = el("div", { class: "mirror", "aria-hidden": "true" });
  const field = el("textarea", { "aria-label": label, "aria-describedby": describedby, spellcheck: "false",
    autocapitalize: "off", autocomplete: "off", autocorrect: "off", wrap: "soft" });
  const node = el("div", { class: "editor" }, el("div", { class: "sheet" }, mirror, field));
  let lines = [];
  let fault = 0;
  let released = false;

  function draw() {
    const now = field.value.split("\n");
    let start = 0;
    while (start < lines.length && start < now.length && lines[start] === now[start]) start += 1;
    let end = 0;
    while (end < lines.length - start && end < now.length - start && lines.at(-1 - end) === now.at(-1 - end)) end += 1;
    const after = mirror.children[lines.length - end] ?? null;
    for (let gone = lines.length - end - start; gone > 0; gone -= 1) mirror.children[start].remove();
    const made = document.createDocumentFragment();
    for (const line of now.slice(start, now.length - end)) {
      made.append(el("div", { class: BEGINS.test(line) ? "line begins" : "line" }, line));
    }
    mirror.insertBefore(made, after);
    lines = now;
    where();
  }

  function where() {
    const here = field.value.slice(0, field.selectionStart).split("\n").length;
    mirror.querySelector(".here")?.classList.remove("here");
    if (document.activeElement === field) mirror.children[here - 1]?.classList.add("here");
  }

  function write(text) {
    // The one way that keeps the browser's own undo.
    if (!document.execCommand("insertText", false, text)) {
      field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
      field.dispatchEvent(new Event("input"));
    }
  }

  field.addEventListener("input", () => { draw(); changed(); });
  for (const event of ["keyup", "click", "focus"]) field.addEventListener(event, where);
  field.addEventListener("blur", () => { released = false; where(); });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      released = true;
    } else if (event.key === "Tab" && !released && !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey) {
      event.preventDefault();
      if (!field.readOnly) write(INDENT);
    } else if (event.key !== "Tab" && event.key !== "Shift") {
      released = false;
    }
  });

  return {
    node,
    field,
    text: () => field.value,
    put(text) {
      if (field.value !== text) field.value = text;
      draw();
    },
    mark(line) {
      mirror.children[fault - 1]?.classList.remove("fault");
      fault = line;
      mirror.children[fault - 1]?.classList.add("fault");
      field.setAttribute("aria-invalid", line ? "true" : "false");
    },
    go(line) {
      const before = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
      field.focus({ preventScroll: true });
      field.setSelectionRange(before, before);
      const row = mirror.children[line - 1];
      if (row) node.scrollTop = row.offsetTop - node.clientHeight / 3;
      node.scrollIntoView({ block: "nearest" });
      where();
    },
  };
}
