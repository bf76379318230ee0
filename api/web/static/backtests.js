// Past disputes: each case is played as a job of its own, and /v1/backtest scores the jobs together. Their ids stand in
// the address.
import { showAccount } from "./account.js";
import { chartOf } from "./chart.js";
import { el, fill, find, onSubmit, showFault, table } from "./dom.js";
import { amount, number, plain, readWhole, share, whole } from "./format.js";
import { load } from "./load.js";
import { estimate, numbers } from "./numbers.js";
import { get, once, post, prepareCharts } from "./v1.js";

const PAUSE = 1000;
const SEED = 1;
const PARTS = [["class", "brier", "Brier score of the class"], ["class", "log", "log score of the class"], ["outcome", "brier", "Brier score of the outcome"],
  ["agreement_week", "crps", "CRPS of the week of agreement, weeks"]];
let asked = 0;

async function cases() {
  return (await once("/v1/scenarios")).filter((one) => one.strategy_used && !one.own).sort((a, b) => (a.as_of < b.as_of ? -1 : 1));
}

async function play() {
  const field = find("trials");
  showFault(null);
  field.removeAttribute("aria-invalid");
  let trials;
  try {
    trials = readWhole(field.value);
  } catch (error) {
    field.setAttribute("aria-invalid", "true");
    field.focus();
    throw error;
  }
  const jobs = [];
  for (const one of await cases()) jobs.push((await post("/v1/jobs", { scenario: one.name, trials, seed: SEED, strategies: [one.strategy_used] })).id);
  history.pushState(null, "", `?${new URLSearchParams(jobs.map((id) => ["job", id]))}`);
  await show();
}

/** Wait until every job has ended, and say how many have; false if another address was asked for meanwhile. */
async function ended(jobs, turn) {
  const open = new Set(jobs);
  while (open.size) {
    for (const id of [...open]) {
      const job = await get(`/v1/jobs/${id}`);
      if (!["queued", "running"].includes(job.state)) open.delete(id);
    }
    if (turn !== asked) return false;
    fill(find("progress"), open.size ? [`${whole(jobs.length - open.size)} of ${whole(jobs.length)} cases are played.`, el("progress", { max: jobs.length, value: jobs.length - open.size, "aria-label": "progress" })] : "");
    if (open.size) await new Promise((done) => { setTimeout(done, PAUSE); });
  }
  return turn === asked;
}

const disputes = (found) => table("Forecast of how it ends, in per cent, and what happened", ["dispute", ...Object.keys(found.scenarios[0].class.forecast).map(plain), "happened", "Brier", "week of agreement", "given to it ±2, %"],
  found.scenarios.map((one) => [el("a", { href: `/scenarios/${encodeURIComponent(one.scenario)}` }, one.title), ...Object.values(one.class.forecast).map((value) => number(100 * value)),
    plain(one.class.happened), number(one.class.brier), one.agreement_week.happened ?? `none in ${one.agreement_week.horizon_weeks}`, number(100 * one.agreement_week.probability)]), false);

const means = (found, title, key) => table(title, ["forecast", ...PARTS.map(([, , label]) => label), "model less it (Brier, class)"],
  Object.keys(found[key].class).map((name) => [plain(name), ...PARTS.map(([part, score]) => estimate(found[key][part][name]?.[score], amount)), estimate(found[key].class[name].brier_difference, amount)]));

const codings = ({ codings: { recoded, mean } }) => (recoded.length ? [el("h3", {}, "If a dispute is coded in another way"),
  table("Brier score of the class", ["dispute", "coded", "class", "its score", "mean of all"], recoded.map((one) => [one.scenario, one.coding, plain(one.happened), number(one.brier), estimate(one.mean, amount)]), false),
  el("p", {}, `Over all combinations of codings the model's mean lies from ${number(mean.least)} to ${number(mean.greatest)}.`)] : null);

const reliability = ({ calibration: { bins, certain } }) => [table("Events by their forecast, in per cent", ["forecast", "events", "mean forecast", "happened"],
  bins.map((one) => [`${number(100 * one.low)} to ${number(100 * one.high)}`, whole(one.forecasts), number(100 * one.mean_forecast), estimate(one.frequency, share)])),
  el("p", {}, `Of ${whole(certain.forecasts)} forecasts of 0 or 100 %, ${whole(certain.wrong)} were wrong.`)];

async function show() {
  const turn = asked += 1;
  const jobs = new URLSearchParams(location.search).getAll("job");
  if (!jobs.length) return fill(find("scores"));
  if (!(await ended(jobs, turn))) return undefined;
  const query = `?${new URLSearchParams(jobs.map((id) => ["job", id]))}`;
  const found = await get(`/v1/backtest${query}`);
  const figure = await chartOf({ charts: "/v1/backtest/charts", query }, "reliability", undefined, "How often events happened, by their forecasts, with 95 % intervals");
  const csv = () => [["scenario", "strategy", "class_happened", "class_brier", "class_log", "outcome_brier", "agreement_week", "crps"],
    ...found.scenarios.map((one) => [one.scenario, one.strategy, one.class.happened, one.class.brier, one.class.log, one.outcome.brier, one.agreement_week.happened, one.agreement_week.crps])];
  if (turn !== asked) return undefined;
  fill(find("scores"),
    el("h2", {}, "What they show"), el("div", { class: "answer" }, el("p", {}, found.conclusion.text)),
    el("h2", {}, "Case by case"), disputes(found),
    el("h2", {}, "Beside rival forecasts"), el("p", { class: "dim" }, "Lower is better."),
    means(found, "Mean scores over the disputes, with 95 % intervals", "mean"),
    el("details", {}, el("summary", {}, "Each target with the same weight"), means(found, "Weighted mean scores, with 95 % intervals", "weighted_mean")),
    codings(found),
    el("h2", {}, "Reliability"), figure, ...reliability(found),
    numbers({}, "backtest", {}, found, csv, `GET /v1/backtest${query}`),
    el("details", {}, el("summary", {}, "Method"), el("dl", { class: "glossary" }, Object.entries(found.method).map(([name, text]) => [el("dt", {}, plain(name)), el("dd", {}, text)]))));
  return figure.draw();
}

async function begin() {
  const found = await cases();
  fill(find("cases"), table("Shipped cases", ["case", "as known on", "strategy that was used"],
    found.map((one) => [el("a", { href: `/scenarios/${encodeURIComponent(one.name)}` }, one.title), one.as_of, one.strategy_used]), false));
  await show();
}

onSubmit(find("play"), play);
addEventListener("popstate", () => show().catch(showFault));
load(showAccount, begin).then(prepareCharts);
