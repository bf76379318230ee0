import { showAccount } from "./account.js";
import { el, fill, find, table } from "./dom.js";
import { share, whole } from "./format.js";
import { load } from "./load.js";
import { estimate } from "./numbers.js";
import { get } from "./v1.js";

async function show() {
  const asked = new URLSearchParams(location.search);
  const known = asked.get("known_on");
  const found = await get(`/v1/rates${known ? `?known_on=${encodeURIComponent(known)}` : ""}`);
  const weeks = Object.keys(found.classes[0]?.agreed_by_week ?? {});
  const day = el("input", { type: "date", name: "known_on", value: known ?? "" });
  fill(find("rates"),
    el("form", { class: "row", method: "get" }, el("label", {}, "Only what was known on", day), el("button", { type: "submit" }, "Show")),
    table("Threats by class: how they ended, in per cent, with 95 % intervals", ["class", "episodes", "settled", "imposed", "dropped", ...weeks.map((week) => `settled by week ${week}`)],
      found.classes.map((one) => [one.title, whole(one.episodes), estimate(one.rates?.settled, share), estimate(one.rates?.imposed, share), estimate(one.rates?.dropped, share),
        ...weeks.map((week) => estimate(one.agreed_by_week[week], share))])),
    el("p", { class: "dim" }, `Source: ${found.source}.`),
    el("h2", {}, "Records of one target or kind"),
    table("Records", ["record", "settled", "imposed", "dropped", "source"], (found.records ?? []).map((one) => [one.title, estimate(one.rates?.settled, share), estimate(one.rates?.imposed, share), estimate(one.rates?.dropped, share), one.source])),
    el("h2", {}, "What became of sanctions"),
    sanctions(found.sanctions),
    el("h2", {}, "Disputes before the WTO"),
    table("Shares, with 95 % intervals", ["share", "of", "per cent", "source"], (found.wto ?? []).map((one) => [one.title, `${whole(one.count)} of ${whole(one.of)}`, estimate(one.estimate, share), `${one.source}; counted on ${one.counted_on}`])));
}

/** What had become of past sanctions, and how long they lasted. */
function sanctions({ title, after_weeks: after, days }) {
  const known = after.filter((one) => one.known);
  if (!known.length) return el("p", {}, "No sanctions that followed a threat had been imposed by then.");
  const fates = Object.keys(known[0].counts);
  const end = (value) => (value === null ? "?" : whole(value));
  const length = ({ estimate: found, low, high }) => (found === null ? "a time that had not passed yet" : `${whole(found)} days (${end(low)} to ${end(high)})`);
  return [
    table(`${title}, with 95 % intervals`, ["after", "sanctions", ...fates.map((name) => name.replaceAll("_", " "))],
      known.map((one) => [`${one.weeks} weeks`, whole(one.known), ...fates.map((name) => estimate(one.rates[name], share))])),
    days && el("p", {}, `Of ${whole(days.sanctions)} sanctions ${whole(days.ended)} had ended. A quarter had ended within ${length(days.quartiles["0.25"])}, half within ${length(days.quartiles["0.5"])} (Kaplan and Meier, those in force being censored).`),
  ];
}

load(showAccount, show);
