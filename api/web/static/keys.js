import { showAccount } from "./account.js";
import { el, fill, find, onSubmit, showFault, table } from "./dom.js";
import { readWhole, when } from "./format.js";
import { load } from "./load.js";
import { get, post } from "./v1.js";

async function show() {
  const keys = await get("/v1/keys");
  const revoke = (key) => post(`/v1/keys/${key.id}/revoke`).then(show).catch(showFault);
  fill(find("keys"), table("Keys, the oldest first", ["id", "owner", "allows", "created", "expires", "last used", ""], keys.map((key) => [
    el("code", {}, key.id), key.owner, key.scopes.join(", "), when(key.created_at), key.expires_at ? when(key.expires_at) : "never", key.used_at ? when(key.used_at) : "never",
    key.revoked_at ? `revoked ${when(key.revoked_at)}` : el("button", { type: "button", class: "quiet", "aria-label": `Revoke the key ${key.id} of ${key.owner}`, onclick: () => revoke(key) }, "Revoke"),
  ]), false));
}

async function create() {
  showFault(null);
  const form = find("new");
  const scopes = [...form.querySelectorAll("input[name=scope]:checked")].map((box) => box.value);
  const days = form.days.value.trim() ? readWhole(form.days.value) : null;
  const made = await post("/v1/keys", { owner: form.owner.value.trim(), scopes, days });
  fill(find("made"), el("p", {}, `The key of ${made.owner}, shown this once:`), el("p", {}, el("code", {}, made.text)));
  await show();
}

load(showAccount, show).then(() => onSubmit(find("new"), create));
