// The parts of a result page. Each asks /v1 for an answer and shows its numbers, a chart, and how a script asks the same.
import { chartOf } from "./chart.js";
import { NET_GAIN, uncertainParameters } from "./conditions.js";
import { el, fill, showFault, table } from "./dom.js";
import { answerEntry, counted, tooFew } from "./enough.js";
import { amount, bare, distribution, negated, number, plain, readNumber, readWhole, rounded, share, whole } from "./format.js";
import { estimate, numbers, query } from "./numbers.js";
import { download, get, once, post } from "./v1.js";

/** The measure that was chosen; without one the service takes the scenario's measure of choice. */
const measured = (asked) => (asked.chosen.measure ? { measure: asked.chosen.measure } : {});
/** How many trials a first answer is made from. */
const fewTrials = (asked) => (asked.trials ? { trials: asked.trials } : {});
/** How many trials tell which strategy leads where, and quantiles of regret, in a first answer: they take longest. */
const fewForLeads = (asked) => (asked.trials ? { sampled: asked.trials } : {});
/** What a request about one strategy says: the chosen one, or the first of those shown. */
export const single = (asked) => ({ ...asked.evidence, strategy: asked.chosen.strategy || asked.strategies[0] });

/** What of a first answer is from few trials. */
const fromFirst = (asked, what) => (asked.early ? el("p", { class: "dim" }, `${what} from the first ${whole(asked.trials)} trials${asked.given ? " that agree" : ""}; that from all of them follows.`) : null);

/** A measure in words. */
const measureWords = (asked, measure) => (measure === NET_GAIN ? `the sender's net gain (${NET_GAIN}), bn USD` : asked.terms.find((one) => one.name === measure)?.label ?? measure);

/** An answer and a chart of it, asked for together: the service computes the answer once. */
const withChart = (asked, answer, request, chart, label) =>
  Promise.all([post(`/v1/jobs/${asked.id}/${answer}`, request, { signal: asked.signal }), chartOf(asked, chart, request, label)]);

/** A list of strategies to choose one from. */
export function strategyList(asked) {
  if (asked.strategies.length < 2) return null;
  const list = el("select", { onchange: () => asked.choose({ strategy: list.value }) },
    asked.strategies.map((name) => el("option", { value: name, selected: name === single(asked).strategy }, name)));
  return el("div", { class: "row" }, el("label", {}, "Strategy", list));
}

async function showAnswer(asked) {
  const request = { ...asked.request, ...measured(asked), ...fewForLeads(asked) };
  const found = await post(`/v1/jobs/${asked.id}/findings`, request, { signal: asked.signal });
  asked.early = asked.trials !== null && found.sampled === asked.trials;
  asked.panel.weigh(found.evidence);
  return [
    el("div", { class: "answer" }, found.sentences.map((text) => el("p", {}, text))),
    found.beliefs.length ? el("ul", {}, found.beliefs.map((text) => el("li", {}, text))) : null,
    fromFirst(asked, "Which beliefs would change it is"),
    el("p", { class: "dim" }, `From ${whole(found.trials)} trials${asked.strategies.length > 1 ? " of each strategy" : ""}. `, el("a", { href: "/help#interval" }, "How to read an interval"), "."),
    numbers(asked, "findings", request, found, () => [["kind", "sentence"], ...found.sentences.map((text) => ["answer", text]), ...found.beliefs.map((text) => ["belief", text])]),
  ];
}

async function showEnding(asked) {
  const summary = await get(`/v1/jobs/${asked.id}/summary${query(asked.request)}`, asked.signal);
  const each = Object.values(summary.strategies);
  asked.panel.say(each.map((one) => one.trials), each[0].trials_played);
  const [outcomes, events] = await Promise.all([
    chartOf(asked, "outcomes", asked.request, "How the trials end under each strategy"),
    chartOf(asked, "events", asked.request, "The probability of each event with its 95 % interval"),
  ]);
  const strategies = Object.keys(summary.strategies);
  const kinds = [["outcome", "outcome"], ["event", "events"]];
  const entries = kinds.flatMap(([kind, key]) => asked.terms.filter((term) => term.kind === kind).map((term) => [term, key]));
  const rows = entries.map(([term, key]) => [term.label, ...strategies.map((name) => estimate(summary.strategies[name][key][term.name], share))]);
  const csv = () => [
    ["strategy", "what", "estimate", "low", "high", "trials"],
    ...entries.flatMap(([term, key]) => strategies.map((name) => {
      const one = summary.strategies[name][key][term.name];
      return [name, term.name, one.estimate, one.low, one.high, summary.strategies[name].trials];
    })),
  ];
  return [
    outcomes,
    el("h3", {}, "What happens on the way"),
    events,
    el("h3", {}, "What it brings and costs"),
    meansTable(asked, summary),
    el("details", {}, el("summary", {}, "Outcomes and events as a table"), table("Share of the trials in per cent, with 95 % intervals", ["outcome or event", ...strategies], rows)),
    numbers(asked, "summary", asked.request, summary, csv),
  ];
}

/** Measures of the table of means, the others being in the answer's JSON. */
const MEANS = ["agreement_week", "market_access", "export_gain", "sender_cost", "target_cost", "sanctions_weeks", "balance_change"];

/** What the strategies bring and cost: the mean of each measure, and the range in which nine of ten trials lie. */
function meansTable(asked, { strategies }) {
  const names = Object.keys(strategies);
  const cell = (one, { name, unit }) => {
    if (!one || one.mean.estimate === null) return "–";
    const factor = unit.startsWith("share") ? 100 : 1;
    // As many decimals in a column as each of its intervals supports.
    const half = factor * Math.max(...names.map((other) => strategies[other].measures[name]?.mean).map((mean) => (mean && mean.low !== null && mean.high !== null ? (mean.high - mean.low) / 2 : 0)));
    const scaled = (value) => (value === null || value === undefined ? value : factor * value);
    const value = scaled(one.mean.estimate);
    const mean = { estimate: value, low: value - half, high: value + half };
    const [low, high] = ["0.05", "0.95"].map((level) => rounded(scaled(one.quantiles[level])));
    if (one.mean.estimate === 0 && low === high) return "0";
    return el("span", {}, amount(mean).text, el("span", { class: "interval below" }, low === high ? `all ${low}` : `${low} to ${high}`));
  };
  const known = MEANS.map((name) => asked.terms.find((term) => term.name === name))
    .filter((term) => names.some((name) => { const one = strategies[name].measures[term.name]; return one && one.mean.estimate !== null && (one.mean.estimate !== 0 || one.mean.standard_error !== 0); }));
  const unit = (term) => (term.unit.startsWith("share") ? `%${term.unit.slice(5)}` : term.unit);
  return table("The mean, and below it the range in which nine of ten trials lie (5 % and 95 % quantiles)",
    ["strategy", ...known.map((term) => el("span", {}, term.label, el("span", { class: "dim kind" }, unit(term))))],
    names.map((name) => [name, ...known.map((term) => cell(strategies[name].measures[term.name], term))]));
}

/** The states that the chart draws. The others are in the files, and in the answer to a request without this list. */
const DRAWN = ["agreement", "threat_standing", "sanctions_standing", "withdrawn", "backed_down"];

async function showTime(asked) {
  const request = { ...asked.request, states: DRAWN };
  const [found, figure] = await withChart(asked, "timeline", request, "timeline", "The state of the dispute by week, with 95 % bands");
  const { weeks, strategies } = found.result;
  const marks = [13, 26, 52, 104].filter((week) => week <= weeks.length).concat(weeks.length).filter((week, k, all) => all.indexOf(week) === k);
  const rows = Object.entries(strategies).map(([name, one]) => [name, ...marks.map((week) => {
    const state = one.states.agreement;
    return estimate({ estimate: state.estimate[week - 1], low: state.low[week - 1], high: state.high[week - 1] }, share);
  })]);
  const whole = () => post(`/v1/jobs/${asked.id}/timeline`, asked.request);
  const csv = (every) => [["strategy", "state", "week", "estimate", "low", "high"],
    ...Object.entries(every.result.strategies).flatMap(([name, one]) => Object.entries(one.states).flatMap(([state, course]) =>
      weeks.map((week, k) => [name, state, week, course.estimate[k], course.low[k], course.high[k]])))];
  return [
    el("p", { class: "dim" }, "The share of the trials in each state at the end of the week. A band holds all weeks of a state together with 95 %."),
    figure,
    table("An agreement by the end of the week, per cent of the trials", ["strategy", ...marks.map((week) => `week ${week}`)], rows),
    numbers(asked, "timeline", asked.request, whole, csv),
  ];
}

async function showDistribution(asked) {
  const shown = asked.chosen.show || "agreement_week";
  const term = asked.terms.find((one) => one.name === shown);
  const names = [...asked.terms.filter((one) => one.kind === "measure").map((one) => [one.name, one.label]), [NET_GAIN, "Sender's net gain"],
    ...[...uncertainParameters(asked.scenario).keys()].map((name) => [name, name])];
  const list = el("select", { onchange: () => asked.choose({ show: list.value }) },
    names.map(([name, label]) => el("option", { value: name, selected: name === shown }, label)));
  const choice = (name, options) => {
    const made = el("select", { onchange: () => asked.choose({ [name]: made.value }) },
      options.map(([value, label]) => el("option", { value, selected: value === (asked.chosen[name] || "") }, label)));
    return made;
  };
  const head = el("div", { class: "row" }, el("label", {}, "Measure", list),
    el("label", {}, "Drawn as", choice("form", [["", "histogram"], ["cumulative", "cumulative curve"]])),
    el("label", {}, "Trials", choice("by", [["", "all together"], ["outcome", "by outcome"]])));
  const cumulative = asked.chosen.form === "cumulative";
  const keys = asked.chosen.by === "outcome" ? ["strategy", "outcome"] : ["strategy"];
  const binned = { ...asked.request, measures: [shown], statistics: ["count"], by: [...keys, { value: shown, bins: cumulative ? 100 : 30 }] };
  const request = { ...asked.request, measures: { value: shown }, statistics: ["known", "mean", "standard_error", "q05", "q25", "median", "q75", "q95"], by: keys };
  const label = `${cumulative ? "Cumulative distribution" : "Distribution"} of ${term?.label ?? shown}, by strategy${keys.length > 1 ? " and outcome" : ""}`;
  const brushing = { brush: (low, high) => asked.choose({ given: [...asked.chosen.given, `${shown} >= ${low} and ${shown} <= ${high}`] }), brushed: /^[A-Za-z_][\w.-]*$/.test(shown) };
  const [found, figure] = await Promise.all([
    post(`/v1/jobs/${asked.id}/aggregate`, request, { signal: asked.signal }),
    chartOf(asked, cumulative ? "cumulative" : "distribution", binned, label, brushing),
  ]);
  const column = (row, name) => row[`value.${name}`];
  const rows = found.result.rows.map((row) => [
    keys.map((key) => plain(row[key] ?? "")).join(" / "),
    whole(row.trials),
    column(row, "known") === null ? "" : share({ estimate: column(row, "known"), low: null }).text,
    ...["mean", "standard_error", "q05", "q25", "median", "q75", "q95"].map((name) => number(column(row, name))),
  ]);
  const csv = () => { download("aggregate.csv", `/v1/jobs/${asked.id}/aggregate`, request, "text/csv").catch(showFault); };
  return [
    head, figure,
    cumulative ? el("p", { class: "dim" }, keys.length > 1 ? "The share of the trials with that outcome whose value is at most the one below." : "The share of the trials whose value is at most the one below; a line ends at the share that know it.") : null,
    table(`${term?.label ?? shown}, in the trials that know it`, [keys.join(" / "), "trials", "known in", "mean", "standard error", "5 %", "25 %", "median", "75 %", "95 %"], rows),
    numbers(asked, "aggregate", request, found, csv),
  ];
}

async function showComparison(asked) {
  // In the words in which the sentences at the top are asked for: the service computes the comparison once.
  const request = { ...asked.request, measures: [asked.chosen.measure || asked.scenario?.choice || NET_GAIN], ...fewForLeads(asked) };
  const [found, regret, leads] = await Promise.all([
    post(`/v1/jobs/${asked.id}/compare`, request, { signal: asked.signal }),
    chartOf(asked, "regret", request, "Mean regret of each strategy with its 95 % interval"),
    chartOf(asked, "leads", request, "Which strategy is best on average, over each parameter's range"),
  ]);
  const { pairs, choices } = found.result;
  asked.early = found.result.trials.sampled === asked.trials;
  const [choice] = choices;
  const term = asked.terms.find((one) => one.name === choice.measure);
  const known = pairs.filter((pair) => pair.measures[choice.measure]);
  const differences = ({ measures, events }, turned) => {
    const { difference, higher, lower } = measures[choice.measure];
    const sign = turned ? negated : (one) => one;
    return [estimate(sign(difference), amount), estimate(turned ? lower : higher, share), estimate(turned ? higher : lower, share),
      estimate(sign(events.agreement.difference), bare), estimate(sign(events.sanctions.difference), bare)];
  };
  const order = Object.entries(choice.regret).sort(([, one], [, other]) => one.mean.estimate - other.mean.estimate);
  const best = order[0]?.[0];
  const ofBest = order.slice(1).flatMap(([name]) => known.filter((pair) => [best, name].every((one) => [pair.first, pair.second].includes(one)))
    .map((pair) => [name, ...differences(pair, pair.second === best)]));
  const regretRows = order.map(([name, one]) => [name, estimate(one.mean, amount), estimate(one.best, share), number(one.quantiles["0.9"]?.estimate)]);
  const head = [term ? `${term.label}, ${term.unit}` : measureWords(asked, choice.measure), "more in", "less in", "agreement, points", "sanctions, points"];
  const others = choice.leads.filter((one) => one.ranges.some((part) => part.leads !== best));
  const csv = () => [["first", "second", "what", "difference", "low", "high"],
    ...pairs.flatMap((pair) => ["outcome", "events", "measures"].flatMap((kind) => Object.entries(pair[kind]).map(([name, one]) =>
      [pair.first, pair.second, name, one.difference.estimate, one.difference.low, one.difference.high])))];
  return [
    el("p", { class: "dim" }, `By ${measureWords(asked, choice.measure)}, in the same ${whole(found.result.trials.compared)} trials. `, el("a", { href: "/help#regret" }, "What regret is"), "."),
    ofBest.length ? table(`${best} less each of the others in the same trials, with 95 % intervals; of probabilities in percentage points`, [`${best} less`, ...head], ofBest) : null,
    el("h3", {}, "Regret"),
    regret,
    table("How far a strategy is below the best one in the same trial", ["strategy", "mean", "best in", "90 % of trials below"], regretRows),
    el("h3", {}, "Which strategy leads, as a function of belief"),
    fromFirst(asked, "This, and the last column of the table above, is"),
    others.length || !choice.leads.length ? null : el("p", {}, `${best} leads in every part of the range of each of the ${whole(choice.leads.length)} uncertain parameters.`),
    others.length ? leads : el("details", {}, el("summary", {}, "The chart"), leads),
    el("details", {}, el("summary", {}, `Pair by pair: ${whole(known.length)} pairs`),
      table("Differences in the same trials, with 95 % intervals; of probabilities in percentage points", ["first less second", ...head], known.map((pair) => [`${pair.first} less ${pair.second}`, ...differences(pair, false)]))),
    numbers(asked, "compare", request, found, csv),
  ];
}

/** The trials from which an answer is made: few of them for a first answer, which the whole one follows. */
function fromTrials(asked, read) {
  asked.early = read === asked.trials;
  return el("p", { class: "dim" }, asked.early
    ? `A first answer, from ${whole(read)} trials: its intervals are wider. That from all of them follows.`
    : `From ${whole(read)} trials.`);
}

async function showDrivers(asked) {
  const request = { ...single(asked), ...measured(asked), ...fewTrials(asked), pawn: false };
  const [found, figure] = await withChart(asked, "drivers", request, "tornado", "The mean in each parameter's lowest and highest decile");
  const known = found.result.parameters.filter((one) => one.first_order);
  const rows = known.slice(0, 15).map((one) => [one.name, estimate(one.first_order, share),
    estimate(one.lowest_decile?.mean, amount), estimate(one.highest_decile?.mean, amount), one.unit]);
  const chance = found.result.variance?.chance;
  const csv = () => [["parameter", "unit", "first_order", "low", "high", "mean_lowest_decile", "mean_highest_decile"],
    ...known.map((one) => [one.name, one.unit, one.first_order.estimate, one.first_order.low, one.first_order.high, one.lowest_decile?.mean.estimate, one.highest_decile?.mean.estimate])];
  return [
    strategyList(asked),
    el("p", { class: "dim" }, `What moves ${measureWords(asked, found.result.measure)} under ${request.strategy}. `,
      chance?.estimate !== undefined && chance.estimate !== null ? `Chance alone makes ${share(chance).text} of the variance. ` : "", el("a", { href: "/help#driver" }, "How to read it"), "."),
    fromTrials(asked, found.result.trials.read),
    figure,
    table("Parameters by the share of the variance that each explains by itself", ["parameter", "share, %", "mean, lowest decile", "mean, highest decile", "parameter's unit"], rows),
    numbers(asked, "drivers", request, found, csv),
  ];
}

async function showWorth(asked) {
  const request = { ...asked.request, ...measured(asked), ...fewTrials(asked), ...(asked.trials || !asked.chosen.together ? { all_together: false } : {}) };
  const [found, values, means] = await Promise.all([
    post(`/v1/jobs/${asked.id}/worth`, request, { signal: asked.signal }),
    chartOf(asked, "values", request, "What learning each parameter before the choice would be worth, with its 95 % interval"),
    chartOf(asked, "means", request, "Each strategy's mean of the measure with its 95 % interval"),
  ]);
  const { everything, parameters, groups } = found.result;
  const together = el("input", { type: "checkbox", checked: Boolean(asked.chosen.together), onchange: () => asked.choose({ together: together.checked ? "1" : "" }) });
  const rows = parameters.slice(0, 12).map((one) => [one.name, estimate(one.value, amount), one.share_of_everything === null ? "" : `${number(100 * one.share_of_everything)} %`]);
  const csv = () => [["parameter", "value", "low", "high"], ...parameters.map((one) => [one.name, one.value.estimate, one.value.low, one.value.high])];
  return [
    el("p", { class: "dim" }, `How much better the choice by ${measureWords(asked, found.result.measure)} would be on average if a parameter were known before it. Knowing everything, chance too: `, estimate(everything, amount), ". ", el("a", { href: "/help#worth" }, "What it means"), "."),
    fromTrials(asked, found.result.trials.read),
    parameters.some((one) => one.value.estimate)
      ? [values, table("Worth of learning one parameter", ["parameter", "worth", "of knowing everything"], rows)]
      : el("p", {}, "Learning any single parameter would not change the choice: it is worth nothing here."),
    parameters.length > 1 ? el("p", {}, el("label", { class: "check" }, together, el("span", {}, "Learning all of them together too, which takes a few seconds"))) : null,
    groups.map((one) => el("p", {}, `Learning ${one.name}: `, estimate(one.value, amount), ".")),
    el("h3", {}, "The choice without learning anything"),
    means,
    numbers(asked, "worth", request, found, csv),
  ];
}

/** A form for a condition that a section is about; it stands in the address under `name`. */
function conditionForm(asked, name, label, hint, usual) {
  const input = el("input", { size: 30, maxlength: 1500, autocomplete: "off", value: asked.chosen[name] || usual, list: `${name}-known` });
  const list = el("datalist", { id: `${name}-known` }, asked.terms.filter((one) => one.kind === "event").map((one) => el("option", { value: one.name })), el("option", { value: "sender_cost > 1" }));
  return el("form", { class: "row", onsubmit: (event) => { event.preventDefault(); asked.choose({ [name]: input.value.trim() }); } },
    el("label", {}, label, input, list), el("button", { type: "submit" }, hint));
}

const interval = (one) => (one.above === null || one.above === undefined ? `up to ${number(one.up_to)}` : one.up_to === null || one.up_to === undefined ? `above ${number(one.above)}` : `${number(one.above)} to ${number(one.up_to)}`);

/** What stress and discovery are about unless something is chosen: sanctions or, where too few trials have them or are
 * without, that there is no agreement; null where that is so of both. */
async function usualOutcome(asked, answer) {
  const { trials, sanctions, agreement } = (await counted(asked, asked.given))[single(asked).strategy];
  const { fewest_cases: fewest } = await answerEntry(answer);
  const enough = (part) => Math.round(Math.min(part, 1 - part) * trials) >= fewest;
  return enough(sanctions) ? "sanctions" : enough(agreement) ? "not agreement" : null;
}

/** Words where a section has nothing to be about by itself. */
async function nothingUsual(answer) {
  const { fewest_cases: fewest } = await answerEntry(answer);
  return el("p", { class: "few" }, `Neither sanctions nor an agreement happens in at least ${whole(fewest)} trials here and fails to happen in as many. Write another condition, or play more trials.`);
}

async function showStress(asked) {
  const usual = asked.chosen.bound || (await usualOutcome(asked, "stress"));
  const form = conditionForm(asked, "bound", "The bound is broken where", "Look", usual ?? "");
  if (!usual) return [strategyList(asked), form, await nothingUsual("stress")];
  const request = { ...single(asked), bound: usual };
  const both = withChart(asked, "stress", request, "shifts", "How far each parameter is shifted where the bound is broken");
  const [[found, figure], error] = await both.then((all) => [all, null], (problem) => [[], problem]);
  if (error?.name === "AbortError") throw error;
  if (error) return [strategyList(asked), form, faultOf(error)];
  const { result } = found;
  const rows = result.parameters.slice(0, 12).map((one) => [one.name, number(one.inside.quantiles["0.5"]), number(one.outside.quantiles["0.5"]), estimate(one.shift, amount), number(one.distance), one.unit]);
  const worlds = result.worlds?.nearest ?? [];
  const csv = () => [["parameter", "unit", "shift", "low", "high", "distance"], ...result.parameters.map((one) => [one.name, one.unit, one.shift.estimate, one.shift.low, one.shift.high, one.distance])];
  return [
    strategyList(asked), form,
    el("p", {}, `Under ${request.strategy} the bound is broken in `, estimate(result.probability, share), ` of the trials: ${whole(result.trials.broken)} of ${whole(result.trials.asked)}. `, el("a", { href: "/help#stress" }, "What stress is"), "."),
    figure,
    table("Parameters that mark the trials in which the bound is broken", ["parameter", "median, broken", "median, kept", "shift in standard deviations", "distance", "unit"], rows),
    worlds.length ? el("p", {}, "Broken in spite of parameters near the middle of what is believed: ",
      worlds.map((one, k) => [k ? ", " : "", el("button", { type: "button", class: "quiet", onclick: () => asked.choose({ trial: String(one.trial) }) }, `trial ${whole(one.trial)}`)]), ".") : null,
    numbers(asked, "stress", request, found, csv),
  ];
}

/** What a section says of a refusal, below its form. */
export function faultOf(problem) {
  const listed = problem.errors?.length ? problem.errors.map((one) => one.detail) : [problem.message];
  return el("div", { class: "fault" }, listed.map((text) => el("p", {}, text)));
}

async function showDiscovery(asked) {
  const usual = asked.chosen.outcome || (await usualOutcome(asked, "discover"));
  const form = conditionForm(asked, "outcome", "Where is this frequent?", "Look", usual ?? "");
  if (!usual) return [strategyList(asked), form, await nothingUsual("discover")];
  const request = { ...single(asked), outcome: usual, ...fewTrials(asked) };
  const both = withChart(asked, "discover", request, "boxes", "How frequent it is in each box, and how much of it each box holds");
  const [[found, chart], error] = await both.then((all) => [all, null], (problem) => [[], problem]);
  // A first answer from few trials may be refused where that from all of them is not.
  if (error && (asked.trials || error.name === "AbortError")) throw error;
  if (error) return [strategyList(asked), form, faultOf(error)];
  const { boxes, probability, reason } = found.result;
  const figure = boxes.length > 0 && chart;
  const measures = ["mass", "density", "coverage"];
  const csv = () => [["box", "parameter", "unit", "above", "up_to", ...measures.flatMap((name) => [name, `${name}_low`, `${name}_high`])],
    ...boxes.flatMap((box, k) => box.restrictions.map((one) => [k + 1, one.name, one.unit, one.above, one.up_to, ...measures.flatMap((name) => [box[name].estimate, box[name].low, box[name].high])]))];
  return [
    strategyList(asked), form,
    el("p", {}, `In all trials under ${request.strategy}: `, estimate(probability, share), ". ", el("a", { href: "/help#discovery" }, "What the boxes are"), "."),
    fromTrials(asked, found.result.trials.read),
    reason && el("p", {}, reason),
    figure,
    boxes.map((box, k) => el("div", {}, el("h3", {}, `Box ${k + 1}`),
      el("p", {}, "In ", estimate(box.mass, share), " of the trials; there it happens in ", estimate(box.density, share), ", which is ", estimate(box.coverage, share), " of all cases."),
      el("ul", {}, box.restrictions.map((one) => el("li", {}, `${one.name}: ${interval(one)} (${one.unit})`))))),
    numbers(asked, "discover", request, found, csv),
  ];
}

async function showStories(asked) {
  const request = single(asked);
  const found = await post(`/v1/jobs/${asked.id}/typical`, request, { signal: asked.signal });
  const stories = [...found.result.typical.toSorted((one, other) => other.share - one.share), ...found.result.extreme];
  const trial = asked.chosen.trial === null || asked.chosen.trial === "" ? stories[0]?.trial : Number(asked.chosen.trial);
  const label = (name) => asked.terms.find((term) => term.name === name)?.label ?? name;
  const list = el("select", { onchange: () => asked.choose({ trial: list.value }) },
    stories.map((one) => el("option", { value: one.trial, selected: one.trial === trial }, `${one.why.replace(/^typical of /, "typical: ")}${one.share ? ` (${number(100 * one.share)} % of the trials)` : ""}`)),
    stories.some((one) => one.trial === trial) ? null : el("option", { value: trial, selected: true }, `trial ${trial}`));
  const input = el("input", { inputmode: "numeric", size: 9, autocomplete: "off", value: trial });
  const fault = el("p", { class: "field-fault", role: "alert" });
  const any = el("form", { class: "row", onsubmit: (event) => {
    event.preventDefault();
    try { asked.choose({ trial: String(readWhole(input.value)) }); } catch (error) { fill(fault, error.message); }
  } }, el("label", {}, "or any trial", input), el("button", { type: "submit" }, "Read it"));
  const head = [strategyList(asked), el("div", { class: "row" }, el("label", {}, "A story", list), any), fault];
  if (trial === undefined) return head;
  const replay = { trial, strategy: request.strategy };
  const [replayed, error] = await post(`/v1/jobs/${asked.id}/replay`, replay, { signal: asked.signal }).then((one) => [one.result, null], (problem) => [null, problem]);
  if (error?.name === "AbortError") throw error;
  if (error) return [...head, faultOf(error)];
  const figure = await chartOf(asked, "positions", replay, "What each side asks and offers on each issue, week by week");
  const csv = () => [["issue", "week", "sender", "target"], ...Object.values(replayed.positions).flatMap((issue) => issue.sender.map((level, week) => [issue.title, week, level, issue.target[week]]))];
  const weeks = (one) => (one.first_week === one.last_week ? `Week ${one.first_week}` : `Weeks ${one.first_week} to ${one.last_week}`);
  const other = Object.entries(replayed.strategies).filter(([name]) => name !== replayed.strategy);
  return [
    ...head,
    el("p", {}, el("strong", {}, `Trial ${whole(replayed.trial)} under ${replayed.strategy}: `), `${replayed.strategies[replayed.strategy].ending}.`),
    rowCheck(replayed.check),
    el("h3", {}, "The gap, issue by issue"), figure,
    el("h3", {}, "Week by week"),
    el("ol", { class: "story" }, replayed.story.map((one) => el("li", { class: one.events.length ? "turn" : null },
      el("strong", {}, weeks(one)), one.date ? el("span", { class: "dim" }, ` from ${one.date}`) : null, el("br"), one.sentences.join(" ")))),
    other.length ? el("details", {}, el("summary", {}, "The same dispute under the other strategies"), el("ul", {}, other.map(([name, one]) => el("li", {}, `${name}: ${one.ending ?? label(one.outcome)}`)))) : null,
    el("details", {}, el("summary", {}, "What was drawn"), table("Parameters of this trial", ["parameter", "value", "unit", "trials below, %"], replayed.draws.map((one) => [one.parameter, number(one.value), one.unit, one.share_below === null ? "" : number(100 * one.share_below)]))),
    numbers(asked, "replay", replay, replayed, csv),
  ];
}

/** Whether a story is that of the stored trial: its row, played again, beside the row that the run keeps. */
function rowCheck({ equal, columns, differences, other_versions: versions }) {
  if (equal === null) return el("p", { class: "dim" }, "The run keeps no row of this trial with which the story could be compared.");
  if (equal) return el("p", { class: "dim" }, `The row of the trial, played again for this story, equals the stored row in all ${whole(columns)} columns.`);
  const made = Object.entries(versions).map(([name, one]) => `${name} ${one.run} then, ${one.here} now`);
  const why = made.length ? `the run was made with other versions (${made.join("; ")})` : "a file of the run was altered";
  const text = (value) => (value === null ? "none" : String(value));
  return [
    el("p", { class: "fault" }, `This story is not that of the stored trial: ${why}. The numbers of the other sections are from the stored rows.`),
    el("details", {}, el("summary", {}, `What differs: ${whole(differences.length)} values`),
      table("The stored row and the row as played now", ["strategy", "column", "stored", "played now"], differences.map((one) => [one.strategy, one.column ?? "file", text(one.stored), text(one.played)]), false)),
  ];
}

async function showCheck(asked) {
  const { reference, parameters } = asked.scenario ?? {};
  const inForce = parameters?.sanctions_at_start === 1;
  const rates = el("p", {}, el("a", { href: "/rates" }, "The rates of past threats"), ".");
  if (!reference && !inForce) return [el("p", {}, "The scenario names no class of past threats with which it could be compared."), rates];
  const { strategy } = single(asked);
  const few = await tooFew("check", asked, [strategy], { within: inForce ? { condition: null, words: "were played" } : { condition: "threat", words: "have a threat" } });
  if (few) return [strategyList(asked), few, rates];
  const request = { strategy, ...(asked.chosen.believe.length ? { believe: asked.chosen.believe } : {}) };
  const found = await post(`/v1/jobs/${asked.id}/check`, request, { signal: asked.signal });
  const columns = [["what", (one) => one.label], ["forecast", (one) => estimate(one.forecast, share)], ["past threats", (one) => (one.class?.estimate === null ? "not known" : estimate(one.class, share))],
    ["outside the past", (one) => (one.outside ? "outside" : "")], ["would move it", (one) => one.movers.map((mover) => mover.parameter).join(", ") || one.reason || ""], ["source", (one) => one.source]];
  const shown = columns.filter(([, cell]) => found.result.compared.some((one) => cell(one) !== ""));
  const figure = await chartOf(asked, "past", request, "The forecast beside how past threats of its class ended, with 95 % intervals");
  const csv = () => [["what", "forecast", "low", "high", "past", "past_low", "past_high", "outside", "source"],
    ...found.result.compared.map((one) => [one.label, one.forecast.estimate, one.forecast.low, one.forecast.high, one.class.estimate, one.class.low, one.class.high, one.outside, one.source])];
  return [
    strategyList(asked),
    asked.given ? el("p", { class: "dim" }, "Of all trials, also of those that do not agree with what was learned: past threats are known without it.") : null,
    el("p", { class: "dim" }, `The forecast under ${request.strategy}, ${found.result.reference === "sanctions-in-force" ? "beside what became of past sanctions in force" : `in the trials with a threat, beside how past threats of the class ${found.result.reference} ended`}, as known on ${found.result.known_on ?? "any day"}.`),
    figure,
    found.result.without_threat.length ? el("p", { class: "dim" }, `Not compared: ${found.result.without_threat.join(", ")}. No class says how often talks without a threat succeed.`) : "",
    table("Forecast and past, in per cent, with 95 % intervals", shown.map(([name]) => name), found.result.compared.map((one) => shown.map(([, cell]) => cell(one))), false),
    rates,
    numbers(asked, "check", request, found, csv),
  ];
}

/** What a person types for a parameter that is set: a number, or a range such as "0.5 to 1". */
function readSetting(text) {
  const ends = text.split(/\s+to\s+/);
  if (ends.length > 2) throw new Error(`“${text}” is neither a number nor a range such as 0.5 to 1`);
  const [low, high] = ends.map(readNumber);
  return ends.length === 1 ? low : { uniform: [low, high] };
}

async function showSetting(asked) {
  const parameters = await once("/v1/parameters");
  const issues = Object.keys(asked.scenario?.issues ?? {});
  const names = parameters.flatMap((one) => (one.name.startsWith("issues.") ? issues.map((issue) => [one.name.replace("<issue>", issue), one]) : [[one.name, one]]));
  const list = el("select", {}, names.map(([name]) => el("option", { value: name }, name)));
  const value = el("input", { size: 14, autocomplete: "off", placeholder: "0.9 or 0.5 to 1" });
  const fault = el("p", { class: "field-fault", role: "alert" });
  const hint = el("p", { class: "hint" });
  const about = () => { const [, one] = names.find(([name]) => name === list.value); fill(hint, `${one.meaning}; ${one.unit}, ${one.domain}; decided by ${one.decided_by}`); };
  list.addEventListener("change", about);
  about();
  const now = Object.entries(asked.scenario?.set ?? {});
  const play = async () => {
    const scenario = { ...asked.scenario, set: { ...asked.scenario.set, [list.value]: readSetting(value.value) } };
    const { trials, seed, design, strategies, keep } = asked.job;
    const job = await post("/v1/jobs", { scenario, trials, seed, design, strategies, keep });
    location.assign(`/jobs/${job.id}?base=${asked.id}`);
  };
  const form = el("form", { class: "row", onsubmit: (event) => { event.preventDefault(); fill(fault); play().catch((error) => fill(fault, error.errors?.map((one) => one.detail).join("; ") || error.message)); } },
    el("label", {}, "Set", list), el("label", {}, "to", value), el("button", { type: "submit" }, "Play the trials anew"));
  return [
    el("p", {}, "Setting a parameter is an intervention: the same disputes are played anew, with the same chance and the parameter as it is set under every strategy. ", el("a", { href: "/help#set" }, "Setting is not learning"), "."),
    now.length ? el("p", {}, "Set in this run: ", el("strong", {}, now.map(([name, one]) => `${name} = ${distribution(one)}`).join("; ")), asked.chosen.base ? [". ", el("a", { href: `/compare?a=${asked.chosen.base}&b=${asked.id}` }, "Compare with the run without it")] : null) : null,
    asked.scenario ? form : el("p", {}, "The scenario of this run cannot be read yet."), hint, fault,
  ];
}

/** A button that saves a file which the service takes a few seconds to make. */
function saving(label, name, path, accept) {
  const button = el("button", { type: "button", class: "quiet", onclick: () => {
    button.disabled = true;
    download(name, path, undefined, accept).catch(showFault).finally(() => { button.disabled = false; });
  } }, label);
  return button;
}

async function showFiles(asked) {
  const { files } = await get(`/v1/jobs/${asked.id}/files`, asked.signal);
  const link = (path) => el("a", { href: `/v1/jobs/${asked.id}/files/${path.split("/").map(encodeURIComponent).join("/")}`, download: path.split("/").at(-1) }, path);
  const path = `/v1/jobs/${asked.id}/report${query({ ...asked.request, ...measured(asked) })}`;
  return [
    el("p", { class: "row" },
      el("a", { class: "button", href: path, download: `${asked.job.scenario}.html` }, "Report to hand on"),
      saving("Report as PDF", `${asked.job.scenario}.pdf`, path, "application/pdf"),
      saving("Excel", `${asked.job.scenario}.xlsx`, `/v1/jobs/${asked.id}/export${query(asked.request)}`, "*/*"),
      el("a", { href: `/run?from=${asked.id}` }, "Run it again, or change it"),
      el("a", { href: `/compare?a=${asked.id}` }, "Compare with another")),
    el("details", {}, el("summary", {}, `The result folder: ${whole(files.length)} files`), table("Files", ["file", "bytes"], files.map((one) => [link(one.path), whole(one.bytes)]))),
  ];
}

/** The sections in their order. `uses` names the choices on which one depends; it is asked again when one changes. `first`
 * is the number of trials of a first answer, where that from all of them takes longer than a reader should wait; from twice as
 * many on there is one. `early` ones are asked while the run is played, and two at once. `answer` is the one whose number of
 * trials it needs, of a `single` strategy or of each. What one that `counts` asks for depends on how many trials agree. One that
 * is `beside` stands with the conditions. */
export const SECTIONS = [
  { id: "answer", title: "The answer", show: showAnswer, answer: "compare", uses: ["given", "only", "measure"], early: true, first: 10_000 },
  { id: "ending", title: "How it ends", show: showEnding, answer: "summary", uses: ["given", "only"], early: true },
  { id: "time", title: "Over time", show: showTime, answer: "timeline", uses: ["given", "only"] },
  { id: "distribution", title: "Distributions", show: showDistribution, answer: "aggregate", uses: ["given", "only", "show", "form", "by"] },
  { id: "compare", title: "Strategies compared", show: showComparison, answer: "compare", uses: ["given", "only", "measure"], several: true, first: 10_000 },
  { id: "drivers", title: "What it depends on", show: showDrivers, answer: "drivers", single: true, uses: ["given", "only", "measure", "strategy"], first: 10_000 },
  { id: "worth", title: "What it is worth to learn", show: showWorth, answer: "worth", uses: ["given", "only", "measure", "together"], several: true, first: 10_000 },
  { id: "stress", title: "Stress: where a bound is broken", show: showStress, answer: "stress", single: true, uses: ["given", "only", "strategy", "bound"], counts: true },
  { id: "discover", title: "Discovery: where something is frequent", show: showDiscovery, answer: "discover", single: true, uses: ["given", "only", "strategy", "outcome"], first: 10_000, counts: true },
  { id: "stories", title: "Stories", show: showStories, answer: "typical", single: true, uses: ["given", "only", "strategy", "trial"] },
  { id: "check", title: "Compared with the past", show: showCheck, uses: ["given", "strategy"] },
  { id: "files", title: "The run itself", show: showFiles, uses: ["given", "only", "measure"] },
  { id: "set", title: "What if we set it?", show: showSetting, uses: ["base"], beside: true },
];
