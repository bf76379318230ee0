// A scenario in words. What its ranges are, /v1/scenarios/ranges says.
import { number, spanWords } from "./format.js";

export const sentence = (items) => (items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`);

const meetings = (kinds) => sentence(kinds.map((one) => (one === "none" ? "no meeting" : one)));

/** Who demands what of whom, when they meet, and what is threatened, a text each. */
export function disputeWords(scenario, parameters) {
  const of = new Map(parameters.map((one) => [one.name, one]));
  const value = (name) => (of.has(name) ? spanWords(of.get(name).distribution, of.get(name).density) : "");
  const issues = Object.values(scenario.issues);
  const sessions = scenario.sessions ?? { first: [], cycle: ["mid"] };
  const said = [`${scenario.sender} makes demands of ${scenario.target} on ${issues.length === 1 ? "one issue" : `${issues.length} issues`}: ${sentence(issues.map((one) => `“${one.title}” (weight ${number(one.weight)})`))}.`];
  said.push(`${scenario.as_of ? `The dispute is followed from ${scenario.as_of}` : "The dispute is followed"} for ${scenario.horizon_weeks} weeks. The meetings week by week: ${sessions.first?.length ? `first ${meetings(sessions.first)}, then ` : ""}${meetings(sessions.cycle)}${sessions.cycle.length > 1 ? " in turn" : ""}.`);
  const imports = `on imports worth ${value("sanctioned_trade")} bn USD a year, at an extra tariff of ${value("tariff_rate")} times the price`;
  const threat = value("threat_probability");
  if (threat === "0") said.push("The sender announces no sanctions, unless a strategy does.");
  else if (threat === "1") said.push(`The sender announces sanctions in week ${value("threat_earliest_week")}, ${imports}.`);
  else said.push(`In each week, from week ${value("threat_earliest_week")} on, the sender may announce sanctions (probability ${threat}), ${imports}.`);
  const complaint = value("file_on_threat");
  const wins = `the target would win there with a probability of ${value("target_win")}`;
  if (complaint === "0") said.push(`The target does not complain to the WTO at the announcement; after a later complaint ${wins}.`);
  else said.push(`The target complains to the WTO at the announcement ${complaint === "1" ? "" : `(probability ${complaint})`}; ${wins}.`.replace(" ;", ";"));
  return said;
}
