// A density as a small curve: its numbers come from /v1/scenarios/ranges.

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [128, 28];

function part(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** The curve of a density, or null for a fixed number; `label` says in words what it shows. */
export function spark(density, label) {
  if (!density) return null;
  const highest = Math.max(...density.shares);
  const step = WIDTH / density.shares.length;
  const points = density.shares.map((share, k) => `L${((k + 0.5) * step).toFixed(1)} ${(HEIGHT - 1 - (HEIGHT - 3) * (share / highest)).toFixed(1)}`);
  const svg = part("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "spark", role: "img", "aria-label": label });
  svg.append(
    part("path", { d: `M0 ${HEIGHT - 1} ${points.join(" ")} L${WIDTH} ${HEIGHT - 1} Z`, fill: "currentColor", "fill-opacity": "0.25", stroke: "currentColor" }));
  return svg;
}
