import { showAccount } from "./account.js";
import { el, fill, find, table } from "./dom.js";
import { number, share, whole } from "./format.js";
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
    table("Threats by class: how they ended, in per cent, with 95 % intervals", ["class", "episodes", "settled", "imposed", "dropped", ...weeks.map((week) => `agreed by week ${week}, %`)],
      found.classes.map((one) => [one.title, whole(one.episodes), estimate(one.rates?.settled, share), estimate(one.rates?.imposed, share), estimate(one.rates?.dropped, share),
        ...weeks.map((week) => { const value = one.agreed_by_week?.[week]; return value === undefined || value === null ? "" : number(100 * (value.estimate ?? value)); })])),
    el("p", { class: "dim" }, `Source: ${found.source}.`),
    el("h2", {}, "Records of one target or kind"),
    table("Records", ["record", "settled", "imposed", "dropped", "source"], (found.records ?? []).map((one) => [one.title, estimate(one.rates?.settled, share), estimate(one.rates?.imposed, share), estimate(one.rates?.dropped, share), one.source])),
    el("h2", {}, "Disputes before the WTO"),
    table("Shares, with 95 % intervals", ["share", "of", "per cent", "source"], (found.wto ?? []).map((one) => [one.title, `${whole(one.count)} of ${whole(one.of)}`, estimate(one.estimate, share), `${one.source}; counted on ${one.counted_on}`])));
}

load(showAccount, show);
