import { el, fill, find, onSubmit, showFault } from "./dom.js";
import { bytes, duration, readNumber, readWhole, whole } from "./format.js";
import { once, post, prepareCharts, Problem } from "./v1.js";
import { showAccount } from "./account.js";
import { load, onReturn } from "./load.js";

const form = find("run");
const asked = new URLSearchParams(location.search);

/** A message at a field; none takes it away. */
function fieldFault(id, message) {
  const input = find(id);
  if (!input) return;
  find(`${id}-fault`)?.remove();
  input.removeAttribute("aria-invalid");
  if (!message) return;
  input.setAttribute("aria-invalid", "true");
  input.closest("details")?.setAttribute("open", "");
  input.closest(".field, fieldset").append(el("p", { class: "field-fault", id: `${id}-fault` }, message));
  input.setAttribute("aria-errormessage", `${id}-fault`);
}

function read(id, reader, empty) {
  fieldFault(id, null);
  const text = find(id).value;
  if (!text.trim()) return empty;
  try {
    return reader(text);
  } catch (error) {
    fieldFault(id, error.message);
    throw error;
  }
}

/** What the readers return. Each of them runs, so that the fault at every field is current; then the first fault is thrown. */
function readAll(readers) {
  const faults = [];
  const found = readers.map((one) => {
    try {
      return one();
    } catch (error) {
      faults.push(error);
      return undefined;
    }
  });
  if (faults.length) throw faults[0];
  return found;
}

const from = asked.get("from");
const ofRun = () => once(`/v1/jobs/${encodeURIComponent(from)}/scenario`);

const rows = [];
/** Shares are typed in percentage points, means in their unit. */
const isShare = (name, terms) => terms.find((one) => one.name === name).kind !== "measure";

/** A row of the precision: an estimate, and how wide half its interval may be. */
function addPrecision(terms) {
  const k = rows.length;
  const group = (label, kind) => el("optgroup", { label }, terms.filter((one) => one.kind === kind).map((one) =>
    el("option", { value: one.name, selected: one.name === "agreement" }, kind === "measure" ? `mean: ${one.label}` : one.label)));
  const name = el("select", { id: `precision-name-${k}` }, group("Probabilities of events", "event"), group("Probabilities of outcomes", "outcome"), group("Means", "measure"));
  const half = el("input", { id: `precision-${k}`, inputmode: "decimal", autocomplete: "off", size: 8 });
  const unit = el("span");
  const unitOf = () => fill(unit, isShare(name.value, terms) ? "at most ±, percentage points" : `at most ±, ${terms.find((one) => one.name === name.value).unit}`);
  name.addEventListener("change", unitOf);
  unitOf();
  rows.push({ name, half, terms });
  find("precision").append(el("div", { class: "field" }, el("div", { class: "row" }, el("label", {}, "Estimate", name), el("label", {}, unit, half),
    k === 0 && el("button", { type: "button", class: "quiet", onclick: () => addPrecision(terms) }, "Another estimate"))));
}

/** The half-widths that are typed, by the names of their estimates. */
function precisions() {
  const found = {};
  const values = readAll(rows.map(({ half }) => () => read(half.id, readNumber, null)));
  rows.forEach(({ name, half, terms }, k) => {
    const value = values[k];
    if (value === null) return;
    if (name.value in found) {
      fieldFault(half.id, "this estimate has a precision already");
      throw new Error("an estimate is named twice");
    }
    found[name.value] = isShare(name.value, terms) ? value / 100 : value;
  });
  return found;
}

/** The field on this page that a fault of the request is about; undefined if there is none. */
function fieldOf(fault) {
  const [field, name] = fault.field.split(".");
  if (field === "precision") return rows.find((one) => one.name.value === name)?.half.id ?? rows[0].half.id;
  return ["trials", "seed", "design", "keep"].find((one) => one === field);
}

let typing;
let estimating;

/** Estimate the cost once the typing pauses; an estimate that is overtaken is cancelled. */
function estimateSoon() {
  clearTimeout(typing);
  estimating?.abort();
  typing = setTimeout(showCost, 400);
}

async function showCost() {
  const { signal } = (estimating = new AbortController());
  fill(find("cost"), "Estimating what it takes …");
  try {
    const found = await post("/v1/estimate", { ...request(), scenario: await scenarioOf(form.scenario.value) }, { signal });
    const wall = found.wall_seconds === null ? "on a cluster whose size is not known here" : `${duration(found.wall_seconds)} from start to end`;
    const rows = found.kept_rows === found.rows ? `${whole(found.rows)} rows` : `${whole(found.rows)} trials, of which ${whole(found.kept_rows)} are kept as rows,`;
    fill(find("cost"), `${found.at_most ? "At most" : "About"} ${rows} and ${bytes(found.bytes)} on disk; ${duration(found.core_seconds)} of work on one core, ${wall}. Estimated from ${whole(found.sample_trials)} trials of it.`);
  } catch (error) {
    if (error.name === "AbortError") return;
    fill(find("cost"), error instanceof Problem && error.errors.length ? error.errors.map((one) => one.detail).join("; ") : "");
  }
}

async function showStrategies() {
  const name = form.scenario.value;
  find("look").href = name ? `/scenarios/${encodeURIComponent(name)}` : `/jobs/${encodeURIComponent(from)}`;
  const chosen = asked.getAll("strategy");
  const scenario = name ? (await once("/v1/scenarios")).find((one) => one.name === name) : { strategies: Object.keys((await ofRun()).strategies) };
  fill(find("strategies"), el("legend", {}, "Strategies"), scenario.strategies.map((strategy) =>
    el("label", { class: "check" },
      el("input", { type: "checkbox", name: "strategy", value: strategy, checked: !chosen.length || chosen.includes(strategy) }),
      el("span", {}, strategy))));
}

/** A shipped scenario by its name; one's own, or that of another run, in full. */
async function scenarioOf(name) {
  if (!name) return ofRun();
  const { own } = (await once("/v1/scenarios")).find((one) => one.name === name);
  return own ? once(`/v1/scenarios/${encodeURIComponent(name)}`) : name;
}

function request() {
  const strategies = [...form.querySelectorAll("input[name=strategy]:checked")].map((box) => box.value);
  fieldFault("design", null);
  fieldFault("keep", null);
  const [trials, seed, precision] = readAll([() => read("trials", readWhole, undefined), () => read("seed", readWhole, 1), precisions]);
  const body = { strategies, seed, design: form.design.value, keep: form.keep.value };
  if (!strategies.length) throw new Error("choose at least one strategy");
  if (trials !== undefined) body.trials = trials;
  if (Object.keys(precision).length) body.precision = precision;
  return body;
}

async function start() {
  showFault(null);
  let body;
  try {
    body = request();
  } catch (error) {
    form.querySelector("[aria-invalid]")?.focus();
    if (!form.querySelector("[aria-invalid]")) showFault(error);
    return;
  }
  clearTimeout(typing);
  estimating?.abort();
  const button = form.querySelector("button[type=submit]");
  button.disabled = true;
  try {
    body.scenario = await scenarioOf(form.scenario.value);
    const job = await post("/v1/jobs", body, { headers: { "Idempotency-Key": `"${key}"` } });
    location.assign(`/jobs/${job.id}`);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const known = error.errors.filter(fieldOf);
    known.forEach((one) => fieldFault(fieldOf(one), one.detail));
    if (!known.length) showFault(error);
    button.disabled = false;
    renewKey();
  }
}

// A second press of the button, or a press after a lost answer, submits no second job.
let key;
function renewKey() {
  key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function begin() {
  const job = from && (await once(`/v1/jobs/${encodeURIComponent(from)}`));
  const [scenarios, terms] = await Promise.all([once("/v1/scenarios"), once("/v1/terms"), from && ofRun()]);
  if (job) form.scenario.append(el("option", { value: "" }, `${job.scenario}, as in that run`));
  form.scenario.append(...scenarios.map((one) => el("option", { value: one.name }, one.title)));
  const wanted = asked.get("scenario");
  const known = scenarios.some((one) => one.name === wanted);
  if (wanted && !known) showFault(new Error(`there is no scenario “${wanted}”; choose one from the list`));
  form.scenario.value = known ? wanted : job ? "" : scenarios[0].name;
  for (const name of ["trials", "seed", "design", "keep"]) if (asked.get(name) ?? job?.[name]) form[name].value = asked.get(name) ?? job[name];
  form.scenario.addEventListener("change", () => showStrategies().catch(showFault));
  addPrecision(terms);
  form.addEventListener("change", renewKey);
  await showStrategies();
  form.addEventListener("input", estimateSoon);
  estimateSoon();
  onSubmit(form, start);
}

renewKey();
onReturn(async () => {
  form.querySelector("button[type=submit]").disabled = false;
  renewKey();
});
load(showAccount, begin).then(prepareCharts);
