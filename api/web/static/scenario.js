import { showAccount } from "./account.js";
import { el, fill, find, showFault, table } from "./dom.js";
import { distribution } from "./format.js";
import { get, once } from "./v1.js";

const name = decodeURIComponent(location.pathname.split("/")[2]);

async function show() {
  const [scenario, parameters] = await Promise.all([get(`/v1/scenarios/${encodeURIComponent(name)}`), once("/v1/parameters")]);
  fill(find("title"), scenario.title);
  document.title = `${scenario.title} – Brink`;
  const known = new Map(parameters.map((one) => [one.name, one]));
  const uncertain = Object.entries(scenario.parameters).map(([key, document]) => {
    const about = known.get(key);
    return [about?.meaning ?? key, el("code", {}, key), distribution(document), about?.unit ?? "", scenario.sources?.[key] ?? ""];
  });
  fill(find("scenario"),
    el("p", { class: "lead" }, `${scenario.sender} makes demands of ${scenario.target} on ${Object.keys(scenario.issues).length} issues. ` +
      `${scenario.as_of ? `From ${scenario.as_of}, the` : "The"} dispute is followed for ${scenario.horizon_weeks} weeks.`),
    el("p", {}, el("a", { class: "button", href: `/run?scenario=${encodeURIComponent(name)}` }, "Run this scenario")),
    el("h2", {}, "What is demanded"),
    table("Issues", ["issue", "weight", "gap", "sender's concession a session", "target's concession a session"],
      Object.values(scenario.issues).map((issue) => [issue.title, String(issue.weight), distribution(issue.gap), distribution(issue.sender_concession), distribution(issue.target_concession)]), false),
    el("h2", {}, "Strategies"),
    table("What each strategy sets", ["strategy", "sets"], Object.entries(scenario.strategies).map(([key, sets]) => [
      key, Object.entries(sets).map(([parameter, document]) => `${parameter}: ${distribution(document)}`).join("; ") || "nothing: the scenario as it is",
    ]), false),
    el("h2", {}, "Parameters"),
    table("Parameters, their ranges and sources", ["meaning", "name", "range", "unit", "source"], uncertain, false));
}

showAccount();
show().catch(showFault);
