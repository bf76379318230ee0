// What a page does first, and how it follows a job: both are tried again while the service does not answer, as during a
// restart.
import { showFault } from "./dom.js";
import { get, passes } from "./v1.js";

const PAUSES = [500, 1000, 2000, 4000, 8000];
const STATES = ["queued", "running", "succeeded", "failed", "cancelled"];

export const ended = (job) => !["queued", "running"].includes(job.state);
const pause = (tries) => new Promise((done) => { setTimeout(done, PAUSES[Math.min(tries, PAUSES.length - 1)]); });

/** Do what a page begins with; each part again if the service does not answer it. A part asks for what it needs before it
 * changes the page. */
export const load = (...parts) => Promise.all(parts.map(attempt));

/** Do this when one comes back to the page, and the browser shows it as one had left it instead of loading it. */
export const onReturn = (again) => addEventListener("pageshow", ({ persisted }) => { if (persisted) load(again); });

async function attempt(begin) {
  let said;
  for (let tries = 0; ; tries += 1) {
    try {
      await begin();
      if (said?.isConnected) showFault(null);
      return;
    } catch (error) {
      if (!passes(error)) return void showFault(error);
      said = showFault(new Error("The service does not answer. This page tries again by itself."));
      await pause(tries);
    }
  }
}

/** Follow a job by its events until it ends. The browser resumes a stream that broke off; one that was refused is opened
 * anew. Returns what stops it. */
export function follow(id, changed) {
  let source;
  let stopped = false;
  let tries = 0;
  const open = () => {
    source = new EventSource(`/v1/jobs/${id}/events`);
    source.addEventListener("open", () => { tries = 0; });
    source.addEventListener("error", () => { if (source.readyState === EventSource.CLOSED) again(); });
    for (const state of STATES) source.addEventListener(state, (event) => use(JSON.parse(event.data)));
  };
  const use = (job) => {
    if (ended(job)) source.close();
    changed(job);
  };
  const again = async () => {
    await pause(tries);
    tries += 1;
    if (stopped) return;
    try {
      const job = await get(`/v1/jobs/${id}`);
      use(job);
      if (!ended(job) && !stopped) open();
    } catch (error) {
      if (passes(error)) await again();
      else showFault(error);
    }
  };
  open();
  return () => {
    stopped = true;
    source.close();
  };
}
