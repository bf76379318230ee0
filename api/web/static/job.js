// A result: progress while it runs, then the answer first, and everything below it for the trials that agree.
import { showAccount } from "./account.js";
import { chartOf } from "./chart.js";
import { el, fill, find, showFault, table } from "./dom.js";
import { amount, share, when, whole } from "./format.js";
import { download, get, once, post, Problem, saveAs, send } from "./v1.js";
import { conditionOf, showConditions } from "./conditions.js";
import { SECTIONS } from "./sections.js";

const id = location.pathname.split("/")[2];
let job;
let scenario;
let terms;
let showing;

/** The chosen condition, strategy and measure: they stand in the address, so that it can be sent to a colleague. */
function choice() {
  const asked = new URLSearchParams(location.search);
  return { clauses: asked.getAll("given"), strategy: asked.get("strategy"), measure: asked.get("measure") };
}

/** Change the address, keep the page, and answer anew; the back button undoes it. */
export function choose(changes) {
  const now = { ...choice(), ...changes };
  const asked = new URLSearchParams();
  for (const clause of now.clauses) asked.append("given", clause);
  if (now.strategy) asked.set("strategy", now.strategy);
  if (now.measure) asked.set("measure", now.measure);
  const query = asked.toString();
  history.pushState(null, "", query ? `?${query}${location.hash}` : location.pathname + location.hash);
  return show();
}

const ended = () => !["queued", "running"].includes(job.state);

function showState() {
  const { trials_done: done, trials_total: total } = job.progress;
  const running = job.state === "running";
  const cancel = !ended() && el("button", { type: "button", onclick: () => stop().catch(showFault) }, "Cancel");
  fill(find("state"),
    el("p", {}, el("span", { class: `badge ${job.state}` }, job.state), " ",
      job.state === "queued" ? (job.waiting ?? "waits for its turn") : null,
      running ? `${whole(done)} of ${whole(total)} trials` : null,
      ended() ? `${whole(job.trials)} trials of each of ${job.strategies.length} strateg${job.strategies.length === 1 ? "y" : "ies"}, seed ${job.seed}, ${job.design} design, ${when(job.finished_at)}` : null, " ", cancel),
    running && el("progress", { max: total, value: done, "aria-label": "progress" }),
    job.error && el("p", { class: "fault" }, job.error),
    ...job.warnings.map((one) => el("p", { class: "warning" }, one.message ?? one.detail ?? "")));
}

async function stop() {
  job = await send("POST", `/v1/jobs/${id}/cancel`);
  showState();
}

/** Follow the run; first answers are drawn from what is committed, again with each change but not without a pause. */
function watch() {
  const source = new EventSource(`/v1/jobs/${id}/events`);
  let last = 0;
  const changed = (event) => {
    job = JSON.parse(event.data);
    showState();
    if (ended()) source.close();
    if (job.progress.trials_done > 0 && (ended() || Date.now() - last > 2000)) {
      last = Date.now();
      show();
    }
  };
  for (const state of ["queued", "running", "succeeded", "failed", "cancelled"]) source.addEventListener(state, changed);
}

/** Answer for what is chosen. A newer choice ends the questions of an older one. */
async function show() {
  showing?.abort();
  showing = new AbortController();
  const { signal } = showing;
  const chosen = choice();
  const asked = {
    id, job, scenario, terms, signal, strategies: job.strategies,
    given: conditionOf(chosen.clauses), strategy: chosen.strategy, measure: chosen.measure,
    request: conditionOf(chosen.clauses) ? { given: conditionOf(chosen.clauses) } : {},
  };
  showConditions(find("what-if"), asked, chosen.clauses, (clauses) => choose({ clauses }));
  if (job.progress.trials_done === 0) return;
  find("what-if").hidden = false;
  const place = find("result");
  for (const section of SECTIONS) {
    if (section.needsAll && !ended()) continue;
    let box = find(section.id);
    if (!box) {
      box = el("section", { id: section.id, "aria-labelledby": `${section.id}-title` },
        el("h2", { id: `${section.id}-title` }, section.title), el("div", { class: "body" }));
      place.append(box);
    }
    const body = box.querySelector(".body");
    if (section.onDemand && !body.dataset.open) {
      fill(body, el("p", {}, section.about, " ", el("button", { type: "button", onclick: () => { body.dataset.open = "1"; run(section, body, asked); } }, section.button)));
      continue;
    }
    await run(section, body, asked);
    if (signal.aborted) return;
  }
}

async function run(section, body, asked) {
  body.classList.add("busy");
  body.setAttribute("aria-busy", "true");
  if (!body.hasChildNodes() || body.querySelector("button") && section.onDemand && body.children.length === 1) {
    fill(body, el("p", { class: "dim" }, "Computing …"));
  }
  try {
    const made = await section.show(asked, body);
    if (asked.signal.aborted) return;
    fill(body, made);
    for (const figure of body.querySelectorAll("figure")) await figure.draw?.();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Problem)) throw error;
    const listed = error.errors.length ? error.errors.map((one) => one.detail) : [error.message];
    fill(body, el("div", { class: "fault" }, listed.map((text) => el("p", {}, text))));
  } finally {
    body.classList.remove("busy");
    body.removeAttribute("aria-busy");
  }
}

async function begin() {
  [job, terms] = await Promise.all([get(`/v1/jobs/${id}`), once("/v1/terms")]);
  showState();
  scenario = await get(`/v1/jobs/${id}/files/scenario.json`).catch(() => null);
  const title = scenario?.title ?? job.scenario;
  fill(find("title"), title);
  document.title = `${title} – Brink`;
  addEventListener("popstate", () => show().catch(showFault));
  if (!ended()) watch();
  await show();
}

addEventListener("unhandledrejection", (event) => {
  if (event.reason?.name === "AbortError") event.preventDefault();
  else showFault(event.reason);
});
showAccount();
begin().catch(showFault);
