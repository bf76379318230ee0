// A scenario in words, and each of its parameters with what is believed of it.
import { showAccount } from "./account.js";
import { el, fill, find, showFault, table } from "./dom.js";
import { distribution, number, plain } from "./format.js";
import { spark } from "./spark.js";
import { get, once, post, saveAs, send } from "./v1.js";

const name = decodeURIComponent(location.pathname.split("/")[2]);
const sentence = (items) => (items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`);

function words(scenario, value) {
  const issues = Object.values(scenario.issues);
  const sessions = scenario.sessions ?? { first: [], cycle: ["mid"] };
  const said = [`${scenario.sender} makes demands of ${scenario.target} on ${issues.length === 1 ? "one issue" : `${issues.length} issues`}: ${sentence(issues.map((one) => `“${one.title}” (weight ${number(one.weight)})`))}.`];
  said.push(`${scenario.as_of ? `The dispute is followed from ${scenario.as_of}` : "The dispute is followed"} for ${scenario.horizon_weeks} weeks. The sides meet every week: ${sessions.first?.length ? `first ${sentence(sessions.first)}, then ` : ""}${sentence(sessions.cycle)} in turn.`);
  const threat = value("threat_probability");
  said.push(threat === "0" ? "The sender announces no sanctions, unless a strategy does." :
    `In each week from week ${value("threat_earliest_week")} on the sender may announce sanctions, with a probability of ${threat}, on imports of ${value("sanctioned_trade")} bn USD a year at a tariff of ${value("tariff_rate")}.`);
  said.push(`The target complains to the WTO at the threat with a probability of ${value("file_on_threat")}, and would win with ${value("target_win")}.`);
  return said;
}

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
  const yaml = () => post("/v1/scenarios/yaml", scenario).then(({ yaml: text }) => saveAs(`${name}.yaml`, new Blob([text], { type: "application/yaml" }))).catch(showFault);
  const json = () => saveAs(`${name}.json`, new Blob([JSON.stringify(scenario, null, 2)], { type: "application/json" }));
  const { parameters } = await post("/v1/scenarios/ranges", scenario);
  const of = new Map(parameters.map((one) => [one.name, one]));
  const value = (key) => (of.has(key) ? distribution(of.get(key).distribution).replace(/^(uniform|PERT|triangular), /, "") : "");
  const rows = (wanted) => parameters.filter(wanted).map((one) => [
    el("span", {}, one.meaning, el("br"), el("code", {}, one.name)),
    el("span", {}, distribution(one.distribution), spark(one.density, `density of ${one.name} from ${number(one.density?.low ?? 0)} to ${number(one.density?.high ?? 0)}`)),
    one.unit,
    one.default === null ? "must be given" : number(one.default),
    one.set_by.join(", "),
    one.source ?? "",
  ]);
  const head = ["parameter", "range", "unit", "neutral default", "set by", "source"];
  fill(find("scenario"),
    words(scenario, value).map((text) => el("p", { class: "lead" }, text)),
    el("p", { class: "row" }, el("a", { class: "button", href: `/run?scenario=${ask}` }, "Run this scenario"),
      el("a", { href: `/edit?from=${ask}` }, own ? "Change it" : "Copy and change it"),
      el("a", { href: `/compare?a=${ask}` }, "Compare with another"),
      own && el("button", { type: "button", onclick: () => remove().catch(showFault) }, "Delete")),
    el("div", { class: "tools" }, "The document:", el("button", { type: "button", class: "quiet", onclick: yaml }, "YAML"), el("button", { type: "button", class: "quiet", onclick: json }, "JSON"),
      el("a", { href: path }, "as a script asks")),
    el("h2", {}, "What is demanded"),
    table("Issues", ["issue", "weight", "gap", "sender's concession a session", "target's concession a session"],
      Object.values(scenario.issues).map((issue) => [issue.title, number(issue.weight), distribution(issue.gap), distribution(issue.sender_concession), distribution(issue.target_concession)]), false),
    el("h2", {}, "Strategies"),
    table("What each strategy sets", ["strategy", "sets"], Object.entries(scenario.strategies).map(([key, sets]) => [
      key, Object.entries(sets).map(([parameter, document]) => `${parameter}: ${distribution(document)}`).join("; ") || "nothing: the scenario as it is",
    ]), false),
    scenario.correlations?.length ? [el("h2", {}, "Correlations"), table("Rank correlations", ["between", "Spearman"], scenario.correlations.map((one) => [sentence(one.between), number(one.spearman)]))] : null,
    el("h2", {}, "What is not known"),
    table("Uncertain parameters", head, rows((one) => one.density), false),
    el("h2", {}, "What is set"),
    table("Fixed parameters that differ from the neutral default", head, rows((one) => !one.density && !one.is_default), false),
    el("details", {}, el("summary", {}, "Parameters at their neutral default"),
      table("Neutral parameters", ["parameter", "value", "unit"], parameters.filter((one) => one.is_default).map((one) => [one.meaning, number(one.default), one.unit]), false)),
    el("h2", {}, "Sources"),
    el("dl", { class: "glossary" }, Object.entries(scenario.sources ?? {}).map(([key, text]) => [el("dt", {}, plain(key)), el("dd", {}, text)])));
}

showAccount();
show().catch(showFault);
