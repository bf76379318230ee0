// A density whose numbers are dragged, or moved with the arrow keys. What they mean is for the service to say: a move only
// changes the field of the number.
import { number } from "./format.js";
import { areaOf, part } from "./spark.js";

const [WIDTH, HEIGHT, MARGIN] = [256, 48, 8];
const [KEY_STEPS, PAGE_STEPS] = [100, 10];

/** The density with a handle for each of `values`, in rising order and called `names`. `moved` is called with a handle's
 * index and its new value. */
export function handles(density, values, names, label, moved) {
  const span = density.high - density.low;
  const [least, greatest] = [Math.min(density.low - span / 4, values[0]), Math.max(density.high + span / 4, values.at(-1))];
  const at = (value) => MARGIN + ((WIDTH - 2 * MARGIN) * (value - least)) / (greatest - least);
  const svg = part("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "handles", role: "group", "aria-label": `density of ${label}` });
  svg.append(part("path", { d: areaOf(density.shares, at(density.low), at(density.high), HEIGHT - 14), fill: "currentColor", "fill-opacity": "0.25", stroke: "currentColor" }));
  const now = [...values];
  const knobs = names.map((name, k) => {
    const knob = part("circle", { r: 6, cy: HEIGHT - 8, tabindex: 0, role: "slider", "aria-label": `${label}: ${name}, on the curve`, "aria-valuemin": least, "aria-valuemax": greatest });
    const place = () => {
      knob.setAttribute("cx", at(now[k]));
      knob.setAttribute("aria-valuenow", now[k]);
      knob.setAttribute("aria-valuetext", number(now[k]));
    };
    const move = (value) => {
      const bounded = Math.max(now[k - 1] ?? least, Math.min(now[k + 1] ?? greatest, value));
      const rounded = Number(bounded.toPrecision(3));
      if (rounded === now[k] || rounded < (now[k - 1] ?? -Infinity) || rounded > (now[k + 1] ?? Infinity)) return;
      now[k] = rounded;
      place();
      moved(k, rounded);
    };
    knob.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -PAGE_STEPS, PageUp: PAGE_STEPS }[event.key];
      if (!steps) return;
      event.preventDefault();
      move(now[k] + (steps * (greatest - least)) / KEY_STEPS);
    });
    knob.addEventListener("pointerdown", (event) => {
      knob.setPointerCapture(event.pointerId);
      svg.dataset.dragged = "";
    });
    knob.addEventListener("pointermove", (event) => {
      if (!knob.hasPointerCapture(event.pointerId)) return;
      const box = svg.getBoundingClientRect();
      move(least + (((event.clientX - box.left) / box.width) * WIDTH - MARGIN) / (WIDTH - 2 * MARGIN) * (greatest - least));
    });
    knob.addEventListener("lostpointercapture", () => { delete svg.dataset.dragged; });
    place();
    return knob;
  });
  svg.append(...knobs);
  return svg;
}
