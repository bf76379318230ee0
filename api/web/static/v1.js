// The public interface, as any client would call it.

/** A refusal: `message` in words, `errors` by field, `status` of HTTP. */
export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail ?? `the service answered with status ${status}`);
    this.status = status;
    this.errors = body?.errors ?? [];
  }
}

/** Whether a refusal may pass by itself: the service does not answer, or it is overloaded. */
export const passes = (error) => error instanceof Problem && (error.status === 0 || [429, 502, 503, 504].includes(error.status));

async function answered(path, options) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "the service does not answer; the page tries again when you ask again" });
  }
  if (answer.ok) return answer;
  const body = await answer.json().catch(() => null);
  if (answer.status === 401 && location.pathname !== "/sign-in") {
    location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
    await new Promise(() => {});
  }
  throw new Problem(answer.status, body);
}

export async function get(path, signal) {
  return (await answered(path, { signal })).json();
}

/** A document with the tag of its version. */
export async function getTagged(path) {
  const answer = await answered(path);
  return [await answer.json(), answer.headers.get("ETag")];
}

/** Send JSON, and read JSON; null for an empty answer. `tagged` is called with the tag of the answer's version. */
export async function send(method, path, body, { signal, accept = "application/json", headers = {}, tagged = () => {} } = {}) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const kind = body === undefined ? {} : { "Content-Type": "application/json" };
  const answer = await answered(path, { method, signal, ...sent, headers: { Accept: accept, ...kind, ...headers } });
  tagged(answer.headers.get("ETag"));
  return answer.status === 204 ? null : answer.json();
}

export const post = (path, body, options) => send("POST", path, body, options);

/** A file that the service makes, as the browser downloads it. */
export async function download(name, path, body, accept) {
  const options = body === undefined
    ? { headers: { Accept: accept } }
    : { method: "POST", body: JSON.stringify(body), headers: { Accept: accept, "Content-Type": "application/json" } };
  saveAs(name, await (await answered(path, options)).blob());
}

export function saveAs(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** A list that changes seldom, read once a page, and again where a browser shows the page as one had left it. */
const kept = new Map();
addEventListener("pageshow", ({ persisted }) => { if (persisted) kept.clear(); });
export function once(path) {
  if (!kept.has(path)) kept.set(path, get(path).catch((error) => { kept.delete(path); throw error; }));
  return kept.get(path);
}

/** Have the service make the charts' file, and the browser keep it, before a result needs it. */
export const prepareCharts = () => fetch(new URL("./vega.js", import.meta.url), { priority: "low" }).catch(() => {});
