// A density as a small curve: its numbers come from /v1/scenarios/ranges.

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [128, 28];

export function part(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** The outline of a density between two places, `height` high. */
export function areaOf(shares, left, right, height) {
  const highest = Math.max(...shares);
  const step = (right - left) / shares.length;
  const at = shares.map((share) => (height - 1 - (height - 3) * (share / highest)).toFixed(1));
  const points = at.map((y, k) => `L${(left + (k + 0.5) * step).toFixed(1)} ${y}`);
  // A density that begins or ends high, as that of equally likely values, has an upright side.
  return `M${left} ${height - 1} L${left} ${at[0]} ${points.join(" ")} L${right} ${at.at(-1)} L${right} ${height - 1} Z`;
}

/** The curve of a density, or null for a fixed number; `label` says in words what it shows. */
export function spark(density, label) {
  if (!density) return null;
  const svg = part("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "spark", role: "img", "aria-label": label });
  svg.append(
    part("path", { d: areaOf(density.shares, 0, WIDTH, HEIGHT), fill: "currentColor", "fill-opacity": "0.25", stroke: "currentColor" }));
  return svg;
}
