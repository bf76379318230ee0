import { el, fill, find, onSubmit, showFault } from "./dom.js";
import { readNumber, readWhole } from "./format.js";
import { once, post, prepareCharts, Problem } from "./v1.js";
import { showAccount } from "./account.js";

const form = find("run");
const asked = new URLSearchParams(location.search);

/** A message at a field; none takes it away. */
function fieldFault(id, message) {
  const input = find(id);
  find(`${id}-fault`)?.remove();
  input.removeAttribute("aria-invalid");
  if (!message) return;
  input.setAttribute("aria-invalid", "true");
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

const from = asked.get("from");
const ofRun = () => once(`/v1/jobs/${encodeURIComponent(from)}/scenario`);

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
  const precision = read("precision", readNumber, null);
  const trials = read("trials", readWhole, undefined);
  const body = { strategies, seed: read("seed", readWhole, 1), design: form.design.value };
  if (!strategies.length) throw new Error("choose at least one strategy");
  if (trials !== undefined) body.trials = trials;
  if (precision !== null) body.precision = { agreement: precision / 100 };
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
  const button = form.querySelector("button[type=submit]");
  button.disabled = true;
  try {
    body.scenario = await scenarioOf(form.scenario.value);
    const job = await post("/v1/jobs", body, { headers: { "Idempotency-Key": `"${key}"` } });
    location.assign(`/jobs/${job.id}`);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const known = error.errors.filter((one) => ["trials", "seed", "design", "precision"].includes(one.field.split(".")[0]));
    known.forEach((one) => fieldFault(one.field.split(".")[0], one.detail));
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
  const scenarios = await once("/v1/scenarios");
  const job = from && (await once(`/v1/jobs/${encodeURIComponent(from)}`));
  if (job) form.scenario.append(el("option", { value: "" }, `${job.scenario}, as in that run`));
  form.scenario.append(...scenarios.map((one) => el("option", { value: one.name }, one.title)));
  form.scenario.value = asked.get("scenario") ?? (job ? "" : scenarios[0].name);
  for (const name of ["trials", "seed", "design"]) if (asked.get(name) ?? job?.[name]) form[name].value = asked.get(name) ?? job[name];
  form.scenario.addEventListener("change", () => showStrategies().catch(showFault));
  form.addEventListener("change", renewKey);
  await showStrategies();
  onSubmit(form, start);
}

renewKey();
showAccount();
begin().then(prepareCharts).catch(showFault);
