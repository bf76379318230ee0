// A scenario of one's own from a dozen questions: the service writes it, and a small run shows what it implies.
import { showAccount } from "./account.js";
import { el, fill, find, onSubmit, showFault, table } from "./dom.js";
import { answerEntry } from "./enough.js";
import { decimalComma, readNumber, share, whole } from "./format.js";
import { ended, follow, load } from "./load.js";
import { estimate } from "./numbers.js";
import { get, once, post, prepareCharts, Problem, saveAs, send } from "./v1.js";
import { disputeWords } from "./words.js";

/** Enough for a first impression: the error of a probability is at most 0.8 percentage points. */
const TRIALS = 4000;
const SEED = 1;
const PAST = ["settled", "imposed", "dropped", "agreed_within_two_years", "sanctions_ended_within_a_year"];
const DEMANDS = "issues";
const form = find("new");
let questions;
let made = 0;
let stop = () => {};

/** A field with its question and what follows from the answer. */
function field(name, text, explanation, input) {
  Object.entries({ id: `answer-${name}`, name, "aria-describedby": `hint-${name}` }).forEach(([key, value]) => input.setAttribute(key, value));
  return el("div", { class: "field place", "data-question": name }, el("label", { for: `answer-${name}` }, text), input, el("p", { class: "hint", id: `hint-${name}` }, explanation));
}

const choice = (choices, chosen, onchange) => el("select", { onchange }, choices.map((one) => el("option", { value: one, selected: one === chosen }, one)));

function answerField(one) {
  const input = one.choices.length ? choice(one.choices, one.default, one.name === "threat" && showOfThreat)
    : el("input", { type: one.name === "as_of" ? "date" : "text", autocomplete: "off", maxlength: 300, size: 40, value: one.default });
  return field(one.name, one.text.replace(" (YYYY-MM-DD)", ""), one.explanation, input);
}

/** Questions about sanctions are asked only where some may be threatened. */
function showOfThreat() {
  const none = form.elements.threat.value === "none";
  for (const one of questions.filter((found) => found.needs_threat)) form.querySelector(`[data-question="${one.name}"]`).hidden = none;
}

/** Rows for what is demanded, each with its weight. */
function demandFields() {
  const rows = el("div");
  const add = () => {
    const count = rows.childElementCount + 1;
    rows.append(el("div", { class: "row demand" },
      el("label", {}, `Demand ${count}`, el("input", { autocomplete: "off", size: 34, maxlength: 280, "data-demand": "", value: count === 1 ? "The demand" : "" })),
      el("label", {}, "Weight", el("input", { autocomplete: "off", size: 6, inputmode: "decimal", maxlength: 12, "data-weight": "", value: "1" }))));
  };
  add();
  return el("fieldset", { class: "place", "data-question": DEMANDS }, el("legend", {}, "What is demanded?"),
    el("p", { class: "hint" }, "Each demand with its weight: how much of the whole it is. Weights are scaled to sum to 1."), rows,
    el("p", {}, el("button", { type: "button", class: "quiet", onclick: add }, "Another demand")));
}

/** The answers as the service reads them. A question that is not asked, or not answered, has its default. Throws an error
 * for a weight that is no number, which would become a part of what is demanded. */
function answers() {
  const demands = [...form.querySelectorAll(".demand")].map((row) => [row.querySelector("[data-demand]").value.trim(), readNumber(row.querySelector("[data-weight]").value.trim() || "1")]);
  const given = questions.filter((one) => !form.querySelector(`[data-question="${one.name}"]`).hidden && form.elements[one.name].value.trim()).map((one) => [one.name, form.elements[one.name].value.trim()]);
  return { name: form.elements.name.value.trim(), ranges: form.elements.ranges.value, ...Object.fromEntries(given), issues: demands.filter(([title]) => title).map(([title, weight]) => `${title}=${weight}`) };
}

/** Put each message at the question that it is about; the first of these has the focus. */
function mark(errors) {
  for (const old of form.querySelectorAll(".field-fault")) old.remove();
  for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
  const rest = [];
  for (const one of errors) {
    const place = form.querySelector(`[data-question="${CSS.escape(one.field.split(/[.[]/)[0])}"]`);
    if (!place) {
      rest.push(one);
      continue;
    }
    const inputs = [...place.querySelectorAll("input, select")];
    const comma = inputs.map((input) => decimalComma(input.value)).find(Boolean);
    place.append(el("p", { class: "field-fault", role: "alert" }, comma || one.detail));
    inputs[0].setAttribute("aria-invalid", "true");
  }
  form.querySelector("[aria-invalid]")?.focus();
  return rest;
}

async function make() {
  showFault(null);
  mark([]);
  let asked;
  try {
    asked = answers();
  } catch (error) {
    return void mark([{ field: DEMANDS, detail: error.message }]);
  }
  // Asked anew: one may have been kept since, here or in another window.
  const known = (await get("/v1/scenarios")).some((one) => one.name === asked.name);
  const taken = { field: "name", detail: `there is a scenario “${asked.name}” already; choose another name` };
  if (known) return void mark([taken]);
  let found;
  try {
    found = await post("/v1/scenarios/new", asked);
  } catch (error) {
    if (!(error instanceof Problem) || !error.errors.length) throw error;
    const rest = mark(error.errors);
    if (rest.length) showFault({ errors: rest });
    return undefined;
  }
  return show(found);
}

async function keep(scenario, next) {
  await send("PUT", `/v1/scenarios/${encodeURIComponent(scenario.name)}`, scenario);
  location.assign(`/${next}=${encodeURIComponent(scenario.name)}`);
}

async function show({ yaml, scenario }) {
  const turn = made += 1;
  const [{ parameters }, { warnings }] = await Promise.all([post("/v1/scenarios/ranges", scenario), post("/v1/scenarios/validate", scenario)]);
  if (turn !== made) return;
  const implied = el("div", { class: "answer", id: "implied" }, el("p", {}, `Playing ${whole(TRIALS)} trials to see what it implies …`));
  fill(find("made"),
    el("h2", { id: "made-title", tabindex: "-1" }, scenario.title),
    el("p", {}, "It is valid. ", `${parameters.filter((one) => one.density).length} of its numbers are uncertain.`),
    warnings.map((one) => el("p", { class: "warning" }, `Probably a mistake: ${one.detail}`)),
    disputeWords(scenario, parameters).map((text) => el("p", { class: "lead" }, text)),
    el("h3", {}, "What it implies"), implied,
    el("p", { class: "row" },
      el("button", { type: "button", class: "button", onclick: () => keep(scenario, "edit?from").catch(showFault) }, "Keep it and look at every range"),
      el("button", { type: "button", onclick: () => keep(scenario, "run?scenario").catch(showFault) }, "Keep it and run it"),
      el("button", { type: "button", onclick: () => saveAs(`${scenario.name}.yaml`, new Blob([yaml], { type: "application/yaml" })) }, "Save the commented file (YAML)")));
  find("made-title").focus();
  find("made-title").scrollIntoView();
  await play(scenario, implied, turn).catch((error) => fill(implied, el("p", { class: "fault" }, error.message)));
}

/** Play a few trials and say what follows from the answers. */
async function play(scenario, place, turn) {
  stop();
  const job = await post("/v1/jobs", { scenario, trials: TRIALS, seed: SEED });
  const said = async (now) => {
    if (!ended(now) || turn !== made) return;
    if (now.state !== "succeeded") return void fill(place, el("p", {}, now.error ?? `The small run is ${now.state}.`));
    const [summary, courses, check] = await Promise.all([get(`/v1/jobs/${job.id}/summary`), post(`/v1/jobs/${job.id}/timeline`, {}), answerEntry("check")]);
    if (turn !== made) return;
    const threatened = Object.keys(summary.strategies).find((name) => summary.strategies[name].events.threat.estimate * TRIALS >= check.fewest_trials);
    const past = threatened && await post(`/v1/jobs/${job.id}/check`, { strategy: threatened }).catch((error) => { if (!(error instanceof Problem)) throw error; });
    if (turn !== made) return;
    fill(place, Object.entries(summary.strategies).map(([name, one]) => el("p", {}, impliedWords(name, one, courses.result.strategies[name].states.agreement.estimate))),
      past && besidePast(past.result),
      el("p", {}, el("a", { href: `/jobs/${job.id}` }, "The whole result of this small run")));
  };
  stop = follow(job.id, (now) => said(now).catch(showFault));
}

/** How threats end beside past ones of the class. */
function besidePast({ reference, compared }) {
  const shown = compared.filter((one) => PAST.includes(one.name) && one.class.estimate !== null);
  return [
    table(`How threats end, beside past ones (class ${reference}), with 95 % intervals`, ["", "here", "past threats", ""],
      shown.map((one) => [one.label, estimate(one.forecast, share), estimate(one.class, share), one.outside ? "outside" : ""])),
    shown.some((one) => one.outside) && el("p", {}, "What lies outside follows from your answers; the whole result says which parameters move it."),
  ];
}

/** A share of the trials after "in": none where no trial had it. */
const shareOfThem = (one) => (one.estimate === 0 ? "none" : share(one).text);

/** How often a strategy ends in an agreement, by when, and how often sanctions come. */
function impliedWords(name, one, course) {
  const half = course.findIndex((reached) => reached >= course.at(-1) / 2) + 1;
  return `Under ${name}: an agreement in ${shareOfThem(one.events.agreement)} of the trials${course.at(-1) ? `, half of these by week ${half}` : ""}; sanctions are announced in ${shareOfThem(one.events.threat)} and imposed in ${shareOfThem(one.events.sanctions)}.`;
}

async function begin() {
  [questions] = await Promise.all([once("/v1/questions"), once("/v1/scenarios")]);
  const before = questions.findIndex((one) => one.name === "distance");
  fill(find("questions"),
    field("name", "A short name for it", "Letters, digits and hyphens. It stands in addresses and file names.", el("input", { autocomplete: "off", size: 40, maxlength: 64 })),
    questions.slice(0, before).map(answerField), demandFields(), questions.slice(before).map(answerField),
    field("ranges", "What nobody is asked here", "Reference: ranges fitted to how past threats of your answers' class ended. Neutral: the model's defaults, under which much does not matter.", choice(["reference", "neutral"], "reference")));
  showOfThreat();
  onSubmit(form, make);
}

load(showAccount, begin).then(prepareCharts);
