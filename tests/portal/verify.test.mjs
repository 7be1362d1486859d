// The portal's verifier against the published vectors and against one proof of a running server.
// `GAVEL_PROOF` and `GAVEL_KEY` name files with a server's answer and its verifier key; without them only vectors are tried.

import assert from "node:assert/strict";
import { createHash, generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { VerifyFailure, canonical, parseKey, verify } from "../../host/src/api/verify/verify.js";

const vectors = (name) => JSON.parse(readFileSync(new URL(`../../docs/vectors/${name}.json`, import.meta.url), "utf8"));
const { vkey, answer, public_answer, tlog_proof, openings_checked } = vectors("proof");
const refused = vectors("refused");
const copy = (value) => structuredClone(value);
const refuses = (input, keys) => assert.rejects(verify(typeof input === "string" ? input : JSON.stringify(input), keys), VerifyFailure);

function anotherKey(name) {
  const raw = generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "der" }).subarray(-32);
  const bytes = Buffer.concat([Buffer.from([1]), raw]);
  const id = createHash("sha256").update(`${name}\n`).update(bytes).digest("hex").slice(0, 8);
  return `${name}+${id}+${bytes.toString("base64")}`;
}

test("the published proofs hold", async () => {
  const full = await verify(JSON.stringify(answer), [vkey]);
  assert.equal(full.leafHash, answer.hash);
  assert.equal(full.signer, full.origin);
  assert.deepEqual([...full.opened].sort(), [...openings_checked].sort());
  assert.equal((await verify(JSON.stringify(public_answer), [vkey])).record, null);
  assert.equal((await verify(tlog_proof, [vkey])).leafHash, answer.hash);
});

test("without a key the signer is unknown", async () => {
  assert.equal((await verify(JSON.stringify(answer))).signer, null);
});

test("a signature under another key is not enough", async () => {
  await refuses(answer, [anotherKey(vkey.split("+")[0])]);
  const note = answer.proof.checkpoint;
  const at = note.lastIndexOf(" ") + 12;
  const flipped = note.slice(0, at) + (note[at] === "A" ? "B" : "A") + note.slice(at + 1);
  const forged = copy(public_answer);
  forged.proof.checkpoint = flipped;
  await refuses(forged, [vkey]);
});

test("whatever is changed in a proof is noticed", async () => {
  const changes = [
    (a) => { a.hash = a.hash.replace(/.$/, (c) => (c === "0" ? "1" : "0")); },
    (a) => { a.agent_id = "ocs_01j0000000000000000000000b"; },
    (a) => { a.proof.leaf_index += 1; },
    (a) => { a.proof.tree_size += 1; },
    (a) => { a.proof.root_hash = "0".repeat(64); },
    (a) => { a.proof.inclusion_path.pop(); },
    (a) => { a.proof.inclusion_path.push("0".repeat(64)); },
    (a) => { a.proof.inclusion_path.reverse(); },
    (a) => { a.proof.entry = a.proof.entry.replace('"seq":7', '"seq":8'); },
    (a) => { a.proof.record = a.proof.record.replace('"decision":"redact"', '"decision":"allow"'); },
    (a) => { a.proof.nonce = "0".repeat(64); },
    (a) => { a.proof.tlog_proof = a.proof.tlog_proof.replace("index 259", "index 260"); },
    (a) => { a.proof.extra = 1; },
    (a) => { a.unknown = 1; },
    (a) => { a.opening.content.text += "!"; },
    (a) => { a.opening.released.key = "0".repeat(64); },
    (a) => { a.opening["verdict/7"] = a.opening["verdict/0"]; },
    (a) => { a.opening.nonsense = a.opening.content; },
    (a) => { delete a.opening.subject; },
    (a) => { a.proof = null; a.proof_error = "gone"; },
    (a) => { a.proof = []; },
    (a) => { a.proof.inclusion_path = "x"; },
    (a) => { a.opening.content = null; },
  ];
  for (const change of changes) {
    const changed = copy(answer);
    change(changed);
    await refuses(changed, [vkey]);
  }
});

test("what every reader must refuse is refused", async () => {
  for (const key of refused.vkeys) await assert.rejects(parseKey(key), VerifyFailure, key);
  for (const proof of refused.tlog_proofs) await refuses(proof, [vkey]);
  for (const [member, texts] of [["entry", refused.entries], ["checkpoint", refused.checkpoints]]) {
    for (const text of texts) {
      const changed = copy(public_answer);
      changed.proof[member] = text;
      await refuses(changed, [vkey]);
    }
  }
  for (const input of ["", "{", "null", "[]", "{}", '{"proof":{}}', '{"hash":1,"proof":{}}']) await refuses(input, [vkey]);
});

test("canonical JSON sorts by UTF-16 units", () => {
  assert.equal(canonical(JSON.parse('{"\\ufb33":1,"\\ud83d\\ude00":2,"a":[1,{"z":null,"b":"\\u20ac"}]}')), '{"a":[1,{"b":"€","z":null}],"😀":2,"\ufb33":1}');
});

test("a server's own proof holds, and says what the command says", { skip: !process.env.GAVEL_PROOF }, async () => {
  const input = readFileSync(process.env.GAVEL_PROOF, "utf8");
  const key = readFileSync(process.env.GAVEL_KEY, "utf8").trim();
  const found = await verify(input, [key]);
  assert.equal(found.leafHash, JSON.parse(input).hash);
  assert.notEqual(found.signer, null);
  assert.ok(found.opened.includes("content"));
});
