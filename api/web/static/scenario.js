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
  const yaml = () => post("/v1/scenarios/yaml", scenario).then(({ yaml: text }) => saveAs(`${name}.yaml`, new Blob([text], { type: "application/yaml" }))).catch(showFault);
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
  const head = ["parameter", "range", "unit", "neutral default", "set by", "source"];
  fill(find("scenario"),
    disputeWords(scenario, parameters).map((text) => el("p", { class: "lead" }, text)),
    el("p", { class: "row" }, el("a", { class: "button", href: `/run?scenario=${ask}` }, "Run this scenario"),
      el("a", { href: `/edit?from=${ask}` }, own ? "Change it" : "Copy and change it"),
      el("a", { href: `/compare?a=${ask}` }, "Compare with another"),
      own && el("button", { type: "button", onclick: () => remove().catch(showFault) }, "Delete")),
    el("div", { class: "tools" }, "The document:", el("button", { type: "button", class: "quiet", onclick: yaml }, "YAML"), el("button", { type: "button", class: "quiet", onclick: json }, "JSON"),
      el("a", { href: path }, "as a script asks")),
    el("h2", {}, "What is demanded"),
    table("Issues", ["issue", "weight", "gap", "sender's concession a session", "target's concession a session"],
      Object.entries(scenario.issues).map(([key, issue]) => [issue.title, number(issue.weight),
        ...["gap", "sender_concession", "target_concession"].map((part) => range(ofIssue.get(`issues.${key}.${part}`), `${issue.title}: ${part}`))]), false),
    el("h2", {}, "Strategies"),
    table("What each strategy sets", ["strategy", "sets"], Object.entries(strategies).map(([key, sets]) => [
      key, Object.keys(sets).length ? Object.entries(sets).map(([parameter, one]) => el("div", {}, el("code", {}, parameter), " ", range(one, `${key}: ${parameter}`))) : "nothing: the scenario as it is",
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

load(showAccount, show);
