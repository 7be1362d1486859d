// The portal's page around `verify.js`. Everything is shown as text, never as markup.

import { VerifyFailure, verify } from "./verify.js";

const the = (id) => document.getElementById(id);
/** The key that this server gave, to tell it from one that the reader brought. */
let offered = null;

async function offerKey() {
  const answer = await fetch("/log/key");
  if (!answer.ok) return;
  // Old keys follow the one in use.
  offered = (await answer.text()).trim().split("\n")[0];
  the("key").value ||= offered;
  the("origin").textContent =
    "Filled in from this server. A key that you kept from earlier, or got from someone else, proves more: a server can give any key with its proofs.";
}

async function openLinkedProof() {
  if (!location.pathname.startsWith("/verify/proof/")) return;
  const answer = await fetch(location.pathname, { headers: { accept: "application/json" } });
  const body = await answer.text();
  if (!answer.ok) {
    show("fails", "There is no such proof", JSON.parse(body).detail ?? "", []);
    return;
  }
  the("proof").value = body;
  await check();
}

async function check() {
  const key = the("key").value.trim();
  if (!globalThis.crypto?.subtle) {
    show("", "This browser cannot verify here", "Open this page over HTTPS or on localhost: elsewhere browsers offer no cryptography.", []);
    return;
  }
  try {
    const found = await verify(the("proof").value.trimStart(), key ? [key] : []);
    const [kind, title, why] = judged(found, key);
    show(kind, title, why, facts(found));
  } catch (error) {
    if (!(error instanceof VerifyFailure)) throw error;
    show("fails", "This proves nothing", error.message, []);
  }
}

function judged({ signer, origin }, key) {
  if (signer === null) return ["", "Consistent, signer unknown", `Without a key, anyone may have made this proof. It names the log ${origin}.`];
  const own = key === offered ? " The key is this server's own word." : "";
  return ["holds", "The proof holds", `The verdict stands in the log ${origin}, signed under the key given.${own}`];
}

function facts({ leafHash, leafIndex, treeSize, entry, record, opened }) {
  const rows = [
    ["Leaf", `${leafHash}\nnumber ${leafIndex} of ${treeSize}`],
    ["Chain", `${entry.chain}, entry ${entry.seq}`],
  ];
  if (record === null) return [...rows, ["Record", "not in this proof: the public log is blind"]];
  const verdict = ({ policy, version, decision, error, findings }) =>
    `${policy} ${version}: ${error ?? decision}${findings.map(({ rule, count }) => `, ${rule} × ${count}`).join("")}`;
  return [
    ...rows,
    ["Agent", record.agent],
    ["Stage", `${record.stage}, ${record.mode}, ${record.outcome}`],
    ["Decision", `${record.decision}${record.enforced ? ", enforced" : ", not enforced"}`],
    ["Verdicts", record.verdicts.map(verdict).join("\n") || "no policy was bound"],
    ["Model", `${record.model} of ${record.provider}`],
    ["Time", record.time],
    ["Opened", opened.join(", ") || "nothing"],
  ];
}

function show(kind, title, why, rows) {
  the("result").className = kind;
  the("verdict").textContent = title;
  the("why").textContent = why;
  the("facts").replaceChildren(...rows.map(([name, value]) => {
    const row = document.createElement("tr");
    for (const [tag, text] of [["th", name], ["td", value]]) row.appendChild(document.createElement(tag)).textContent = text;
    return row;
  }));
  the("result").hidden = false;
}

the("form").addEventListener("submit", (event) => {
  event.preventDefault();
  check();
});
the("file").addEventListener("change", async () => {
  const [file] = the("file").files;
  if (file) the("proof").value = await file.text();
});
await offerKey();
await openLinkedProof();
