// Charts: the service makes a Vega-Lite specification of an answer, and Vega draws it here.
import { el, fill } from "./dom.js";
import { interpreter } from "./expressions.js";
import { download, send } from "./v1.js";

const VEGA_LITE = "application/vnd.vegalite.v6+json";

// Vega empties elements by setting their markup to an empty text; the Content-Security-Policy refuses any other.
globalThis.trustedTypes?.createPolicy("default", { createHTML: (text) => (text === "" ? "" : null) });
const ERRORS_ALONE = 1;
/** Of a mark and what is behind it. The least that WCAG 2.2 allows for graphics is 3; much more would make dark colours alike. */
const CONTRAST = 3.1;

/** Vega's own file, loaded when the first chart needs it. */
const vegaLoaded = () => import("./vega.js");

/** Colours of the page, so that charts follow dark mode. */
function config() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const [ink, dim, line] = [colour("--ink"), colour("--dim"), colour("--line")];
  return {
    aria: false,
    background: "transparent",
    font: "system-ui, sans-serif",
    view: { stroke: line },
    axis: { labelColor: dim, titleColor: dim, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" },
    legend: { labelColor: ink, titleColor: dim, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" },
    header: { labelColor: ink, labelFontSize: 12, labelFontWeight: 600, labelAnchor: "start", labelOrient: "top" },
    title: { color: ink },
  };
}

const [CHARACTER, BOLD] = [6.6, 7.2];
/** The longest text of a field of a specification's data, in characters. */
const longest = (spec, field) => Math.max(0, ...(spec.data?.values ?? []).map((row) => String(row[field] ?? "").length));

/** A specification that fits a width: one view as wide, or as many columns of panels as there is room for. */
function fitted(spec, width) {
  const made = structuredClone(spec);
  delete made.config;
  delete made.title;
  const named = [made, made.spec, ...(made.layer ?? []), ...(made.spec?.layer ?? [])].map((one) => one?.encoding?.y).find((y) => y?.axis?.labelLimit);
  const labels = named ? Math.min(CHARACTER * longest(made, named.field) + 14, 300, width * 0.36) : 0;
  const narrow = (view) => {
    for (const layer of [view, ...(view.layer ?? [])]) {
      if (layer.encoding?.y?.axis?.labelLimit) layer.encoding.y.axis.labelLimit = labels;
      if (layer.encoding?.x?.axis?.format === "%b %Y" && width / (made.columns ?? 1) < 340) layer.encoding.x.axis.tickCount = 3;
      const legend = layer.encoding?.color?.legend;
      if (legend && width < 560) Object.assign(legend, { columns: 1, orient: "bottom", labelLimit: width - 60 });
    }
  };
  if (made.facet) {
    // Names stand on the left of the first panel of a row alone; the title of a panel is over it.
    const side = named ? labels : 45;
    const least = Math.max(150, Math.min(BOLD * longest(made, made.facet.field), width - side - 25));
    made.columns = Math.max(1, Math.min(made.columns ?? 3, Math.floor((width - side) / (least + 25))));
    made.spec.width = Math.max(90, Math.floor((width - side) / made.columns - 25));
    Object.assign(made.facet, { title: null, header: { ...made.facet.header, labelLimit: made.spec.width } });
    narrow(made.spec);
  } else {
    narrow(made);
    made.width = Math.max(120, Math.min(width - (named ? labels : 45) - 30, 760));
  }
  return made;
}

/** The relative luminance of a colour of the form #rrggbb (WCAG 2.2). */
function luminance(colour) {
  const [red, green, blue] = [1, 3, 5].map((k) => {
    const part = Number.parseInt(colour.slice(k, k + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** A colour that is seen on dark paper: mixed with white until it has the contrast that WCAG asks of graphics. */
function lightened(colour, paper) {
  let made = colour;
  for (let part = 0; part < 1 && (luminance(made) + 0.05) / (luminance(paper) + 0.05) < CONTRAST; part += 0.02) {
    made = `#${[1, 3, 5].map((k) => Math.round(Number.parseInt(colour.slice(k, k + 2), 16) * (1 - part) + 255 * part).toString(16).padStart(2, "0")).join("")}`;
  }
  return made;
}

/** A specification whose colours are seen on the page's paper; the service makes them for a white one. */
function onPaper(spec) {
  const paper = getComputedStyle(document.documentElement).getPropertyValue("--paper").trim();
  if (!/^#[0-9a-f]{6}$/i.test(paper) || luminance(paper) > 0.5) return spec;
  const mend = (value) => {
    if (typeof value === "string") return /^#[0-9a-f]{6}$/i.test(value) ? lightened(value, paper) : value;
    if (Array.isArray(value)) return value.map(mend);
    // Data hold texts of scenarios, and no colours.
    return value && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([key, one]) => [key, key === "data" || key === "datasets" ? one : mend(one)])) : value;
  };
  return mend(spec);
}

const ROWS = "rows";
/** The last chart that was drawn of each path: where, with what, and the view of Vega. */
const views = new Map();

/** Draw the specification of a chart's path into an element. Its words are said by the figure's label and by the table
 * below it. Where the same chart was there before, with other rows, it is given the new ones: it need not be made anew. */
async function draw(element, path, spec, brush) {
  await vegaLoaded();
  // Where the parts of a chart have data of their own, it is always made anew.
  const { data, ...made } = onPaper(fitted(spec, element.clientWidth || 600));
  if (brush) (made.spec ?? made).params = [{ name: "brush", select: { type: "interval", encodings: ["x"] } }];
  const options = { mode: "vega-lite", renderer: "svg", actions: false, defaultStyle: false, tooltip: false, hover: false, ast: true, logLevel: ERRORS_ALONE, config: config() };
  const form = JSON.stringify([made, options]);
  const last = views.get(path);
  const isFree = last && !last.place.isConnected;
  if (data && isFree && last.form === form && !last.brushed) {
    last.brush = brush;
    fill(element, last.place);
    return void (await last.view.data(ROWS, data.values).resize().runAsync());
  }
  if (isFree || element.contains(last?.place)) {
    views.delete(path);
    last.view.finalize();
  }
  const place = el("div");
  const { view } = await globalThis.vegaEmbed(place, { ...made, ...(data && { data: { ...data, name: ROWS } }) }, { ...options, expr: interpreter });
  // Another figure may have taken this one's place meanwhile.
  if (!element.isConnected) return void view.finalize();
  const now = { form, place, view, brush, brushed: false };
  views.set(path, now);
  fill(element, place);
  element.querySelector("svg")?.setAttribute("aria-hidden", "true");
  if (brush) view.addSignalListener("brush", (_, { low }) => { now.brushed = true; if (low) now.brush(...low); });
}

const drawn = new Set();

/** A figure with a chart of a job's answer, or of what `asked.charts` and `asked.query` name, its picture one click away.
 * `request` is the answer's. A range that is
 * brushed is offered on a button: the same can be chosen from the lists above, by keyboard too. */
export async function chartOf(asked, name, request, label, { brush, brushed } = {}) {
  const path = `${asked.charts ?? `/v1/jobs/${asked.id}/charts`}/${name}${asked.query ?? ""}`;
  const spec = await send(request === undefined ? "GET" : "POST", path, request, { accept: VEGA_LITE, signal: asked.signal });
  const place = el("div", { class: "chart", role: "img", "aria-label": label });
  const picture = (format, accept) =>
    el("button", { type: "button", class: "quiet", onclick: () => download(`${name}.${format}`, path, request, accept), "aria-label": `${label}: ${format.toUpperCase()}` }, format.toUpperCase());
  const offer = el("span");
  const rounded = (value) => Number(value.toPrecision(3));
  const offered = brushed && ((one, other) => {
    const [low, high] = [Math.min(one, other), Math.max(one, other)].map(rounded);
    fill(offer, el("button", { type: "button", class: "quiet", onclick: () => brush(low, high) }, `Learn that it is from ${low} to ${high}`));
  });
  const figure = el("figure", {}, place,
    el("div", { class: "tools" }, picture("svg", "image/svg+xml"), picture("png", "image/png"), brushed && "Drag over the chart to choose a range.", offer));
  figure.draw = () => draw(place, path, spec, offered || null);
  drawn.add(new WeakRef(figure));
  return figure;
}

/** Draw the figures of a chart again, where the page's width or colours changed. */
function redraw() {
  for (const one of drawn) {
    const figure = one.deref();
    if (!figure?.isConnected) drawn.delete(one);
    else figure.draw();
  }
}

let waiting;
let lastWidth = globalThis.innerWidth;
addEventListener("resize", () => {
  if (globalThis.innerWidth === lastWidth) return;
  lastWidth = globalThis.innerWidth;
  clearTimeout(waiting);
  waiting = setTimeout(redraw, 200);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

