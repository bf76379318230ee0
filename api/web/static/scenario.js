// A scenario in words, and each of its parameters with what is believed of it.
import { showAccount } from "./account.js";
import { el, fill, find, showFault, table } from "./dom.js";
import { distribution, number, plain, rangeWords } from "./format.js";
import { load } from "./load.js";
import { spark } from "./spark.js";
import { disputeWords, sentence } from "./words.js";
import { get, once, post, saveAs, send } from "./v1.js";

const name = decodeURIComponent(location.pathname.split("/")[2]);

async function remove() {
  await send("DELETE", `/v1/scenarios/${encodeURIComponent(name)}`);
  location.assign("/");
}

async function show() {
  const path = `/v1/scenarios/${encodeURIComponent(name)}`;
  const [scenario, list] = await Promise.all([get(path), once("/v1/scenarios")]);
  fill(find("title"), scenario.title);
  document.title = `${scenario.title} – Brink`;
  const own = list.find((one) => one.name === name)?.own;
  const ask = encodeURIComponent(name);
  const asYaml = async () => (await post("/v1/scenarios/yaml", scenario)).yaml;
  const yaml = () => asYaml().then((text) => saveAs(`${name}.yaml`, new Blob([text], { type: "application/yaml" }))).catch(showFault);
  const text = el("pre", { tabindex: "0" });
  const view = el("details", { ontoggle: () => { if (view.open && !text.textContent) asYaml().then((found) => fill(text, found)).catch(showFault); } }, el("summary", {}, "The document as text"), text);
  const json = () => saveAs(`${name}.json`, new Blob([JSON.stringify(scenario, null, 2)], { type: "application/json" }));
  const { parameters, strategies } = await post("/v1/scenarios/ranges", scenario);
  const range = ({ distribution: document, density }, label) => el("span", {}, rangeWords(document, density),
    density && el("span", { class: "dim kind" }, distribution(document)), spark(density, `density of ${label} from ${number(density?.low ?? 0)} to ${number(density?.high ?? 0)}`));
  const ofIssue = new Map(parameters.map((one) => [one.name, one]));
  const rows = (wanted) => parameters.filter(wanted).map((one) => [
    el("span", {}, one.meaning, el("br"), el("code", {}, one.name)),
    range(one, one.name),
    one.unit,
    one.default === null ? "must be given" : number(one.default),
    one.set_by.join(", "),
    one.source ?? "",
  ]);
  // Those of the parameters stand beside them.
  const beside = new Set(parameters.filter((one) => !one.is_default).map((one) => one.name));
  const otherSources = Object.entries(scenario.sources ?? {}).filter(([key]) => !beside.has(key));
  const head = ["parameter", "range", "unit", "neutral default", "set by", "source"];
  fill(find("scenario"),
    disputeWords(scenario, parameters).map((text) => el("p", { class: "lead" }, text)),
    el("p", { class: "row actions" }, el("a", { class: "button", href: `/run?scenario=${ask}` }, "Run this scenario"),
      el("a", { href: `/edit?from=${ask}` }, own ? "Change it" : "Copy and change it"),
      el("a", { href: `/compare?a=${ask}` }, "Compare with another"),
      own && el("button", { type: "button", onclick: () => remove().catch(showFault) }, "Delete")),
    el("div", { class: "tools" }, "The document:", el("button", { type: "button", class: "quiet", onclick: yaml }, "YAML"), el("button", { type: "button", class: "quiet", onclick: json }, "JSON"),
      el("a", { href: path }, "as a script asks")),
    view,
    el("h2", {}, "What is demanded"),
    table("Issues", ["issue", "weight", "gap", "sender's concession a session", "target's concession a session"],
      Object.entries(scenario.issues).map(([key, issue]) => [issue.title, number(issue.weight),
        ...["gap", "sender_concession", "target_concession"].map((part) => range(ofIssue.get(`issues.${key}.${part}`), `${issue.title}: ${part}`))]), false),
    el("h2", {}, "Strategies"),
    sideBySide(strategies, ofIssue, range),
    scenario.correlations?.length ? [el("h2", {}, "Correlations"), correlationTable(scenario.correlations)] : null,
    el("h2", {}, "What is not known"),
    table("Uncertain parameters", head, rows((one) => one.density), false),
    el("h2", {}, "What is set"),
    table("Fixed parameters that differ from the neutral default", head, rows((one) => !one.density && !one.is_default), false),
    el("details", {}, el("summary", {}, "Parameters at their neutral default"),
      table("Neutral parameters", ["parameter", "value", "unit"], parameters.filter((one) => one.is_default).map((one) => [one.meaning, number(one.default), one.unit]), false)),
    otherSources.length ? [el("h2", {}, "Other sources"),
      el("dl", { class: "glossary" }, otherSources.map(([key, text]) => [el("dt", {}, plain(key)), el("dd", {}, text)]))] : null);
}

/** Strategies side by side: a row for each parameter that one of them sets, beside what the scenario has. */
function sideBySide(strategies, base, range) {
  const names = Object.keys(strategies);
  const set = [...new Set(names.flatMap((key) => Object.keys(strategies[key])))];
  const plays = (sets) => (Object.keys(sets).length ? null : el("span", { class: "dim" }, "as the scenario"));
  if (!set.length) return el("p", {}, `${sentence(names)}: the scenario as it is.`);
  return table("What each strategy sets instead of the scenario's; an empty cell is as the scenario", ["parameter", "scenario", ...names],
    set.map((parameter, k) => [el("span", {}, base.get(parameter)?.meaning ?? parameter, el("br"), el("code", {}, parameter)), range(base.get(parameter), parameter),
      ...names.map((key) => (parameter in strategies[key] ? range(strategies[key][parameter], `${key}: ${parameter}`) : k === 0 ? plays(strategies[key]) : ""))]), false);
}

/** Rank correlations as a matrix, of the parameters that have any. */
function correlationTable(correlations) {
  const names = [...new Set(correlations.flatMap((one) => one.between))];
  const of = (a, b) => correlations.find((one) => one.between.includes(a) && one.between.includes(b));
  return table("Rank correlations (Spearman); empty: none", ["", ...names.slice(1)],
    names.slice(0, -1).map((row, j) => [row, ...names.slice(1).map((column, k) => (k >= j && of(row, column) ? number(of(row, column).spearman) : ""))]));
}

load(showAccount, show);
