// Evaluates Vega's expressions from their syntax trees. Vega would otherwise compile them with `Function`, which the
// pages' Content-Security-Policy forbids. The trees are those of vega.parse(spec, config, { ast: true }); the object below
// has the five functions that vega.View expects as its option `expr`.

const CONSTANTS = {
  NaN, E: Math.E, LN2: Math.LN2, LN10: Math.LN10, LOG2E: Math.LOG2E, LOG10E: Math.LOG10E, PI: Math.PI,
  SQRT1_2: Math.SQRT1_2, SQRT2: Math.SQRT2, MIN_VALUE: Number.MIN_VALUE, MAX_VALUE: Number.MAX_VALUE, undefined,
};
const OF_MATH = ["abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "exp", "floor", "hypot", "log", "max", "min", "pow",
  "random", "round", "sin", "sqrt", "tan"];
const OF_DATES = { date: "Date", day: "Day", year: "FullYear", month: "Month", hours: "Hours", minutes: "Minutes",
  seconds: "Seconds", milliseconds: "Milliseconds" };
const OF_TEXTS = { length: (text) => text.length, upper: (text) => String(text).toUpperCase(), lower: (text) => String(text).toLowerCase(),
  trim: (text) => String(text).trim(), split: (text, ...parts) => String(text).split(...parts), substring: (text, ...ends) => String(text).substring(...ends),
  replace: (text, ...how) => String(text).replace(...how), indexof: (within, what) => within.indexOf(what),
  lastindexof: (within, what) => within.lastIndexOf(what), slice: (within, ...ends) => within.slice(...ends) };
const FUNCTIONS = {
  ...Object.fromEntries(OF_MATH.map((name) => [name, Math[name]])),
  ...OF_TEXTS,
  isNaN: Number.isNaN, isFinite: Number.isFinite, parseFloat, parseInt,
  clamp: (value, low, high) => Math.max(low, Math.min(high, value)),
  now: () => Date.now(), utc: (...parts) => Date.UTC(...parts), datetime: (...parts) => new Date(...parts),
  time: (date) => new Date(date).getTime(), timezoneoffset: (date) => new Date(date).getTimezoneOffset(),
  regexp: (...parts) => new RegExp(...parts), test: (pattern, text) => pattern.test(text),
};
for (const [name, part] of Object.entries(OF_DATES)) {
  FUNCTIONS[name] = (date) => new Date(date)[`get${part}`]();
  if (name !== "timezoneoffset") FUNCTIONS[`utc${name}`] = (date) => new Date(date)[`getUTC${part}`]();
}
const OF_EVENTS = new Set(["view", "item", "group", "xy", "x", "y"]);
const BINARY = {
  "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, "/": (a, b) => a / b, "%": (a, b) => a % b,
  "==": (a, b) => a == b, "!=": (a, b) => a != b, "===": (a, b) => a === b, "!==": (a, b) => a !== b,
  "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
  "&": (a, b) => a & b, "|": (a, b) => a | b, "^": (a, b) => a ^ b, "<<": (a, b) => a << b, ">>": (a, b) => a >> b, ">>>": (a, b) => a >>> b,
};
const UNARY = { "+": (a) => +a, "-": (a) => -a, "~": (a) => ~a, "!": (a) => !a };

/** A member of a value; what leads to running code is no member. */
function member(object, name) {
  if (name === "constructor" || name === "__proto__" || name === "prototype") return undefined;
  return object === null || object === undefined ? undefined : object[name];
}

/** The value of a tree. `place` has the functions, parameters, datum, event and item that the expression may name. */
function value(tree, place) {
  const of = (part) => value(part, place);
  switch (tree.type) {
    case "Literal":
      return tree.value;
    case "Identifier":
      if (tree.name === "datum" || tree.name === "event" || tree.name === "item") return place[tree.name];
      return tree.name in CONSTANTS ? CONSTANTS[tree.name] : place.parameters?.[`$${tree.name}`];
    case "MemberExpression":
      return member(of(tree.object), tree.computed ? of(tree.property) : tree.property.name);
    case "ArrayExpression":
      return tree.elements.map(of);
    case "ObjectExpression": {
      const made = {};
      for (const { key, value: inside } of tree.properties) made[key.name ?? key.value] = of(inside);
      return made;
    }
    case "UnaryExpression":
      return UNARY[tree.operator](of(tree.argument));
    case "BinaryExpression":
      return BINARY[tree.operator](of(tree.left), of(tree.right));
    case "LogicalExpression":
      return tree.operator === "&&" ? of(tree.left) && of(tree.right) : of(tree.left) || of(tree.right);
    case "ConditionalExpression":
      return of(tree.test) ? of(tree.consequent) : of(tree.alternate);
    case "CallExpression": {
      const name = tree.callee.name.replace(/^_/, "");
      if (name === "if") return of(tree.arguments[0]) ? of(tree.arguments[1]) : of(tree.arguments[2]);
      const given = tree.arguments.map(of);
      if (OF_EVENTS.has(name) && place.event) return place.event.vega[name](...given);
      return (place.functions[name] ?? FUNCTIONS[name]).apply(place.functions, given);
    }
    default:
      throw new Error(`Vega has an expression of type ${tree.type}, which is not known here`);
  }
}

/** Give a mark the ends that its channels imply, along one axis: `start`, `end`, `centre` and `size` are names. */
function span(item, channels, start, end, centre, size, ordered) {
  if (channels[end] && channels[start]) {
    if (ordered && item[start] > item[end]) [item[start], item[end]] = [item[end], item[start]];
    item[size] = item[end] - item[start];
  } else if (channels[end]) {
    item[start] = item[end] - (item[size] || 0);
  }
  if (channels[centre]) item[start] = item[centre] - (item[size] || 0) / 2;
}

export const interpreter = {
  operator: ({ functions }, { ast }) => (parameters) => value(ast, { functions, parameters }),
  parameter: ({ functions }, { ast }) => (datum, parameters) => value(ast, { functions, parameters, datum }),
  event: ({ functions }, { ast }) => (event) => value(ast, { functions, event }),
  handler: ({ functions }, { ast }) => (parameters, event) =>
    value(ast, { functions, parameters, event, datum: event.item?.datum }),
  encode: ({ functions }, { marktype, channels }) => (item, parameters) => {
    const place = { functions, parameters, datum: item.datum, item };
    let changed = false;
    for (const name in channels) {
      const found = value(channels[name].ast, place);
      if (item[name] !== found) {
        item[name] = found;
        changed = true;
      }
    }
    if (marktype !== "rule") {
      const ordered = ["group", "image", "rect"].includes(marktype);
      span(item, channels, "x", "x2", "xc", "width", ordered);
      span(item, channels, "y", "y2", "yc", "height", ordered);
    }
    return changed;
  },
};
