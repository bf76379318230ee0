// Estimates with their intervals, and an answer's numbers as files and as a script asks for them.
import { el, showFault } from "./dom.js";
import { saveAs } from "./v1.js";

/** An estimate with its interval, or nothing where there is none; `form` is `share` or `amount`. */
export function estimate(one, form) {
  if (!one) return "";
  const { text, interval } = form(one);
  return el("span", {}, text, interval && el("span", { class: "interval" }, ` (${interval})`));
}

/** Save rows as comma-separated values. A text that a spreadsheet would run gets an apostrophe before it. */
export function saveTable(name, rows) {
  const cell = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  saveAs(name, new Blob([rows.map((row) => row.map(cell).join(",")).join("\r\n")], { type: "text/csv" }));
}

/** A request of the summary or of the report as the query of its address. */
export function query(request) {
  const asked = new URLSearchParams();
  if (request.given) asked.set("given", request.given);
  if (request.measure) asked.set("measure", request.measure);
  for (const name of request.strategies ?? []) asked.append("strategy", name);
  for (const one of request.believe ?? []) asked.append("believe", one);
  return asked.size ? `?${asked}` : "";
}

/** Buttons that save an answer's document and its table, and what a script would ask. `document` may be a function that
 * asks for it. `csv` returns the table's rows from the document, the first its head, or saves the table itself and returns
 * nothing. */
export function numbers(asked, answer, request, document, csv, asScript) {
  const load = async () => (typeof document === "function" ? document() : document);
  const json = async () => saveAs(`${answer}.json`, new Blob([JSON.stringify(await load(), null, 1)], { type: "application/json" }));
  const table = async () => {
    const rows = csv(await load());
    if (Array.isArray(rows)) saveTable(`${answer}.csv`, rows);
  };
  const path = `/v1/jobs/${asked.id}/${answer}`;
  const call = asScript ?? (answer === "summary" ? `GET ${path}${query(request)}` : `POST ${path}\n${JSON.stringify(request)}`);
  return el("div", { class: "tools" }, "Numbers:",
    el("button", { type: "button", class: "quiet", "aria-label": `${answer} as JSON`, onclick: () => json().catch(showFault) }, "JSON"),
    el("button", { type: "button", class: "quiet", "aria-label": `${answer} as CSV`, onclick: () => table().catch(showFault) }, "CSV"),
    el("details", {}, el("summary", {}, "as a script asks"), el("code", {}, call)));
}
