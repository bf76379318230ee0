// Who is signed in, where the service asks for keys.
import { el, fill, find, showFault } from "./dom.js";
import { once, send } from "./v1.js";

async function signOut() {
  await send("DELETE", "/v1/session");
  location.assign("/sign-in");
}

export async function showAccount() {
  const session = await once("/v1/session");
  if (!session.keys) return;
  fill(find("account"), session.scopes.includes("admin") && el("a", { href: "/keys" }, "Keys"), ` ${session.owner} `,
    el("button", { type: "button", class: "quiet", onclick: () => signOut().catch(showFault) }, "Sign out"));
}
