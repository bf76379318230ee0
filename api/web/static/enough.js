// Whether there are enough trials for an answer, by what the service says that it needs: a page does not ask for an answer
// that it would be refused.
import { el } from "./dom.js";
import { whole } from "./format.js";
import { once, post } from "./v1.js";

/** What the service says of an answer. */
export const answerEntry = async (name) => (await once("/v1/answers")).find((one) => one.name === name);

const counts = new Map();
const done = new Set();
const keyOf = (job, given) => JSON.stringify([given, job.progress.trials_done]);

/** Whether it is known how many trials agree with a condition. */
export const isCounted = ({ job }, given) => done.has(keyOf(job, given));

/** What each strategy's trials are, by its name: how many agree with a condition, and in what share of them there are
 * sanctions and an agreement. One request for all sections. */
export async function counted({ id, job }, given) {
  const key = keyOf(job, given);
  if (!counts.has(key)) {
    const request = { measures: { sanctions: "sanctions", agreement: "agreement" }, statistics: ["mean"], by: ["strategy"], ...(given ? { given } : {}) };
    counts.set(key, post(`/v1/jobs/${id}/aggregate`, request).catch((error) => { counts.delete(key); throw error; }));
  }
  const { rows } = (await counts.get(key)).result;
  done.add(key);
  return Object.fromEntries(job.strategies.map((name) => {
    const row = rows.find((one) => one.strategy === name);
    return [name, { trials: row?.trials ?? 0, sanctions: row?.["sanctions.mean"] ?? 0, agreement: row?.["agreement.mean"] ?? 0 }];
  }));
}

/** Whether the rows of all trials of a job are there, which a condition is asked of. */
const hasAllRows = (job) => job.state === "succeeded" && job.keep !== "summary";

/** The trials of each strategy for which a condition holds, by strategy; all that are played without one. */
async function trialsOf(asked, given) {
  const { job } = asked;
  if (!given && job.state === "succeeded") return Object.fromEntries(job.strategies.map((name) => [name, job.trials]));
  const found = Object.entries(await counted(asked, given)).map(([name, { trials }]) => [name, trials]);
  if (given === asked.given && hasAllRows(job) && !asked.signal.aborted) asked.panel.say(found.filter(([name]) => asked.strategies.includes(name)).map(([, trials]) => trials), job.trials);
  return Object.fromEntries(found);
}

/** Words in place of an answer for which there are too few trials of these strategies; null if there may be enough.
 * `within` is a condition that the answer itself sets, with its words. Without `waiting` for it, what is not counted yet is
 * counted meanwhile, and there may be enough. */
export async function tooFew(name, asked, strategies, { within = null, waiting = true } = {}) {
  const needs = await answerEntry(name);
  if (!needs.designs.includes(asked.job.design)) {
    return [el("p", { class: "few" }, `This needs a run of another design: ${needs.designs.join(", ")}. This run's design is ${asked.job.design}.`)];
  }
  const fewest = asked.given || within ? needs.fewest_given : needs.fewest_trials;
  const given = within ? within.condition : asked.given;
  const counting = trialsOf(asked, given);
  if (given && !waiting && !isCounted(asked, given)) {
    // Where it fails, the answer fails too, and says why.
    counting.catch(() => {});
    return null;
  }
  const found = await counting;
  const lacking = strategies.filter((one) => found[one] < fewest);
  if (!lacking.length) return null;
  const part = (one) => {
    const all = (within || asked.given) && hasAllRows(asked.job) ? ` of ${whole(asked.job.trials)}` : "";
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
