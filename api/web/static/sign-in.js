import { find, onSubmit, showFault } from "./dom.js";
import { Problem } from "./v1.js";

/** Where to go next: a page of this service, and no other place. */
function next() {
  const wanted = new URL(new URLSearchParams(location.search).get("next") ?? "/", location.origin);
  return wanted.origin === location.origin ? wanted.pathname + wanted.search + wanted.hash : "/";
}

async function signIn() {
  showFault(null);
  const key = find("key").value.trim();
  if (!/^[\x21-\x7e]+$/.test(key)) return showFault(new Error("write the key, such as brink_0123456789abcdef_…"));
  const answer = await fetch("/v1/session", { method: "POST", credentials: "same-origin", headers: { Authorization: `Bearer ${key}` } });
  const body = await answer.json().catch(() => null);
  // A service that asks for no keys has nobody sign in.
  if (!answer.ok && answer.status !== 409) throw new Problem(answer.status, body);
  return location.assign(next());
}

const provider = document.getElementById("provider");
if (provider) provider.href = `/sign-in/start?next=${encodeURIComponent(next())}`;
onSubmit(find("sign-in"), signIn);
find("key").focus();
