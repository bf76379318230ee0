// A scenario in fields, and as text. The validator of the service reads it as one types, and its messages stand at the
// fields.
import { showAccount } from "./account.js";
import { el, fill, find, onSubmit, showFault, table } from "./dom.js";
import { decimalComma, documentValue, number, readNumber } from "./format.js";
import { handles } from "./handles.js";
import { load } from "./load.js";
import { spark } from "./spark.js";
import { getTagged, once, post, Problem, saveAs, send } from "./v1.js";

const WAIT = 300;
const KINDS = {
  fixed: { label: "a number", fields: ["value"] },
  uniform: { label: "uniform", fields: ["low", "high"], list: true },
  loguniform: { label: "log-uniform", fields: ["low", "high"], list: true },
  triangular: { label: "triangular", fields: ["low", "mode", "high"], list: true },
  pert: { label: "PERT", fields: ["low", "mode", "high"], list: true },
  normal: { label: "normal", fields: ["p05", "p95"] },
  lognormal: { label: "lognormal", fields: ["p05", "p95"] },
  other: { label: "another, as JSON", fields: ["document"] },
};
let scenario;
let original;
/** The scenario as the service keeps it: as text, with its name and the tag of its version; no name for a copy. */
const kept = { text: "", name: null, tag: null };
let inputs = new Map();
/** The density at each place of the document, by its pointer. */
let densities = new Map();
let waiting;
let asking;

const at = (pointer) => pointer.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
const pointerOf = (path) => path.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");

function set(path, value) {
  let place = scenario;
  for (const part of path.slice(0, -1)) place = place[part] ??= {};
  const last = path.at(-1);
  if (value === undefined) delete place[last];
  else place[last] = value;
  later();
}

function kindOf(document) {
  if (typeof document !== "object" || document === null) return "fixed";
  const [[kind, body]] = Object.entries(document);
  const known = KINDS[kind];
  if (!known) return "other";
  if (known.list) return Array.isArray(body) && body.length === known.fields.length ? kind : "other";
  return Object.keys(body).join() === known.fields.join() ? kind : "other";
}

/** The numbers of a distribution in the order of its kind's fields, as texts. */
function textsOf(kind, document) {
  if (kind === "fixed") return [document ?? ""];
  if (kind === "other") return [JSON.stringify(document)];
  const body = Object.values(document)[0];
  return KINDS[kind].list ? body : KINDS[kind].fields.map((field) => body[field]);
}

/** Texts as a distribution's document. What is no number is sent as it is, so that the validator says what is wrong. */
function documentOf(kind, texts) {
  const read = (text) => {
    try { return readNumber(String(text)); } catch { return String(text); }
  };
  if (kind === "fixed") return read(texts[0]);
  if (kind === "other") {
    try { return JSON.parse(texts[0]); } catch { return texts[0]; }
  }
  const numbers = texts.map(read);
  return { [kind]: KINDS[kind].list ? numbers : Object.fromEntries(KINDS[kind].fields.map((field, k) => [field, numbers[k]])) };
}

/** Numbers of one kind to begin another kind with. */
function begun(kind, numbers) {
  const known = numbers.map(Number).filter(Number.isFinite);
  if (kind === "other") return ["{}"];
  if (!known.length) return KINDS[kind].fields.map(() => "");
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const middle = known.length === 3 ? known[1] : (low + high) / 2;
  const ends = low < high ? [low, high] : [Math.min(0.9 * low, 1.1 * low), Math.max(0.9 * low, 1.1 * low)];
  return { 1: [middle], 2: ends, 3: [ends[0], middle, ends[1]] }[KINDS[kind].fields.length].map((value) => Number(value.toPrecision(4)));
}

/** A density, with handles for its numbers where the kind has some. */
function curveOf(kind, texts, fields, density, label) {
  const values = texts.map(Number);
  const rising = values.every((value, k) => Number.isFinite(value) && (k === 0 || value >= values[k - 1]));
  if (!density || kind === "fixed" || kind === "other" || !rising) return spark(density, `density of ${label}`);
  return handles(density, values, KINDS[kind].fields, label, (k, value) => {
    fields[k].value = value;
    fields[k].dispatchEvent(new Event("input", { bubbles: true }));
  });
}

/** The densities of the parameters, of the issues' and of what is set instead, by their places in the document. */
function densitiesOf({ parameters, strategies = {}, set: sets = {} }) {
  const found = parameters.map((one) => {
    const [, issue, part] = one.name.match(/^issues\.(.+)\.([^.]+)$/) ?? [];
    return [issue ? ["issues", issue, part] : ["parameters", one.name], one.density];
  });
  const given = (path, own) => Object.entries(own).map(([name, one]) => [[...path, name], one.density]);
  return new Map([...found, ...given(["set"], sets), ...Object.entries(strategies).flatMap(([key, own]) => given(["strategies", key], own))]
    .map(([path, density]) => [pointerOf(path), density]));
}

/** Fields for a distribution at a place of the document, with its density. */
function distributionField(path, document, label) {
  const box = el("span", { class: "row distribution" });
  const lay = (kind, texts) => {
    const chosen = el("select", { "aria-label": `${label}: kind of distribution`, onchange: () => {
      const made = begun(chosen.value, texts);
      lay(chosen.value, made);
      set(path, documentOf(chosen.value, made));
    } }, Object.entries(KINDS).map(([key, one]) => el("option", { value: key, selected: key === kind }, one.label)));
    const fields = KINDS[kind].fields.map((field, k) => el("input", {
      "aria-label": `${label}: ${field}`, title: field, inputmode: kind === "other" ? null : "decimal", size: kind === "other" ? 40 : 7, autocomplete: "off", value: texts[k],
      oninput: (event) => { texts[k] = event.target.value; set(path, documentOf(kind, texts)); },
    }));
    const drawn = el("span", { class: "curve" });
    fill(box, chosen, fields, drawn);
    box.showCurve = () => {
      if (drawn.querySelector("[data-dragged]")) return;
      const focused = [...drawn.querySelectorAll("[role=slider]")].indexOf(globalThis.document.activeElement);
      fill(drawn, curveOf(kind, texts, fields, densities.get(pointerOf(path)), label));
      if (focused >= 0) drawn.querySelectorAll("[role=slider]")[focused]?.focus();
    };
    box.showCurve();
    inputs.set(pointerOf(path), fields[0]);
  };
  lay(kindOf(document), textsOf(kindOf(document), document).map((text) => text));
  box.dataset.curve = pointerOf(path);
  return el("div", { class: "place" }, box);
}

function textField(path, label, read = (text) => text, value = path.reduce((place, part) => place?.[part], scenario), type = "text") {
  const input = el("input", { type, id: `at${pointerOf(path)}`, autocomplete: "off", value: value ?? "", size: String(value ?? "").length > 34 ? 60 : 40, oninput: () => set(path, input.value.trim() === "" ? undefined : read(input.value)) });
  inputs.set(pointerOf(path), input);
  return el("div", { class: "field place" }, el("label", { for: input.id }, label), input);
}

const asNumber = (text) => { try { return readNumber(text); } catch { return text; } };
const asList = (text) => text.split(/[\s,]+/).filter(Boolean);

function parameterRows(parameters) {
  const groups = Map.groupBy(parameters.filter((one) => one.group !== "issue"), (one) => one.group);
  return [...groups].map(([group, found]) => el("details", { open: found.some((one) => one.density) }, el("summary", {}, group),
    found.map((one) => el("div", { class: "field" },
      el("span", { class: "label" }, one.meaning, " ", el("code", {}, one.name), el("span", { class: "dim" }, ` ${one.unit}, ${one.domain}; neutral: ${one.default === null ? "none" : number(one.default)}`)),
      distributionField(["parameters", one.name], one.distribution, one.name),
      sourceField(one)))));
}

function sourceField(one) {
  const input = el("input", { size: 50, "aria-label": `${one.name}: source`, placeholder: "source", value: one.source ?? "", oninput: () => { scenario.sources ??= {}; set(["sources", one.name], input.value.trim() || undefined); } });
  inputs.set(pointerOf(["sources", one.name]), input);
  return el("div", { class: "place" }, input);
}

function issueFields() {
  return Object.entries(scenario.issues).map(([key, issue]) => el("fieldset", {}, el("legend", {}, issue.title ?? key),
    textField(["issues", key, "title"], "Title"),
    textField(["issues", key, "weight"], "Weight, relative to the others", asNumber),
    el("label", { class: "check" }, el("input", { type: "checkbox", checked: issue.numerical, onchange: (event) => set(["issues", key, "numerical"], event.target.checked) }), el("span", {}, "a number is demanded, such as a market share")),
    Object.keys(scenario.issues).length > 1 && el("p", {}, el("button", { type: "button", class: "quiet", "aria-label": `Remove the issue ${issue.title ?? key}`, onclick: () => removeIssue(key) }, "Remove this issue")),
    ["gap", "sender_concession", "target_concession"].map((part) => el("div", { class: "field" }, el("span", { class: "label" }, part.replace("_", "'s ")), distributionField(["issues", key, part], issue[part], `${key} ${part}`)))));
}

/** A text as the name of an issue: its words in ASCII letters and digits. */
function issueName(title) {
  const words = title.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().match(/[a-z0-9]+/g) ?? ["issue"];
  const name = words.join("-").slice(0, 30).replace(/-$/, "");
  let k = 1;
  const named = () => (k === 1 ? name : `${name}-${k}`);
  while (scenario.issues[named()]) k += 1;
  return named();
}

/** An issue with as much weight as the others have on average; the service takes weights as relative. */
function addIssue(title) {
  const others = Object.values(scenario.issues);
  const weight = Number((others.reduce((sum, one) => sum + one.weight, 0) / others.length).toPrecision(3));
  const concession = { pert: [0.01, 0.03, 0.08] };
  set(["issues", issueName(title)], { title, weight, numerical: false, gap: { pert: [0.5, 0.8, 1] }, sender_concession: concession, target_concession: structuredClone(concession) });
  layOut().catch(showFault);
}

/** Remove an issue, and what else in the scenario names it. */
function removeIssue(key) {
  const of = (name) => name.startsWith(`issues.${key}.`);
  const without = (place) => Object.fromEntries(Object.entries(place ?? {}).filter(([name]) => !of(name)));
  for (const [name, sets] of Object.entries(scenario.strategies)) scenario.strategies[name] = without(sets);
  for (const name of ["set", "sources"]) if (scenario[name]) scenario[name] = without(scenario[name]);
  scenario.correlations = (scenario.correlations ?? []).filter((one) => !one.between.some(of));
  set(["issues", key], undefined);
  layOut().catch(showFault);
}

/** The issues, and a field to add one. */
function issueList() {
  const title = el("input", { size: 30, maxlength: 200, autocomplete: "off" });
  return [issueFields(), el("div", { class: "row" }, el("label", {}, "A new issue: what is demanded", title),
    el("button", { type: "button", onclick: () => { if (title.value.trim()) addIssue(title.value.trim()); } }, "Add an issue"))];
}

/** What the scenario has for a parameter, also for one of an issue. */
function valueOf(name) {
  const [, issue, part] = name.match(/^issues\.(.+)\.([^.]+)$/) ?? [];
  return (issue ? scenario.issues[issue][part] : scenario.parameters?.[name]) ?? 0;
}

/** A fieldset for the parameters that something sets: a strategy, or the scenario under all of them. */
function settingsField(title, path, names, removable) {
  const sets = path.reduce((place, part) => place?.[part], scenario) ?? {};
  const list = el("select", { "aria-label": `${title}: parameter to set` }, names.filter((name) => !(name in sets)).map((name) => el("option", { value: name }, name)));
  const change = (end, value) => { set([...path, ...end], value); layOut().catch(showFault); };
  return el("fieldset", {}, el("legend", {}, title),
    Object.entries(sets).map(([name, document]) => el("div", { class: "field" },
      el("span", { class: "label" }, el("code", {}, name), " ",
        el("button", { type: "button", class: "quiet", "aria-label": `${title}: leave ${name} as in the scenario`, onclick: () => change([name], undefined) }, "×")),
      distributionField([...path, name], document, `${title}: ${name}`))),
    el("div", { class: "row" }, list, el("button", { type: "button", onclick: () => change([list.value], structuredClone(valueOf(list.value))) }, "Set it here"),
      removable && el("button", { type: "button", onclick: () => change([], undefined) }, "Remove the strategy")));
}

/** Correlations as a matrix: a row and a column for each parameter that is correlated with another. */
function correlationMatrix(uncertain) {
  const found = scenario.correlations ??= [];
  const names = [...new Set(found.flatMap((one) => one.between))];
  const pair = (a, b) => found.find((one) => one.between.includes(a) && one.between.includes(b));
  const change = (a, b, text) => {
    scenario.correlations = found.filter((one) => one !== pair(a, b));
    if (text.trim()) scenario.correlations.push({ between: [a, b], spearman: asNumber(text) });
    later();
    found.splice(0, found.length, ...scenario.correlations);
    scenario.correlations = found;
  };
  const [first, second] = [0, 1].map((k) => el("select", { "aria-label": `parameter ${k + 1}` }, uncertain.map((name, j) => el("option", { value: name, selected: j === k }, name))));
  return [
    names.length ? el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Correlations" }, el("table", {}, el("caption", {}, "Rank correlations (Spearman), from -1 to 1; empty: none"),
      el("thead", {}, el("tr", {}, el("td", {}), names.slice(1).map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, names.slice(0, -1).map((row, j) => el("tr", {}, el("th", { scope: "row" }, row), names.slice(1).map((column, k) => el("td", {}, k >= j &&
        el("input", { size: 6, inputmode: "decimal", "aria-label": `correlation of ${row} and ${column}`, value: pair(row, column)?.spearman ?? "", oninput: (event) => change(row, column, event.target.value) })))))))) : null,
    el("div", { class: "row" }, first, second, el("button", { type: "button", onclick: () => {
      if (first.value === second.value || pair(first.value, second.value)) return;
      change(first.value, second.value, "0.3");
      layOut();
    } }, "Correlate them")),
  ];
}

function textView() {
  const text = el("textarea", { spellcheck: "false", "aria-label": "The scenario as text", wrap: "off" });
  const said = el("div", { role: "alert" });
  const file = el("input", { type: "file", accept: ".yaml,.yml,.json", onchange: async () => { text.value = await file.files[0].text(); } });
  const asYaml = async () => { text.value = (await post("/v1/scenarios/yaml", scenario)).yaml; };
  const use = async () => {
    const kind = text.value.trimStart().startsWith("{") ? "application/json" : "application/yaml";
    const answer = await fetch("/v1/scenarios/validate", { method: "POST", body: text.value, headers: { "Content-Type": kind }, credentials: "same-origin" });
    const found = await answer.json();
    if (!answer.ok) throw new Problem(answer.status, found);
    fill(said, found.errors.map((one) => el("p", { class: "fault" }, `${one.line ? `line ${one.line}: ` : ""}${one.detail}`)));
    if (found.valid) {
      scenario = found.scenario;
      await layOut();
      later();
    }
  };
  const act = (does) => () => does().catch((problem) => fill(said, el("p", { class: "fault" }, problem.errors?.map((one) => one.detail).join("; ") || problem.message)));
  return el("details", {}, el("summary", {}, "The same as text: YAML or JSON, upload and download"),
    el("div", { class: "row" },
      el("button", { type: "button", onclick: act(asYaml) }, "Show as YAML"),
      el("button", { type: "button", onclick: () => { text.value = JSON.stringify(scenario, null, 2); } }, "Show as JSON"),
      el("label", {}, "Upload a file", file),
      el("button", { type: "button", onclick: () => saveAs(`${scenario.name}.${text.value.trimStart().startsWith("{") ? "json" : "yaml"}`, new Blob([text.value])) }, "Download"),
      el("button", { type: "button", onclick: act(use) }, "Use this text")),
    said, text);
}

/** What differs from the scenario that was opened, as the service compares the two. */
function changes() {
  const said = el("div", { role: "status" });
  const show = async () => {
    const { inputs } = await post("/v1/scenarios/diff", { first: original, second: scenario });
    fill(said, inputs.length ? table("Fields that differ", ["field", "before", "now"], inputs.map((one) => [one.field, documentValue(one.first), documentValue(one.second)]), false) : el("p", {}, "Nothing yet."));
  };
  const refused = (problem) => fill(said, el("p", { class: "fault" }, problem.errors?.map((one) => one.detail).join("; ") || problem.message));
  return [el("p", {}, el("button", { type: "button", onclick: () => show().catch(refused) }, `Compare with ${original.title}`)), said];
}

async function layOut() {
  inputs = new Map();
  const ranges = await post("/v1/scenarios/ranges", scenario).catch(async (problem) => {
    if (!(problem instanceof Problem) || problem.status !== 422) throw problem;
    return { parameters: (await once("/v1/parameters")).filter((one) => one.group !== "issue").map((one) => ({ ...one, distribution: scenario.parameters?.[one.name] ?? one.default, density: null, source: scenario.sources?.[one.name] })) };
  });
  const { parameters } = ranges;
  densities = densitiesOf(ranges);
  const names = parameters.map((one) => one.name);
  const added = el("input", { "aria-label": "name of the new strategy", size: 20, autocomplete: "off" });
  fill(find("edit"),
    el("h2", {}, "The dispute"),
    textField(["name"], "Name (letters, digits, hyphens)"), textField(["title"], "Title"), textField(["sender"], "Sender"), textField(["target"], "Target"),
    textField(["as_of"], "As known on", undefined, undefined, "date"), textField(["horizon_weeks"], "Weeks followed", asNumber), textField(["discount_rate"], "Discount rate a year", asNumber), textField(["deficit"], "Deficit, bn USD a year (may be empty)", asNumber),
    textField(["choice"], "Measure of choice, more being better (may be empty)"),
    textField(["sessions", "first"], "Sessions of the first weeks (mid, senior, technical)", asList, (scenario.sessions?.first ?? []).join(", ")),
    textField(["sessions", "cycle"], "Sessions after that, in turn", asList, (scenario.sessions?.cycle ?? []).join(", ")),
    el("h2", {}, "Issues"), issueList(),
    el("h2", {}, "Strategies, side by side"), el("div", { class: "grid" },
      Object.keys(scenario.strategies).map((key) => settingsField(key, ["strategies", key], names, Object.keys(scenario.strategies).length > 1)),
      settingsField("Set under every strategy", ["set"], names, false)),
    el("div", { class: "row" }, added, el("button", { type: "button", onclick: () => { if (added.value.trim() && !scenario.strategies[added.value.trim()]) { set(["strategies", added.value.trim()], {}); layOut(); } } }, "Add a strategy")),
    el("h2", {}, "Correlations"), correlationMatrix(parameters.filter((one) => one.density).map((one) => one.name)),
    el("h2", {}, "Parameters"), parameterRows(parameters),
    el("h2", {}, "What is changed"), changes(),
    el("h2", {}, "Text"), textView());
  const parts = [...find("edit").querySelectorAll("h2")];
  parts.forEach((title, k) => { title.id = `part-${k}`; });
  fill(find("contents"), parts.map((title) => el("a", { href: `#${title.id}` }, title.textContent)));
}

/** Ask the validator once the typing pauses. */
function later() {
  clearTimeout(waiting);
  waiting = setTimeout(() => validateNow().catch(showFault), WAIT);
}

/** Ask the validator; an answer that is overtaken by a later one is no fault. */
const validateNow = () => validate().catch((error) => { if (error.name !== "AbortError") throw error; });

async function validate() {
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  const found = await post("/v1/scenarios/validate", scenario, { signal });
  mark(found);
  if (!found.valid) return;
  densities = densitiesOf(await post("/v1/scenarios/ranges", scenario, { signal }));
  for (const box of find("edit").querySelectorAll("[data-curve]")) box.showCurve();
}

/** Put each message at the field that it is about, or at the top where there is no field. */
function mark({ valid, errors, warnings }) {
  for (const old of document.querySelectorAll(".field-fault, .field-warning")) old.remove();
  for (const input of inputs.values()) { input.removeAttribute("aria-invalid"); input.removeAttribute("aria-describedby"); }
  const rest = [];
  [...errors.map((one) => [one, "field-fault"]), ...warnings.map((one) => [one, "field-fault field-warning warning"])].forEach(([one, kind], k) => {
    let path = at(one.pointer);
    while (path.length && !inputs.has(pointerOf(path))) path = path.slice(0, -1);
    const input = inputs.get(pointerOf(path));
    if (!input) return rest.push(one.detail);
    const place = input.closest(".place");
    const comma = [...place.querySelectorAll("input")].map((typed) => decimalComma(typed.value)).find(Boolean);
    const message = el("p", { class: kind, id: `message-${k}` }, (kind === "field-fault" && comma) || one.detail);
    if (kind === "field-fault") input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", message.id);
    input.closest("details")?.setAttribute("open", "");
    return place.append(message);
  });
  fill(find("valid"), valid ? el("p", {}, "Valid.") : el("p", { class: "fault" }, `${errors.length} fault${errors.length === 1 ? "" : "s"}.`), rest.map((text) => el("p", { class: "fault" }, text)));
}

/** Keep the scenario. One of the same name stays unless it is the one that was opened, or `replace` is chosen. */
async function save(andRun, replace = false) {
  showFault(null);
  fill(find("kept"));
  const text = JSON.stringify(scenario);
  const { name } = scenario;
  const expected = name === kept.name ? { "If-Match": kept.tag } : { "If-None-Match": "*" };
  const tagged = (tag) => Object.assign(kept, { text, name, tag });
  try {
    await send("PUT", `/v1/scenarios/${encodeURIComponent(name)}`, scenario, { headers: replace ? {} : expected, tagged });
  } catch (error) {
    if (error.status !== 412) throw error;
    return askToReplace(name, andRun);
  }
  if (andRun) return location.assign(`/run?scenario=${encodeURIComponent(name)}`);
  fill(find("kept"), "Kept. ", el("a", { href: `/scenarios/${encodeURIComponent(name)}` }, "Look at it"));
  return history.replaceState(null, "", `?from=${encodeURIComponent(name)}`);
}

function askToReplace(name, andRun) {
  const why = name === kept.name ? `“${name}” has been changed or deleted since you opened it here` : `You keep another scenario named “${name}”`;
  const replace = el("button", { type: "button", onclick: () => save(andRun, true).catch(showFault) }, "Replace it");
  fill(find("kept"), el("span", { class: "warning" }, `${why}. Nothing was kept. Change the name, or replace it. `), replace);
  replace.focus();
}

/** A browser asks before one leaves with changes that are not kept. */
addEventListener("beforeunload", (event) => { if (scenario && JSON.stringify(scenario) !== kept.text) event.preventDefault(); });

async function begin() {
  const from = new URLSearchParams(location.search).get("from");
  const list = await once("/v1/scenarios");
  const base = from ?? list[0].name;
  const [opened, tag] = await getTagged(`/v1/scenarios/${encodeURIComponent(base)}`);
  scenario = opened;
  original = structuredClone(scenario);
  if (!list.find((one) => one.name === base)?.own) {
    let k = 2;
    while (list.some((one) => one.name === `${base}-${k}`)) k += 1;
    scenario.name = `${base}-${k}`;
    delete scenario.history;
  } else Object.assign(kept, { name: base, tag });
  fill(find("title"), `Change: ${scenario.title}`);
  await layOut();
  kept.text = JSON.stringify(scenario);
  onSubmit(find("edit"), () => save(false));
  find("keep-and-run").addEventListener("click", () => save(true).catch(showFault));
  find("keep-and-run").disabled = false;
  // A part of its own: where it is tried again, what was changed meanwhile stays.
  load(validateNow);
}

load(showAccount, begin);
