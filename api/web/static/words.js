// A scenario in words. What its ranges are, /v1/scenarios/ranges says.
import { number, rangeWords } from "./format.js";

export const sentence = (items) => (items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`);

/** Who demands what of whom, when they meet, and what is threatened, a text each. */
export function disputeWords(scenario, parameters) {
  const of = new Map(parameters.map((one) => [one.name, one]));
  const value = (name) => (of.has(name) ? rangeWords(of.get(name).distribution, of.get(name).density) : "");
  const issues = Object.values(scenario.issues);
  const sessions = scenario.sessions ?? { first: [], cycle: ["mid"] };
  const said = [`${scenario.sender} makes demands of ${scenario.target} on ${issues.length === 1 ? "one issue" : `${issues.length} issues`}: ${sentence(issues.map((one) => `“${one.title}” (weight ${number(one.weight)})`))}.`];
  said.push(`${scenario.as_of ? `The dispute is followed from ${scenario.as_of}` : "The dispute is followed"} for ${scenario.horizon_weeks} weeks. The sides meet every week: ${sessions.first?.length ? `first ${sentence(sessions.first)}, then ` : ""}${sentence(sessions.cycle)} in turn.`);
  said.push(value("threat_probability") === "0" ? "The sender announces no sanctions, unless a strategy does." :
    `In each week from week ${value("threat_earliest_week")} on the sender may announce sanctions (probability ${value("threat_probability")}), on imports worth ${value("sanctioned_trade")} bn USD a year, at an extra tariff of ${value("tariff_rate")} times the price.`);
  said.push(`The target complains to the WTO at the threat (probability ${value("file_on_threat")}), and would win there (probability ${value("target_win")}).`);
  return said;
}
