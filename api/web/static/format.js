// Numbers and times in words. Estimates get as many digits as their intervals support.

const MINUS = "−";
const count = new Intl.NumberFormat("en");
const time = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

export const whole = (number) => count.format(number);
export const when = (rfc3339) => (rfc3339 ? time.format(new Date(rfc3339)) : "");
export const plain = (name) => name.replaceAll("_", " ");

function digits(half) {
  return half > 0 ? Math.min(Math.max(0, -Math.floor(Math.log10(half))), 6) : 2;
}

/** A number with three digits at least, without an exponent where it can be helped. */
export function number(value) {
  if (value === null || value === undefined) return "unknown";
  if (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e9)) return value.toExponential(2).replace("-", MINUS);
  return count.format(Number(value.toPrecision(Math.abs(value) >= 100 ? 6 : 3))).replace("-", MINUS);
}

/** A number with two digits, a whole one with all that it has. */
export const rounded = (value) => (value === null || value === undefined ? number(value) : number(Math.abs(value) >= 10 ? Math.round(value) : Number(value.toPrecision(2))));

const fixed = (value, places) =>
  new Intl.NumberFormat("en", { minimumFractionDigits: places, maximumFractionDigits: places }).format(value).replace("-", MINUS);

const DECIMALS = 6;

/** A number that is not negative, rounded up: to a whole one from 1 on, else to its first digit. */
function roundedUp(value) {
  if (value <= 0) return "0";
  const places = Math.max(0, -Math.floor(Math.log10(value)));
  // Less than a rounding error above a digit is that digit.
  const up = Math.ceil(value * 10 ** places - 1e-9) / 10 ** places;
  return fixed(up, Math.max(0, -Math.floor(Math.log10(up))));
}

/** A percentage with so many decimals, or as many more as it needs to differ from 0 and from 100. */
function percent(value, places) {
  let more = places;
  while (more < DECIMALS && value > 0 && value < 100 && [0, 100].includes(Number(value.toFixed(more)))) more += 1;
  return fixed(value, more);
}

/** An estimate of a probability: its text in per cent, and its interval's. */
export function share(one) {
  if (one.estimate === null) return { text: "unknown", interval: "" };
  if (one.low === null) return { text: `${fixed(100 * one.estimate, 1)} %`, interval: "" };
  // What no trial or every trial had: how likely or unlikely it may be all the same, as reports say it.
  if (one.estimate === 0) return { text: `under ${roundedUp(100 * one.high)} %`, interval: "" };
  if (one.estimate === 1 && one.low < 1) {
    const missed = roundedUp(100 * (1 - one.low));
    return { text: `over ${fixed(100 - Number(missed), missed.split(".")[1]?.length ?? 0)} %`, interval: "" };
  }
  const places = 50 * (one.high - one.low) < 0.5 ? 1 : 0;
  const more = 50 * (one.high - one.low) < 0.05 ? 2 : Math.max(1, places);
  return { text: `${percent(100 * one.estimate, places)} %`, interval: `${fixed(100 * one.low, more)} to ${fixed(100 * one.high, more)}` };
}

/** The difference of two probabilities in percentage points: its text and its interval's, with signs. */
export function points(one) {
  if (one.estimate === null) return { text: "unknown", interval: "" };
  const known = one.low !== null && one.high !== null;
  const places = known && 50 * (one.high - one.low) < 0.05 ? 2 : 1;
  const format = new Intl.NumberFormat("en", { minimumFractionDigits: places, maximumFractionDigits: places, signDisplay: "exceptZero" });
  const signed = (value) => format.format(100 * value).replace("-", MINUS);
  return { text: `${signed(one.estimate)} percentage points`, interval: known ? `${signed(one.low)} to ${signed(one.high)}` : "" };
}

/** The same without its unit, which stands above it. */
export const bare = (one) => { const { text, interval } = points(one); return { text: text.replace(" percentage points", ""), interval }; };

/** The estimate of the number with the other sign. */
export const negated = ({ estimate, low, high }) => { const turn = (value) => (value === null ? null : -value); return { estimate: turn(estimate), low: turn(high), high: turn(low) }; };

/** An estimate of a mean: its text and its interval's. */
export function amount(one) {
  if (one.estimate === null) return { text: "unknown", interval: "" };
  if (one.low === null || one.high === null) return { text: number(one.estimate), interval: "" };
  const places = digits((one.high - one.low) / 2);
  return { text: fixed(one.estimate, places), interval: `${fixed(one.low, places)} to ${fixed(one.high, places)}` };
}

/** A distribution's document in a line, such as "uniform 1 to 8". */
export function distribution(document) {
  if (typeof document !== "object" || document === null) return number(document);
  const [[kind, numbers]] = Object.entries(document);
  const name = { pert: "PERT", loguniform: "log-uniform" }[kind] ?? kind;
  if (Array.isArray(numbers)) {
    if (numbers.length === 2) return `${name}, ${number(numbers[0])} to ${number(numbers[1])}`;
    if (numbers.length === 3) return `${name}, ${number(numbers[0])} to ${number(numbers[2])}, mode ${number(numbers[1])}`;
  }
  if (kind === "mixture") return `mixture of ${numbers.of.length}: ${numbers.of.map(distribution).join("; ")}`;
  const inside = Object.entries(numbers).map(([key, value]) => `${key} ${Array.isArray(value) ? value.map(number).join(", ") : number(value)}`);
  return `${name}, ${inside.join(", ")}`;
}

/** What is believed of a number, in plain words. Where the kind of its distribution has no simple ones, quantiles of its
 * density, as the service gives them, say it. */
export function rangeWords(document, density) {
  if (typeof document !== "object" || document === null) return number(document);
  const [[kind, numbers]] = Object.entries(document);
  if (kind === "uniform") return `${number(numbers[0])} to ${number(numbers[1])}, all equally likely`;
  if (kind === "triangular" || kind === "pert") return `${number(numbers[0])} to ${number(numbers[2])}, most likely about ${number(numbers[1])}`;
  if (kind === "discrete") return numbers.values.map(number).join(" or ");
  if (!density) return distribution(document);
  const { quantiles } = density;
  return `very probably ${number(quantiles["0.05"])} to ${number(quantiles["0.95"])}, as often below ${number(quantiles["0.5"])} as above`;
}

/** The same within a sentence. */
export function spanWords(document, density) {
  const words = rangeWords(document, density);
  if (typeof document !== "object" || document === null) return words;
  if (words.startsWith("very probably")) return `${number(density.quantiles["0.05"])} to ${number(density.quantiles["0.95"])}`;
  return words.replace(", all equally likely", "");
}

/** A value of a scenario's document, of whatever form; null stands for a field that is not there. */
export function documentValue(value) {
  if (value === null) return "–";
  if (typeof value === "number") return number(value);
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value)) return value.every((one) => typeof one !== "object") ? value.join(", ") : JSON.stringify(value);
  const [inside, ...more] = Object.values(value);
  return !more.length && typeof inside === "object" && inside !== null ? distribution(value) : JSON.stringify(value);
}

/** What a job waits for. */
export function waitsFor({ waiting, ahead }) {
  if (waiting) return waiting;
  if (ahead === null || ahead === undefined) return "waits for its turn";
  return ahead === 0 ? "is next, and waits for a free runner" : `waits for its turn: ${ahead === 1 ? "one job is" : `${whole(ahead)} jobs are`} before it`;
}

/** Bytes in words. */
export function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const power = Math.min(Math.floor(Math.log10(Math.max(count, 1)) / 3), units.length - 1);
  return `${number(Number((count / 1000 ** power).toPrecision(2)))} ${units[power]}`;
}

/** Seconds in words, to two digits. */
export function duration(seconds) {
  if (seconds < 1) return "less than a second";
  const [size, unit] = seconds < 120 ? [1, "seconds"] : seconds < 7200 ? [60, "minutes"] : [3600, "hours"];
  const count = Number((seconds / size).toPrecision(2));
  return count === 1 ? "one second" : `${number(count)} ${unit}`;
}

/** A text without what input methods and habits change: wide digits and narrow spaces become plain ones. */
const typed = (text) => text.normalize("NFKC").trim().replace(MINUS, "-");

/** A whole number as people type it: digits, with spaces, commas or points between groups of three. */
export function readWhole(text) {
  const bare = typed(text);
  if (/^\d+$/.test(bare)) return Number(bare);
  if (/^\d{1,3}([  ,.'’ ]\d{3})+$/.test(bare)) return Number(bare.replace(/\D/g, ""));
  if (/^\d+(\.\d+)?e\d+$/i.test(bare) && Number.isInteger(Number(bare))) return Number(bare);
  throw new Error(`“${bare}” is not a whole number`);
}

/** What to say of a number that has a decimal comma; null for any other text. */
export function decimalComma(text) {
  const bare = typed(text);
  return /^[+-]?\d+,\d+$/.test(bare) ? `“${bare}” has a comma: write ${bare.replace(",", ".")} with a point` : null;
}

/** A number as people type it. A decimal comma gets a clear word instead of a guess. */
export function readNumber(text) {
  const bare = typed(text);
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(bare)) return Number(bare);
  const comma = decimalComma(bare);
  if (comma) throw new Error(comma);
  throw new Error(bare ? `“${bare}” is not a number` : "a number is missing");
}
