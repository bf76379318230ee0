// Two runs or two scenarios side by side: what differs in the inputs, and what in the answers.
import { showAccount } from "./account.js";
import { chartOf } from "./chart.js";
import { el, fill, find, showFault, table } from "./dom.js";
import { amount, distribution, share, when, whole } from "./format.js";
import { estimate } from "./numbers.js";
import { get, once, Problem } from "./v1.js";

const asked = new URLSearchParams(location.search);
const isRun = (name) => /^[0-9a-f]{32}$/.test(name);

/** The leaves of a document by their paths; a distribution is a leaf. */
function leaves(document, path = "", found = new Map()) {
  const [only, ...more] = Object.entries(document ?? {});
  const leaf = typeof document !== "object" || document === null || Array.isArray(document) ||
    (only && !more.length && ["uniform", "loguniform", "triangular", "pert", "normal", "lognormal", "beta", "discrete", "quantiles", "mixture"].includes(only[0]));
  if (leaf) found.set(path, document);
  else for (const [key, value] of Object.entries(document)) leaves(value, path ? `${path}.${key}` : key, found);
  return found;
}

function shown(value) {
  if (value === undefined) return "–";
  return Array.isArray(value) ? value.map((one) => (typeof one === "object" ? JSON.stringify(one) : one)).join(", ") : typeof value === "object" || typeof value === "number" ? distribution(value) : String(value);
}

function differences(first, second) {
  const [one, other] = [leaves(first), leaves(second)];
  return [...new Set([...one.keys(), ...other.keys()])]
    .filter((path) => JSON.stringify(one.get(path)) !== JSON.stringify(other.get(path)))
    .map((path) => [path, shown(one.get(path)), shown(other.get(path))]);
}

async function loaded(name) {
  if (!isRun(name)) return { name, scenario: await get(`/v1/scenarios/${encodeURIComponent(name)}`) };
  const [job, scenario] = await Promise.all([get(`/v1/jobs/${name}`), once(`/v1/jobs/${name}/scenario`)]);
  const summary = await get(`/v1/jobs/${name}/summary`).catch((error) => { if (error instanceof Problem) return null; throw error; });
  return { name: `${job.scenario}, ${when(job.created_at)}`, scenario, job, summary };
}

function answers(first, second, terms) {
  const both = Object.keys(first.summary.strategies).filter((name) => name in second.summary.strategies);
  if (!both.length) return el("p", {}, "The runs have no strategy in common.");
  return both.map((strategy, k) => {
    const [one, other] = [first, second].map((side) => side.summary.strategies[strategy]);
    const shares = terms.filter((term) => term.kind !== "measure").map((term) => {
      const key = term.kind === "event" ? "events" : "outcome";
      return [term.label, estimate(one[key][term.name], share), estimate(other[key][term.name], share)];
    });
    const means = terms.filter((term) => term.kind === "measure" && one.measures[term.name] && other.measures[term.name])
      .map((term) => [`Mean: ${term.label}, ${term.unit}`, estimate(one.measures[term.name].mean, amount), estimate(other.measures[term.name].mean, amount)]);
    return el("details", { open: k === 0 }, el("summary", {}, strategy), table(`${strategy}: answers of both, with 95 % intervals; shares in per cent`, ["", "first", "second"], [...shares, ...means]));
  });
}

async function compare() {
  const [a, b] = [asked.get("a"), asked.get("b")];
  if (!a || !b) return;
  const [first, second] = await Promise.all([loaded(a), loaded(b)]);
  const inputs = differences(first.scenario, second.scenario);
  const runs = first.job && second.job ? differences(...[first, second].map(({ job }) => ({ trials: job.trials, seed: job.seed, design: job.design, strategies: job.strategies }))) : [];
  const place = find("compared");
  fill(place,
    el("h2", {}, "Inputs"),
    inputs.length + runs.length ? table("What differs", ["", first.name, second.name], [...runs, ...inputs], false) : el("p", {}, "The inputs are the same."));
  if (!first.summary || !second.summary) return;
  const terms = await once("/v1/terms");
  const figures = await Promise.all([a, b].map((id, k) => chartOf({ id }, "outcomes", {}, `How the trials of the ${k ? "second" : "first"} run end`)));
  place.append(el("h2", {}, "Answers"), el("div", { class: "grid" }, figures.map((figure, k) => el("div", {}, el("h3", {}, [first, second][k].name), figure))), ...[answers(first, second, terms)].flat());
  for (const figure of figures) await figure.draw();
}

async function begin() {
  const [scenarios, { jobs }] = await Promise.all([once("/v1/scenarios"), get("/v1/jobs?limit=100")]);
  for (const [id, key] of [["first", "a"], ["second", "b"]]) {
    const options = [
      el("optgroup", { label: "Runs" }, jobs.map((job) => el("option", { value: job.id }, `${job.scenario}, ${whole(job.trials)} trials, seed ${job.seed}, ${when(job.created_at)}`))),
      el("optgroup", { label: "Scenarios" }, scenarios.map((one) => el("option", { value: one.name }, one.title))),
    ];
    find(id).append(...options);
    if (asked.get(key)) find(id).value = asked.get(key);
  }
  find("choose").querySelector("button").disabled = false;
  await compare();
}

showAccount();
begin().catch(showFault);
