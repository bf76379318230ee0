// A result: progress while it runs, then the answer first, and everything below it for the trials that agree.
import { showAccount } from "./account.js";
import { conditionOf, conditionsPanel } from "./conditions.js";
import { el, fill, find, showFault } from "./dom.js";
import { tooFew } from "./enough.js";
import { distribution, waitsFor, when, whole } from "./format.js";
import { faultOf, single, SECTIONS, strategyList } from "./sections.js";
import { ended as hasEnded, follow, load, onReturn } from "./load.js";
import { get, once, passes, Problem, send } from "./v1.js";

const id = location.pathname.split("/")[2];
const LISTS = ["given", "believe", "only"];
const TEXTS = ["measure", "strategy", "show", "form", "by", "bound", "outcome", "trial", "together", "base"];
const PAUSE = 2000;
const PLACE_PAUSE = 3000;
let job;
let scenario;
let terms;
let panel;
let unwatch = () => {};

/** What is chosen: it stands in the address, so that the address can be sent to a colleague. */
function chosen() {
  const asked = new URLSearchParams(location.search);
  return Object.fromEntries([...LISTS.map((name) => [name, asked.getAll(name)]), ...TEXTS.map((name) => [name, asked.get(name)])]);
}

/** Change the address without leaving the page, and answer anew; the back button undoes it. */
function choose(changes) {
  const now = { ...chosen(), ...changes };
  const asked = new URLSearchParams();
  for (const name of LISTS) for (const value of now[name]) asked.append(name, value);
  for (const name of TEXTS) if (now[name]) asked.set(name, now[name]);
  history.pushState(null, "", asked.size ? `?${asked}` : location.pathname);
  show();
}

const ended = () => hasEnded(job);
const several = (count, noun, nouns) => `${whole(count)} ${count === 1 ? noun : nouns}`;

function showState() {
  const set = Object.entries(scenario?.set ?? {});
  const { trials_done: done, trials_total: total } = job.progress;
  const what = {
    queued: waitsFor(job),
    running: `${whole(done)} of ${whole(total)} trials`,
  }[job.state] ?? `${whole(job.trials)} trials of ${job.strategies.length > 1 ? "each of " : ""}${several(job.strategies.length, "strategy", "strategies")}, seed ${job.seed}, ${job.design} design, ${when(job.finished_at)}`;
  fill(find("state"),
    el("p", {}, el("span", { class: `badge ${job.state}` }, job.state), ` ${what} `,
      !ended() && el("button", { type: "button", class: "quiet", onclick: () => stop().catch(showFault) }, "Cancel")),
    job.state === "running" && el("progress", { max: total, value: done, "aria-label": "progress" }),
    set.length > 0 && el("p", {}, "Set under every strategy: ", el("strong", {}, set.map(([name, value]) => `${name} = ${distribution(value)}`).join("; ")), "."),
    job.keep === "summary" && el("p", { class: "kept" }, "This run keeps counts of all its trials, for how it ends and for what happens by week. Its other answers, and all under a condition or a belief, are from the rows of its first trials, at least 100,000."),
    job.error && el("p", { class: "fault" }, job.error),
    job.warnings.map((one) => el("p", { class: "warning" }, `Probably a mistake: ${one.field} ${one.message ?? ""}`)));
}

async function stop() {
  job = await send("POST", `/v1/jobs/${id}/cancel`);
  showState();
}

/** While the job waits, its place in the queue, which no event of the job itself announces. */
async function showPlace() {
  if (job.state !== "queued") return;
  const now = await get(`/v1/jobs/${id}`).catch(() => null);
  if (now?.state === "queued" && job.state === "queued") {
    job = now;
    showState();
  }
  setTimeout(showPlace, PLACE_PAUSE);
}

/** Follow the run. First answers come from what is committed, again as more is, with a pause between. */
function watch() {
  let last = 0;
  unwatch();
  unwatch = follow(id, (now) => {
    job = now;
    showState();
    if (job.progress.trials_done > 0 && (ended() || Date.now() - last > PAUSE)) {
      last = Date.now();
      show();
    }
  });
}

/** Sections that are near the window: the others are asked when a reader comes to them. */
const near = new Set();
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) near[isIntersecting ? "add" : "delete"](target.id);
  show();
}, { rootMargin: "400px 0px" });

/** Sections of which the window shows a part. */
const seen = new Set();
const viewer = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) seen[isIntersecting ? "add" : "delete"](target.id);
  const first = SECTIONS.find((section) => !section.beside && seen.has(section.id));
  for (const link of document.querySelectorAll(".contents a")) link.classList.toggle("here", link.hash === `#${first?.id}`);
  startNext();
});

const boxes = new Map();

function layOut() {
  const shown = SECTIONS.filter((section) => !section.several || job.strategies.length > 1);
  find("result").append(panel.strip);
  for (const section of shown) {
    const body = el("div", { class: "body" }, el("p", { class: "dim" }, "Not computed yet."));
    const title = el("h2", { id: `${section.id}-title` }, section.title);
    const inside = section.beside ? [el("details", { open: Object.keys(scenario?.set ?? {}).length > 0 }, el("summary", {}, title), body)] : [title, body];
    const box = el("section", { id: section.id, class: section.beside && "what-if", "aria-labelledby": title.id }, inside);
    find(section.beside ? "side" : "result").append(box);
    boxes.set(section, { body, key: null, controller: null });
    watcher.observe(box);
    viewer.observe(box);
  }
  find("side").append(el("nav", { class: "contents", "aria-label": "On this page" },
    shown.filter((section) => !section.beside).map((section) => el("a", { href: `#${section.id}` }, section.title))));
}

/** Mark what a section shows as that of an earlier choice, until it is computed anew. */
function markStale(box) {
  box.controller?.abort();
  box.key = null;
  box.body.classList.add("busy");
  box.body.setAttribute("aria-busy", "true");
  delete box.body.dataset.shown;
  delete box.body.dataset.first;
}

/** Bring every section that is near up to date with what is chosen, in their order. */
function show() {
  if (!panel || job.progress.trials_done === 0) return;
  find("side").hidden = find("result").hidden = false;
  if (!boxes.size) layOut();
  const now = chosen();
  panel.show(now);
  const stale = [];
  for (const [section, box] of boxes) {
    const key = JSON.stringify([section.uses.map((name) => (name === "given" ? [now.given, now.believe] : now[name])), section.early || ended() ? job.progress.trials_done : null]);
    if (key === box.key) continue;
    if (box.key !== null) markStale(box);
    if (!(near.has(section.id) || section.early) || !(section.early || ended())) continue;
    markStale(box);
    Object.assign(box, { key, controller: new AbortController() });
    stale.push([section, box, now, box.controller.signal, false]);
  }
  queue.unshift(...stale);
  startNext();
}

const queue = [];
const working = new Set();

const isSeen = ([section]) => seen.has(section.id);
/** Whether two may be computed at once: the first answers of the first sections share a summary. */
const shares = (one, other) => [one, other].every((task) => task[0].early && !task.at(-1));
/** What the window shows comes first, then what is near it; of each the first answers, then the whole ones. */
const turn = (task) => (isSeen(task) ? 0 : 2) + (task.at(-1) ? 1 : 0);

/** Begin what can be begun. One section at a time is soonest done, since a web process answers with one interpreter. But the
 * first ones share what is computed for them, and what the window shows does not wait for what is out of sight. */
function startNext() {
  queue.sort((one, other) => turn(one) - turn(other));
  const wanted = () => [...working].filter(([, , , signal]) => !signal.aborted);
  while (queue.length && wanted().every((other) => shares(queue[0], other) || (isSeen(queue[0]) && !isSeen(other)))) {
    const task = queue.shift();
    working.add(task);
    run(...task).catch(showFault).finally(() => { working.delete(task); startNext(); });
  }
}

async function run(section, box, now, signal, whole) {
  if (signal.aborted) return;
  const strategies = now.only.length ? job.strategies.filter((name) => now.only.includes(name)) : job.strategies;
  const given = conditionOf(now.given);
  const evidence = { ...(given ? { given } : {}), ...(now.believe.length ? { believe: now.believe } : {}) };
  const request = { ...evidence, ...(now.only.length ? { strategies } : {}) };
  const trials = !whole && ended() && section.first * 2 < job.progress.trials_done / job.strategies.length ? section.first : null;
  const asked = { evidence, id, job, scenario, terms, panel, signal, chosen: now, strategies, given, request, choose, trials };
  if (box.body.textContent === "Not computed yet.") fill(box.body, el("p", { class: "dim" }, "Computing …"));
  let made;
  try {
    // Nothing waits for a count that it does not need: a condition that leaves too few trials is counted where it is refused.
    made = (section.early && (given || !ended()) ? null : await lacking(section, asked, Boolean(section.counts))) ?? (await section.show(asked));
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Problem)) throw error;
    // A first answer from few trials may fail for want of them, and one of all trials may pass for all that is shown.
    if (trials) return void queue.push([section, box, now, signal, true]);
    // What a first answer has shown stays.
    if (whole && box.body.dataset.first === box.key) {
      box.body.append(faultOf(error));
      box.body.dataset.shown = box.key;
      return;
    }
    const few = given && error.errors.some((one) => one.field === "given") ? await lacking(section, asked).catch(() => null) : null;
    made = few ?? [faultOf(error), leaveOut(error, strategies)];
    // Asked again when a reader comes back to it: the fault may have passed.
    if (passes(error) || error.status >= 500) box.key = null;
  }
  if (signal.aborted) return;
  await put(box.body, made);
  if (signal.aborted) return;
  box.body.dataset[asked.early ? "first" : "shown"] = box.key;
  // After the first answers of the other sections that are as near.
  if (asked.early) queue.push([section, box, now, signal, true]);
}

/** Words in place of a section for which there are too few trials or strategies; null if there may be enough. `waiting`
 * as `tooFew` has it. */
async function lacking(section, asked, waiting = true) {
  if (section.several && asked.strategies.length < 2) return [el("p", { class: "few" }, "One strategy is shown. Choose another one under “Strategies shown” to compare it with.")];
  if (!section.answer) return null;
  const name = section.id === "answer" && asked.strategies.length < 2 ? "summary" : section.answer;
  const few = await tooFew(name, asked, section.single ? [single(asked).strategy] : asked.strategies, { waiting });
  return few && [section.single && strategyList(asked), few];
}

/** Put what was made in place of what a section holds, whose height stays while charts are drawn: nothing jumps. */
async function put(body, made) {
  const focused = body.contains(document.activeElement) ? indexOf(body) : -1;
  const open = [...body.querySelectorAll("details")].map((one) => one.open);
  body.style.minHeight = `${body.offsetHeight}px`;
  fill(body, made);
  body.classList.remove("busy");
  body.removeAttribute("aria-busy");
  body.querySelectorAll("details").forEach((one, k) => { one.open = Boolean(open[k]); });
  if (focused >= 0) controls(body)[focused]?.focus({ preventScroll: true });
  for (const figure of body.querySelectorAll("figure")) await figure.draw?.();
  body.style.minHeight = "";
}

const controls = (body) => [...body.querySelectorAll("a, button, input, select, summary")];
const indexOf = (body) => controls(body).indexOf(document.activeElement);

/** Where a condition leaves too few trials of a strategy: a button that leaves the strategy out. */
function leaveOut(error, strategies) {
  const named = strategies.filter((name) => error.errors.some((one) => one.detail.includes(`of ${name},`)));
  if (!named.length || named.length === strategies.length) return null;
  return el("p", {}, named.map((name) => el("button", { type: "button", onclick: () => choose({ only: strategies.filter((one) => one !== name) }) }, `Leave ${name} out`)));
}

async function begin() {
  let parameters;
  [job, terms, scenario, parameters] = await Promise.all([get(`/v1/jobs/${id}`), once("/v1/terms"), once(`/v1/jobs/${id}/scenario`), once("/v1/parameters")]);
  showState();
  fill(find("title"), scenario.title);
  document.title = `${scenario.title} – Brink`;
  panel = conditionsPanel(find("what-if"), { terms, scenario, strategies: job.strategies, parameters }, choose);
  addEventListener("popstate", show);
  if (!ended()) watch();
  setTimeout(showPlace, PLACE_PAUSE);
  show();
}

onReturn(async () => { if (!ended()) watch(); });
addEventListener("unhandledrejection", (event) => {
  if (event.reason?.name === "AbortError") event.preventDefault();
  else showFault(event.reason);
});
load(showAccount, begin);
