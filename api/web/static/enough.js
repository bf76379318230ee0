// Whether there are enough trials for an answer, by what the service says that it needs: a page does not ask for an answer
// that it would be refused.
import { el } from "./dom.js";
import { whole } from "./format.js";
import { once, post } from "./v1.js";

/** What the service says of an answer. */
export const answerEntry = async (name) => (await once("/v1/answers")).find((one) => one.name === name);

const counted = new Map();

/** The trials of each strategy for which a condition holds, by strategy; all that are played without one. */
async function trialsOf({ id, job }, given) {
  if (!given && job.state === "succeeded") return Object.fromEntries(job.strategies.map((name) => [name, job.trials]));
  const key = JSON.stringify([given, job.progress.trials_done]);
  if (!counted.has(key)) {
    const request = { measures: { value: "1" }, statistics: ["count"], by: ["strategy"], ...(given ? { given } : {}) };
    counted.set(key, post(`/v1/jobs/${id}/aggregate`, request).catch((error) => { counted.delete(key); throw error; }));
  }
  const { rows } = (await counted.get(key)).result;
  return Object.fromEntries(job.strategies.map((name) => [name, rows.find((row) => row.strategy === name)?.trials ?? 0]));
}

/** Words in place of an answer for which there are too few trials of these strategies; null if there may be enough.
 * `within` is a condition that the answer itself sets, with its words. */
export async function tooFew(name, asked, strategies, within = null) {
  const needs = await answerEntry(name);
  if (!needs.designs.includes(asked.job.design)) {
    return [el("p", { class: "few" }, `This needs a run of another design: ${needs.designs.join(", ")}. This run's design is ${asked.job.design}.`)];
  }
  const fewest = asked.given || within ? needs.fewest_given : needs.fewest_trials;
  const found = await trialsOf(asked, within ? within.condition : asked.given);
  const lacking = strategies.filter((one) => found[one] < fewest);
  if (!lacking.length) return null;
  const part = (one) => {
    const all = within || asked.given ? ` of ${whole(asked.job.trials)}` : "";
    return `${found[one] ? whole(found[one]) : "none"}${all} under ${one}`;
  };
  const what = within ? `trials ${within.words}` : asked.given ? "trials agree with what was learned" : "trials were played";
  const others = asked.strategies.filter((one) => !lacking.includes(one));
  const leave = strategies.length > 1 && others.length > 0;
  return [
    el("p", { class: "few" }, `Too few ${what} for this: ${lacking.map(part).join(", ")}. At least ${fewest === 1 ? "one is" : `${whole(fewest)} are`} needed${strategies.length > 1 ? " of each strategy" : ""}.`),
    el("p", { class: "row actions" },
      leave && lacking.map((one) => el("button", { type: "button", onclick: () => asked.choose({ only: asked.strategies.filter((other) => other !== one) }) }, `Leave ${one} out`)),
      el("a", { href: `/run?from=${asked.id}` }, "Play more trials")),
  ];
}
