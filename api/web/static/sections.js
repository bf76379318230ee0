// The parts of a result page, each from an answer of /v1.
import { chartOf } from "./chart.js";
import { el, table } from "./dom.js";
import { amount, share, whole } from "./format.js";
import { download, get, post, saveAs } from "./v1.js";

const estimate = (one, form) => {
  const { text, interval } = form(one);
  return el("span", {}, text, interval && el("span", { class: "interval" }, ` (${interval})`));
};

/** Buttons that save an answer's document, and what a script would ask. */
function numbers(asked, answer, request, document) {
  return el("div", { class: "tools" }, "The numbers: ",
    el("button", { type: "button", class: "quiet", "aria-label": `${answer} as JSON`, onclick: () => saveAs(`${answer}.json`, new Blob([JSON.stringify(document, null, 1)], { type: "application/json" })) }, "JSON"),
    el("details", {}, el("summary", {}, "as a script asks"),
      el("code", {}, answer === "summary"
        ? `GET /v1/jobs/${asked.id}/summary${request.given ? `?given=${encodeURIComponent(request.given)}` : ""}`
        : `POST /v1/jobs/${asked.id}/${answer} ${JSON.stringify(request)}`)));
}

const summaryPath = (asked) => `/v1/jobs/${asked.id}/summary${asked.given ? `?given=${encodeURIComponent(asked.given)}` : ""}`;

async function showAnswer(asked) {
  const request = { ...asked.request, ...(asked.measure ? { measure: asked.measure } : {}) };
  const found = await post(`/v1/jobs/${asked.id}/findings`, request, { signal: asked.signal });
  return [
    el("div", { class: "answer" }, found.sentences.map((text) => el("p", {}, text))),
    found.beliefs.length ? el("div", {}, el("p", {}, "The best strategy depends on these beliefs:"), el("ul", {}, found.beliefs.map((text) => el("li", {}, text)))) : null,
    el("p", { class: "dim" }, `From ${whole(found.trials)} trials of each strategy. `, el("a", { href: "/help#interval" }, "How to read an interval"), "."),
  ];
}

async function showEnding(asked) {
  const label = "How the trials end under each strategy";
  const figure = await chartOf(asked.id, "outcomes", asked.request, label, asked.signal);
  const events = await chartOf(asked.id, "events", asked.request, "The probability of each event with its 95 % interval", asked.signal);
  const summary = await get(summaryPath(asked), asked.signal);
  const strategies = Object.keys(summary.strategies);
  const rows = ["outcome", "event"].flatMap((kind) => asked.terms.filter((term) => term.kind === kind).map((term) => [
    term.label,
    ...strategies.map((name) => estimate(summary.strategies[name][kind === "outcome" ? "outcome" : "events"][term.name], share)),
  ]));
  return [
    figure,
    el("h3", {}, "What happens on the way"),
    events,
    el("details", {}, el("summary", {}, "The same as a table"), table("Share of the trials, with 95 % intervals, in per cent", ["", ...strategies], rows)),
    numbers(asked, "summary", asked.request, summary),
  ];
}

async function showTime(asked) {
  const figure = await chartOf(asked.id, "timeline", asked.request, "The state of the dispute by week, with 95 % bands", asked.signal);
  return [el("p", { class: "dim" }, "The share of the trials in each state at the end of the week. A band holds all weeks of a state together with 95 %."), figure];
}

export const SECTIONS = [
  { id: "answer", title: "The answer", show: showAnswer },
  { id: "ending", title: "How it ends", show: showEnding },
  { id: "time", title: "Over time", show: showTime, needsAll: true },
];
