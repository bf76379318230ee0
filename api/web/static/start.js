import { el, fill, find, showFault, table } from "./dom.js";
import { waitsFor, when, whole } from "./format.js";
import { get, prepareCharts } from "./v1.js";
import { showAccount } from "./account.js";
import { ended, follow, load, onReturn } from "./load.js";

const watched = new Map();
const PLACE_PAUSE = 3000;

function progressOf(job) {
  const { trials_done: done, trials_total: total } = job.progress;
  if (job.state === "running") {
    return el("progress", { max: total, value: done, "aria-label": `progress of ${job.scenario}` });
  }
  return job.state === "queued" ? waitsFor(job) : `${whole(job.trials)} trials`;
}

function row(job) {
  const made = el("tr", { id: `job-${job.id}` },
    el("th", { scope: "row" }, el("a", { href: `/jobs/${job.id}` }, job.scenario)),
    el("td", {}, el("span", { class: `badge ${job.state}` }, job.state)),
    el("td", {}, progressOf(job)),
    el("td", {}, `${job.strategies.length} strateg${job.strategies.length === 1 ? "y" : "ies"}, seed ${job.seed}`),
    el("td", {}, when(job.created_at)));
  return made;
}

function watch(job) {
  if (watched.has(job.id) || watched.size >= 5 || ended(job)) return;
  watched.set(job.id, follow(job.id, (now) => {
    find(`job-${job.id}`)?.replaceWith(row(now));
    if (ended(now)) watched.delete(job.id);
  }));
}

/** The places of the shown jobs that wait, which no event of a job itself announces. */
async function showPlaces() {
  for (const id of watched.keys()) {
    if (!find(`job-${id}`)?.querySelector(".badge.queued")) continue;
    const now = await get(`/v1/jobs/${id}`).catch(() => null);
    if (now?.state === "queued") find(`job-${id}`)?.replaceWith(row(now));
  }
  setTimeout(showPlaces, PLACE_PAUSE);
}

async function showRuns(token) {
  const page = await get(`/v1/jobs?limit=20${token ? `&page_token=${token}` : ""}`);
  if (!page.jobs.length && !token) {
    fill(find("runs"), el("p", {}, "No runs yet. Start one: it takes a minute."));
    return;
  }
  const shown = table("Runs, the newest first", ["scenario", "state", "progress", "what", "submitted"], [], false);
  shown.querySelector("tbody").append(...page.jobs.map(row));
  const older = page.next_page_token && el("button", { type: "button", onclick: () => showRuns(page.next_page_token).catch(showFault) }, "Older runs");
  fill(find("runs"), shown, older && el("p", {}, older));
  page.jobs.forEach(watch);
}

async function showScenarios() {
  const found = await get("/v1/scenarios");
  const rows = (list) => list.map((one) => [
    el("a", { href: `/scenarios/${encodeURIComponent(one.name)}` }, one.title),
    one.as_of ?? "",
    one.strategies.join(", "),
    el("a", { href: `/run?scenario=${encodeURIComponent(one.name)}`, "aria-label": `Run ${one.title}` }, "Run"),
    el("a", { href: `/edit?from=${encodeURIComponent(one.name)}`, "aria-label": `${one.own ? "Change" : "Copy and change"} ${one.title}` }, one.own ? "Change" : "Copy"),
  ]);
  const head = ["title", "as known on", "strategies", "", ""];
  const own = found.filter((one) => one.own);
  fill(find("scenarios"),
    own.length ? table("Your own scenarios", head, rows(own), false) : null,
    table("Shipped scenarios", head, rows(found.filter((one) => !one.own)), false));
}

/** What has changed since one left the page: runs that were started, scenarios that were made. */
async function refresh() {
  for (const stop of watched.values()) stop();
  watched.clear();
  await Promise.all([showRuns(), showScenarios()]);
}

setTimeout(showPlaces, PLACE_PAUSE);
onReturn(refresh);
load(showAccount, showRuns, showScenarios).then(prepareCharts);
