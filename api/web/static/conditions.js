// What was learned: conditions that trials must meet, chosen from lists and ranges or written, and kept in the address.
import { el, fill } from "./dom.js";
import { number, readNumber, whole } from "./format.js";

export const NET_GAIN = "export_gain - sender_cost";

/** The condition that all clauses make together; null for none. */
export const conditionOf = (clauses) =>
  clauses.length ? (clauses.length === 1 ? clauses[0] : clauses.map((one) => `(${one})`).join(" and ")) : null;

/** The parameters that a scenario leaves uncertain, in some strategy or all, with their distributions. */
export function uncertainParameters(scenario) {
  const found = new Map();
  const add = (name, document) => typeof document === "object" && document !== null && !found.has(name) && found.set(name, document);
  for (const [name, document] of Object.entries(scenario?.parameters ?? {})) add(name, document);
  for (const [issue, one] of Object.entries(scenario?.issues ?? {})) {
    for (const part of ["gap", "sender_concession", "target_concession"]) add(`issues.${issue}.${part}`, one[part]);
  }
  for (const sets of Object.values(scenario?.strategies ?? {})) for (const [name, document] of Object.entries(sets)) add(name, document);
  return found;
}

/** A clause in words, for a chip. */
export function wordsOf(clause, terms) {
  const label = (name) => terms.find((term) => term.name === name)?.label ?? name;
  const not = clause.match(/^not ([A-Za-z_]+)$/);
  if (not) return `${label(not[1])}: does not happen`;
  if (/^[A-Za-z_]+$/.test(clause)) return `${label(clause)}: happens`;
  const range = clause.match(/^([A-Za-z_][\w.-]*) >= (\S+) and \1 <= (\S+)$/);
  if (range) return `${label(range[1])} from ${range[2]} to ${range[3]}`;
  const bound = clause.match(/^([A-Za-z_][\w.-]*) (>=|<=) (\S+)$/);
  if (bound) return `${label(bound[1])} at ${bound[2] === ">=" ? "least" : "most"} ${bound[3]}`;
  return clause;
}

const option = (value, text) => el("option", { value }, text);
const group = (label, options) => el("optgroup", { label }, options);

/** Build the panel once for a run: lists, ranges, strategies, measure. `choose` changes the address and answers anew. */
export function conditionsPanel(place, { terms, scenario, strategies, parameters }, choose) {
  const meaning = new Map(parameters.map((one) => [one.name, one]));
  const of = (kind) => terms.filter((term) => term.kind === kind);
  const uncertain = uncertainParameters(scenario);
  const about = (name) => meaning.get(name.replace(/^issues\.[^.]+\./, "issues.<issue>.")) ?? {};
  const what = el("select", { id: "learn-what" },
    group("What happens", of("event").map((term) => option(`event ${term.name}`, term.label))),
    group("How it ends", of("outcome").map((term) => option(`event ${term.name}`, term.label))),
    group("Weeks and amounts", of("measure").map((term) => option(`range ${term.name}`, `${term.label} (${term.unit})`))),
    group("Parameters", [...uncertain.keys()].map((name) => option(`range ${name}`, name))));
  const happens = el("select", { id: "learn-happens" }, option("yes", "happens"), option("no", "does not happen"));
  const low = el("input", { id: "learn-low", inputmode: "decimal", autocomplete: "off", size: 8 });
  const high = el("input", { id: "learn-high", inputmode: "decimal", autocomplete: "off", size: 8 });
  const hint = el("p", { class: "hint", id: "learn-hint" });
  const fault = el("p", { class: "field-fault", role: "alert" });
  const event = el("label", {}, "and it", happens);
  const range = el("div", { class: "row" }, el("label", {}, "at least", low), el("label", {}, "at most", high));
  const own = el("input", { id: "learn-own", autocomplete: "off", size: 36, maxlength: 1500, "aria-describedby": "learn-own-hint" });
  const belief = el("input", { id: "believe", autocomplete: "off", size: 36, maxlength: 1500 });
  const weight = el("p", { id: "weight", role: "status" });
  let beliefs = [];
  const chips = el("ul", { class: "chips", "aria-label": "What was learned" });
  const strip = el("p", { class: "strip", hidden: true });
  const agree = el("p", { id: "agree", role: "status" });
  let clauses = [];
  let shown = "";

  function changed() {
    const [kind, name] = what.value.split(" ");
    event.hidden = kind !== "event";
    range.hidden = kind === "event";
    const one = about(name);
    fill(hint, kind === "range" && one.meaning ? `${one.meaning}; ${one.unit}` : "");
    fill(fault);
  }

  function learn(clause) {
    fill(fault);
    if (!clauses.includes(clause)) choose({ given: [...clauses, clause] });
  }

  function add(submitted) {
    submitted.preventDefault();
    const [kind, name] = what.value.split(" ");
    if (kind === "event") return learn(happens.value === "yes" ? name : `not ${name}`);
    const refuse = (text, input) => { fill(fault, text); input.focus(); };
    const ends = [];
    for (const [sign, input] of [[">=", low], ["<=", high]].filter(([, { value }]) => value.trim())) {
      try {
        ends.push(`${name} ${sign} ${readNumber(input.value)}`);
      } catch (error) {
        return refuse(error.message, input);
      }
    }
    if (!ends.length) return refuse("write the least or the greatest value, or both", low);
    learn(ends.join(" and "));
    low.value = high.value = "";
    return undefined;
  }

  const boxes = strategies.map((name) => el("label", { class: "check" }, el("input", { type: "checkbox", name: "only", value: name }), el("span", {}, name)));
  const chosen = () => boxes.map((box) => box.firstChild).filter((box) => box.checked).map((box) => box.value);
  const usual = scenario?.choice ?? NET_GAIN;
  const measure = el("input", { id: "measure", list: "measures", size: 30, maxlength: 1500, autocomplete: "off" });
  const known = el("datalist", { id: "measures" }, [NET_GAIN, ...of("measure").map((term) => term.name), ...of("event").map((term) => term.name)].map((name) => option(name, name)));

  what.addEventListener("change", changed);
  changed();
  const wide = matchMedia("(min-width: 75rem)");
  const forms = el("details", { class: "forms", open: wide.matches }, el("summary", {}, "Suppose that we learn something"));
  wide.addEventListener("change", () => { forms.open = wide.matches; });
  fill(place,
    el("h2", { id: "what-if-title" }, "What if we learn more?"),
    el("p", { class: "hint" }, "All numbers and charts answer for the trials that agree. ", el("a", { href: "/help#learn" }, "Learning is not setting"), "."),
    chips,
    agree,
    weight,
    forms);
  forms.append(
    el("form", { class: "row", id: "learn", onsubmit: add }, el("label", {}, "Suppose we learn", what), event, range, el("button", { type: "submit" }, "Learn it")),
    hint, fault,
    el("details", {}, el("summary", {}, "More: a condition of your own, a belief, strategies, measure"),
      el("form", { class: "row", onsubmit: (submitted) => { submitted.preventDefault(); if (own.value.trim()) learn(own.value.trim()); } },
        el("label", {}, "Condition", own), el("button", { type: "submit" }, "Learn it")),
      el("p", { class: "hint", id: "learn-own-hint" }, "Such as threat_week <= 5 and target_win > 0.6."),
      el("form", { class: "row", onsubmit: (submitted) => { submitted.preventDefault(); if (belief.value.trim()) choose({ believe: [...beliefs, belief.value.trim()] }); } },
        el("label", {}, "Or only a belief: a condition and its probability", belief), el("button", { type: "submit" }, "Believe it")),
      el("p", { class: "hint" }, "Such as sanctions = 0.3, or agreement_week <= 12 = 0.2..0.4: the trials are weighted so that it holds."),
      strategies.length > 1 ? el("fieldset", { onchange: () => choose({ only: chosen().length === strategies.length ? [] : chosen() }) }, el("legend", {}, "Strategies shown"), boxes) : null,
      el("form", { class: "row", onsubmit: (submitted) => { submitted.preventDefault(); choose({ measure: measure.value.trim() === usual ? "" : measure.value.trim() }); } },
        el("label", {}, "Measure by which strategies are compared, more being better", measure, known), el("button", { type: "submit" }, "Compare by it"))));

  return {
    /** What holds, where the panel itself is out of sight. */
    strip,
    /** Show what is chosen. */
    show(now) {
      const key = JSON.stringify([now.given, now.believe, now.only]);
      if (key !== shown) for (const one of [agree, weight]) one.classList.add("old");
      shown = key;
      clauses = now.given;
      fill(chips, clauses.map((clause, k) => el("li", {}, wordsOf(clause, terms), " ",
        el("button", { type: "button", "aria-label": `Forget: ${wordsOf(clause, terms)}`, onclick: () => choose({ given: clauses.filter((_, j) => j !== k) }) }, "×"))));
      beliefs = now.believe;
      chips.append(...beliefs.map((one, k) => el("li", {}, `believed: ${one} `,
        el("button", { type: "button", "aria-label": `Forget: ${one}`, onclick: () => choose({ believe: beliefs.filter((_, j) => j !== k) }) }, "×"))));
      chips.hidden = !clauses.length && !beliefs.length;
      if (!beliefs.length) fill(weight);
      for (const box of boxes) box.firstChild.checked = !now.only.length || now.only.includes(box.firstChild.value);
      measure.value = now.measure || usual;
      if (!clauses.length) fill(agree);
      strip.hidden = chips.hidden;
      fill(strip, "Only where ", el("strong", {}, [...clauses.map((clause) => wordsOf(clause, terms)), ...beliefs.map((one) => `believed: ${one}`)].join("; ")), ". ", el("a", { href: "#what-if" }, "Change"));
    },
    /** Say what the beliefs did to the trials, from the evidence by strategy. */
    weigh(evidence) {
      weight.classList.remove("old");
      if (!evidence) return fill(weight);
      const found = Object.values(evidence);
      const least = Math.min(...found.map((one) => one.effective_trials));
      const most = Math.max(...found.map((one) => one.greatest_weight));
      return fill(weight, `Weighted by the beliefs, the trials of a strategy count as ${whole(Math.round(least))} at least (effective number); the greatest weight is ${number(most)}.`);
    },
    /** Say how many trials of each strategy agree, of so many that were played. */
    say(counts, of) {
      agree.classList.remove("old");
      if (!clauses.length) return fill(agree);
      const [least, most] = [Math.min, Math.max].map((pick) => pick(...counts));
      const part = (count) => `${whole(count)} (${number((100 * count) / of)} %)`;
      return fill(agree, least === most ? `${part(least)} of ${whole(of)} trials of each strategy agree.`
        : `${part(least)} to ${part(most)} of ${whole(of)} trials agree, by strategy.`);
    },
  };
}
