// Elements from text, never from markup: what a scenario or a person wrote is shown as it is.

/** An element with attributes and children; texts become text nodes, null and false are left out. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "value") made.value = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export const find = (id) => document.getElementById(id);

/**
 * Let a script answer a form. A page's submit buttons are disabled until then: a browser that sends a form by itself
 * would put what was typed, a key for one, into the address.
 */
export function onSubmit(form, answer) {
  form.addEventListener("submit", (event) => { event.preventDefault(); answer().catch(showFault); });
  for (const button of form.elements) if (button.type === "submit") button.disabled = false;
}

/** Put these children in place of what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

/** Show a fault at the top of the page, in words, and return its element; no fault takes it away. */
export function showFault(fault) {
  const place = find("fault");
  if (!fault) return void fill(place);
  const listed = (fault.errors ?? []).map((one) => el("li", {}, one.detail));
  const message = fault.errors?.length ? null : el("p", {}, fault.message ?? String(fault));
  const shown = el("div", { class: "fault" }, message, listed.length ? el("ul", {}, listed) : null);
  fill(place, shown);
  return shown;
}

/** A table of rows: each a list of cells, text or elements; the first cell of a row names it. With `numbers`, the columns
 * are aligned as numbers, except those that hold words alone. */
export function table(caption, head, rows, numbers = true) {
  const words = head.map((_, k) => rows.length > 0 && rows.every((row) => typeof row[k] === "string" && !/[0-9]/.test(row[k])) && rows.some((row) => row[k]));
  const isNumber = (k) => numbers && k > 0 && !words[k];
  const cell = (content, k) => (k === 0 ? el("th", { scope: "row" }, content) : el("td", { class: isNumber(k) && "number" }, content));
  return el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption },
    el("table", {},
      el("caption", {}, caption),
      el("thead", {}, el("tr", {}, head.map((name, k) => el(name ? "th" : "td", { scope: name ? "col" : null, class: isNumber(k) && "number" }, name)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, row.map(cell))))));
}
