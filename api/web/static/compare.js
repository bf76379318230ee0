// Two runs or two scenarios side by side: what differs in the inputs, and what in the answers.
import { showAccount } from "./account.js";
import { chartOf } from "./chart.js";
import { el, fill, find, showFault, table } from "./dom.js";
import { amount, documentValue, points, share, when, whole } from "./format.js";
import { estimate, numbers } from "./numbers.js";
import { load, onReturn } from "./load.js";
import { get, once, passes, post, Problem } from "./v1.js";

const asked = new URLSearchParams(location.search);
const isRun = (name) => /^[0-9a-f]{32}$/.test(name);

const scenarioOf = async (name) => (isRun(name) ? get(`/v1/jobs/${name}/scenario`) : name);
const nameOf = async (name) => {
  if (!isRun(name)) return name;
  const job = await get(`/v1/jobs/${name}`);
  return `${job.scenario}, ${when(job.created_at)}`;
};

/** The inputs that differ and, of two runs with trials, the answers; a refusal of the answers is said below the inputs. */
async function differences(a, b) {
  if (isRun(a) && isRun(b)) {
    try {
      return await get(`/v1/jobs/${a}/diff?with=${b}`);
    } catch (error) {
      if (!(error instanceof Problem) || error.status === 404 || passes(error)) throw error;
      return { ...(await differencesOfInputs(a, b)), refusal: error };
    }
  }
  return differencesOfInputs(a, b);
}

async function differencesOfInputs(a, b) {
  const [first, second] = await Promise.all([a, b].map(scenarioOf));
  return post("/v1/scenarios/diff", { first, second });
}

function answers(found, terms) {
  if (!found.strategies.length) return el("p", {}, "The runs have no strategy in common.");
  const label = (name) => terms.find((term) => term.name === name);
  const rows = (part, form, text) => Object.entries(part).map(([name, one]) => [text(name), estimate(one.first, form), estimate(one.second, form), estimate(one.change, form === share ? points : form),
    ...(found.paired ? [estimate(one.equal, share)] : [])]);
  const mean = (name) => (label(name) ? `Mean: ${label(name).label}, ${label(name).unit}` : `Mean: ${name}`);
  return found.strategies.map((one, k) => el("details", { open: k === 0 },
    el("summary", {}, one.first === one.second ? one.first : `${one.first} and ${one.second}`),
    table(`${one.first}: answers of both, with 95 % intervals; shares in per cent, their change in percentage points`, ["answer", "first", "second", "change", ...(found.paired ? ["the same in, % of trials"] : [])],
      [...rows({ ...one.events, ...one.outcome }, share, (name) => label(name)?.label ?? name), ...rows(one.measures, amount, mean)])));
}

const PARTS = { run: "The runs", issues: "Issues", parameters: "Parameters", strategies: "Strategies", set: "Set under every strategy", correlations: "Correlations", sources: "Sources", history: "What happened" };
const FOLDED = ["sources", "history"];

/** The inputs that differ, by the part of the document in which they stand; long texts are folded. */
function inputTables(found, names) {
  const rows = [...(found.run ?? []).map((one) => ["run", one]), ...found.inputs.map((one) => [one.field.split(/[.[]/)[0], one])];
  if (!rows.length) return el("p", {}, "The inputs are the same.");
  return [...Map.groupBy(rows, ([part]) => (part in PARTS ? part : "dispute"))].map(([part, own]) => {
    const title = PARTS[part] ?? "The dispute";
    const made = table(`${title}: what differs`, ["field", ...names], own.map(([, one]) => [one.field, documentValue(one.first), documentValue(one.second)]), false);
    made.classList.add("texts");
    return FOLDED.includes(part) ? el("details", {}, el("summary", {}, `${title}: ${whole(own.length)} ${own.length === 1 ? "differs" : "differ"}`), made) : made;
  });
}

function tableOf(found) {
  return [["strategy", "what", "first", "second", "change", "low", "high"], ...found.strategies.flatMap((one) =>
    [one.outcome, one.events, one.measures].flatMap((part) => Object.entries(part).map(([name, value]) =>
      [one.first, name, value.first.estimate, value.second.estimate, value.change.estimate, value.change.low, value.change.high])))];
}

async function compare() {
  const [a, b] = [asked.get("a"), asked.get("b")];
  if (!a || !b) return;
  const [found, terms, names] = await Promise.all([differences(a, b), once("/v1/terms"), Promise.all([a, b].map(nameOf))]);
  const place = find("compared");
  fill(place,
    el("h2", {}, "Inputs"),
    inputTables(found, names),
    found.refusal && el("p", { class: "fault" }, found.refusal.errors.map((one) => one.detail).join("; ") || found.refusal.message));
  const scenarios = [...new Set([a, b].filter((name) => !isRun(name)))];
  if (scenarios.length) place.append(el("p", {}, "Only the inputs are compared: a scenario has no answers until it is run. ",
    scenarios.map((name, k) => [k ? ", " : "", el("a", { href: `/run?scenario=${encodeURIComponent(name)}` }, `Run ${name}`)]), "."));
  if (!found.strategies) return;
  const figures = await Promise.all([a, b].map((id, k) => chartOf({ id }, "outcomes", {}, `How the trials of the ${k ? "second" : "first"} run end`)));
  place.append(el("h2", {}, "Answers"), ...found.sentences.map((text) => el("p", {}, text)),
    found.sentences.length ? el("p", { class: "dim" }, `A is ${names[0]}, B is ${names[1]}.`) : "", el("p", {}, `${found.paired ? "Compared trial by trial" : "Not compared trial by trial"}: ${found.reason}.`),
    ...[answers(found, terms)].flat(),
    numbers({ id: a }, "diff", {}, found, () => tableOf(found), `GET /v1/jobs/${a}/diff?with=${b}`),
    el("div", { class: "grid" }, figures.map((figure, k) => el("div", {}, el("h3", {}, names[k]), figure))));
  for (const figure of figures) await figure.draw();
}

async function begin() {
  const [scenarios, { jobs }] = await Promise.all([once("/v1/scenarios"), get("/v1/jobs?limit=100")]);
  for (const [id, key] of [["first", "a"], ["second", "b"]]) {
    const options = [
      el("optgroup", { label: "Runs" }, jobs.map((job) => el("option", { value: job.id }, `${job.scenario}, ${whole(job.trials)} trials, seed ${job.seed}, ${when(job.created_at)}`))),
      el("optgroup", { label: "Scenarios" }, scenarios.map((one) => el("option", { value: one.name }, one.title))),
    ];
    fill(find(id), options);
    if (asked.get(key)) find(id).value = asked.get(key);
  }
  find("choose").querySelector("button").disabled = false;
  await compare();
}

onReturn(begin);
load(showAccount, begin);
