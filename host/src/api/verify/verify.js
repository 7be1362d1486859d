// Checks a proof as docs/formats.md, section 9, says: offline, strictly, with nothing but the proof and a verifier key.
// An ES module without a dependency; it runs in a browser and in Node alike.

const MAX_INPUT = 16 * 1024 * 1024;
const MAX_INTEGER = Number.MAX_SAFE_INTEGER;
const MAX_PATH = 53;
const MAX_NOTE = 64 * 1024;
const ED25519 = 1;

const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Why a text proves nothing. */
export class VerifyFailure extends Error {}

function demand(holds, why) {
  if (!holds) throw new VerifyFailure(why);
}

function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const same = (a, b) => a.length === b.length && a.every((byte, index) => byte === b[index]);
const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const isInteger = (value) => Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0);

function unhex(value, length, name) {
  demand(typeof value === "string" && new RegExp(`^[0-9a-f]{${length * 2}}$`).test(value), `${name} is not hex of ${length} bytes`);
  return Uint8Array.from(value.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

function unbase64(value, name) {
  let bytes;
  try {
    bytes = Uint8Array.from(atob(value), (char) => char.charCodeAt(0));
  } catch {
    throw new VerifyFailure(`${name} is not base64`);
  }
  // `atob` is lenient: white space, missing padding and stray bits are not.
  demand(base64(bytes) === value, `${name} is not base64 in its one spelling`);
  return bytes;
}

const base64 = (bytes) => btoa([...bytes].map((byte) => String.fromCharCode(byte)).join(""));

/** RFC 8785. What ECMAScript says of numbers and strings is what the RFC says; names sort by UTF-16 units, as here. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const members = Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
  return `{${members.join(",")}}`;
}

function parse(json, name) {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new VerifyFailure(`${name} is not JSON: ${error.message}`);
  }
}

function members(value, names, name) {
  demand(isObject(value), `${name} is no object`);
  demand(canonical(Object.keys(value).sort()) === canonical([...names].sort()), `${name} has other members than it must have`);
}

/** A text that must be the canonical JSON of an object with exactly these members, version 1. */
function parseFixed(json, names, most, name) {
  demand(typeof json === "string" && utf8.encode(json).length <= most, `${name} is too long`);
  const value = parse(json, name);
  members(value, names, name);
  // A member that stands twice, white space, another spelling: none survives this.
  demand(canonical(value) === json, `${name} is not canonical JSON`);
  demand(value.v === 1, `${name} is of a version that is not known here`);
  return value;
}

function parseEntry(json) {
  const entry = parseFixed(json, ["chain", "prev", "record", "seq", "v"], 299, "the entry");
  unhex(entry.chain, 16, "the entry's chain");
  unhex(entry.prev, 32, "the entry's prev");
  unhex(entry.record, 32, "the entry's record");
  demand(isInteger(entry.seq), "the entry's seq is no count");
  demand((entry.seq === 0) === /^0+$/.test(entry.prev), "the entry's prev does not fit its seq");
  return entry;
}

const RECORD = ["agent", "content", "coverage", "decision", "edits", "enforced", "engine", "message", "mode", "model",
  "outcome", "provider", "released", "session", "stage", "subject", "time", "v", "verdicts", "would"];

function parseRecord(json) {
  const record = parseFixed(json, RECORD, 32768, "the record");
  demand(Array.isArray(record.verdicts) && record.verdicts.length <= 16, "the record's verdicts are not a list of at most 16");
  return record;
}

const recordHash = (nonce, json) => sha256(concat([0x52], nonce, utf8.encode(json)));

/** The verifier key `<name>+<id>+<base64>` of a log (C2SP signed-note, Ed25519). */
export async function parseKey(vkey) {
  const form = /^([^\s+\p{Cc}]{1,255})\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)$/u.exec(vkey);
  demand(form !== null, "a verifier key is <name>+<8 hex digits>+<base64>");
  const [, name, id, encoded] = form;
  const bytes = unbase64(encoded, "the verifier key");
  demand(bytes.length === 33 && bytes[0] === ED25519, "the verifier key is no log's Ed25519 key");
  const expected = (await sha256(concat(utf8.encode(name), [0x0a], bytes))).slice(0, 4);
  demand(hex(expected) === id, "the verifier key's id does not belong to its name and key");
  return { name, id: expected, bytes: bytes.slice(1) };
}

/** A signed note's text and signatures, and the checkpoint that it is; nothing of it verified. */
function parseCheckpoint(note) {
  demand(typeof note === "string" && utf8.encode(note).length <= MAX_NOTE, "the checkpoint is too long");
  const blank = note.lastIndexOf("\n\n");
  demand(blank >= 0 && note.endsWith("\n"), "the checkpoint is not a signed note");
  const body = note.slice(0, blank + 1);
  const lines = note.slice(blank + 2, -1).split("\n");
  demand(lines.length <= 100, "the checkpoint has too many signatures");
  const signatures = lines.map((line) => {
    const form = /^— ([^\s+\p{Cc}]+) ([A-Za-z0-9+/]+=*)$/u.exec(line);
    demand(form !== null, "a signature line of the checkpoint is malformed");
    const bytes = unbase64(form[2], "a signature of the checkpoint");
    demand(bytes.length > 4, "a signature of the checkpoint is too short");
    return { name: form[1], id: bytes.slice(0, 4), signature: bytes.slice(4) };
  });
  const named = signatures.map(({ name, id }) => `${name}+${hex(id)}`);
  demand(new Set(named).size === named.length, "the checkpoint holds two signatures under one key");
  const form = /^([^\s+\p{Cc}]{1,255})\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n$/u.exec(body);
  demand(form !== null && Number(form[2]) <= MAX_INTEGER, "the note's text is not a checkpoint");
  return { origin: form[1], size: Number(form[2]), root: unbase64(form[3], "the checkpoint's root"), body, signatures };
}

async function isSignedBy(checkpoint, key) {
  if (key.name !== checkpoint.origin) return false;
  const found = checkpoint.signatures.find(({ name, id }) => name === key.name && same(id, key.id));
  if (found === undefined) return false;
  let imported;
  try {
    imported = await crypto.subtle.importKey("raw", key.bytes, { name: "Ed25519" }, false, ["verify"]);
  } catch (error) {
    throw new VerifyFailure(`this browser cannot check Ed25519 signatures: ${error.message}`);
  }
  const sound = await crypto.subtle.verify({ name: "Ed25519" }, imported, found.signature, utf8.encode(checkpoint.body));
  demand(sound, `the signature of ${key.name} on the checkpoint is wrong`);
  return true;
}

/** RFC 9162, 2.1.3.2. Sizes go up to 2^53 - 1, so halving is division. */
async function checkInclusion(leaf, index, size, path, root) {
  demand(index < size, "the leaf's index lies beyond the tree");
  demand(path.length <= MAX_PATH, "the inclusion path is too long");
  let [fn, sn, hash] = [index, size - 1, leaf];
  const half = (n) => Math.floor(n / 2);
  for (const sibling of path) {
    demand(sn !== 0, "the inclusion path is too long for the tree");
    if (fn % 2 === 1 || fn === sn) {
      hash = await sha256(concat([1], sibling, hash));
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      hash = await sha256(concat([1], hash, sibling));
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  demand(sn === 0, "the inclusion path is too short for the tree");
  demand(same(hash, root), "the inclusion path does not lead to the checkpoint's root");
}

async function hmac(key, value) {
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, utf8.encode(value)));
}

const FIELD = /^(subject|content|released|edits|(verdict|attachment)\/(0|[1-9][0-9]*)|history\/(0|[1-9][0-9]*)\/(0|[1-9][0-9]*))$/;

function committed(field, record, subject) {
  const [kind, at, part] = field.split("/");
  switch (kind) {
    case "verdict": return record.verdicts[at]?.verdict;
    case "history": return subject?.history?.[at]?.parts?.[part];
    case "attachment": return subject?.attachments?.[at];
    default: return record[kind];
  }
}

/** Every opened field is what record or subject commit to, and they fit together (docs/formats.md, section 5). */
async function checkOpening(opening, record) {
  demand(isObject(opening) && Object.keys(opening).length <= 4096, "the opening is no object of at most 4096 fields");
  let subject = null;
  if (opening.subject !== undefined) {
    subject = parse(opening.subject.text, "the opened subject");
    demand(record.content === null || record.content === subject.text, "the opened subject is about another text");
  }
  for (const [field, opened] of Object.entries(opening)) {
    demand(FIELD.test(field), `no record has a field ${field}`);
    members(opened, ["key", "text"], `the opened ${field}`);
    const expected = committed(field, record, subject);
    demand(typeof expected === "string", `nothing commits to the opened field ${field}`);
    const found = await hmac(unhex(opened.key, 32, `the key of ${field}`), opened.text);
    demand(hex(found) === expected, `the opened ${field} is not what the record commits to`);
  }
  checkReleased(opening, record);
  return Object.keys(opening);
}

/** The released text is what the edits make of the content, where all of it is known. */
function checkReleased({ content, edits, released }, record) {
  const length = record.coverage?.released;
  if (content === undefined || released === undefined || length === null) return;
  if (edits === undefined && record.edits !== null) return;
  const source = utf8.encode(content.text);
  const out = [];
  let at = 0;
  for (const { span, replacement } of edits === undefined ? [] : parse(edits.text, "the opened edits")) {
    demand(isInteger(span.start) && span.start >= at && span.end > span.start && span.end <= length, "the opened edits do not fit the content");
    out.push(source.slice(at, span.start), utf8.encode(replacement));
    at = span.end;
  }
  demand(length <= source.length, "the record released more than there is");
  out.push(source.slice(at, length));
  demand(same(concat(...out), utf8.encode(released.text)), "the opened content, edits and released text do not fit together");
}

async function checkLeaf(entryText, index, path, note, keys) {
  const checkpoint = parseCheckpoint(note);
  let signer = null;
  for (const key of keys) if (await isSignedBy(checkpoint, key)) signer ??= key.name;
  demand(keys.length === 0 || signer !== null, `the checkpoint is not signed by the key given: it is ${checkpoint.origin}'s`);
  demand(isInteger(index), "the leaf's index is no count");
  const leaf = await sha256(concat([0], utf8.encode(entryText)));
  await checkInclusion(leaf, index, checkpoint.size, path, checkpoint.root);
  return { signer, leaf, checkpoint };
}

async function verifyTlogProof(input, keys) {
  const form = /^c2sp\.org\/tlog-proof@v1\n(?:extra (\S+)\n)?index (0|[1-9][0-9]{0,15})\n((?:[A-Za-z0-9+/]{43}=\n)*)\n([^]+)$/.exec(input);
  demand(form !== null && Number(form[2]) <= MAX_INTEGER, "this is no tlog-proof");
  demand(form[1] !== undefined, "the tlog-proof carries no extra data, so there is no entry to check");
  const path = form[3].split("\n").slice(0, -1).map((line) => unbase64(line, "a hash of the path"));
  const bytes = unbase64(form[1], "the extra data");
  let extraText;
  try {
    extraText = text.decode(bytes);
  } catch {
    throw new VerifyFailure("the extra data is not UTF-8");
  }
  const extra = parse(extraText, "the extra data");
  members(extra, ["entry", "nonce", "record"], "the extra data");
  demand(canonical(extra) === extraText, "the extra data is not canonical JSON");
  const [entryText, recordText] = [canonical(extra.entry), canonical(extra.record)];
  const [entry, record] = [parseEntry(entryText), parseRecord(recordText)];
  const found = await recordHash(unhex(extra.nonce, 32, "the nonce"), recordText);
  demand(hex(found) === entry.record, "the record is not what the entry commits to");
  const index = Number(form[2]);
  const { signer, leaf, checkpoint } = await checkLeaf(entryText, index, path, form[4], keys);
  return result({ signer, leaf, checkpoint, entry, record, index, opened: [] });
}

function tlogProof(proof) {
  const extra = canonical({ entry: parse(proof.entry), record: parse(proof.record), nonce: proof.nonce });
  const path = proof.inclusion_path.map((hash) => `${base64(unhex(hash, 32, "a hash of the path"))}\n`).join("");
  return `c2sp.org/tlog-proof@v1\nextra ${base64(utf8.encode(extra))}\nindex ${proof.leaf_index}\n${path}\n${proof.checkpoint}`;
}

const PUBLIC = ["leaf_index", "tree_size", "root_hash", "inclusion_path", "entry", "checkpoint", "witnessed"];
const PRIVATE = [...PUBLIC, "record", "nonce", "tlog_proof"];
const ANSWER = ["agent_id", "hash", "proof", "proof_error", "verification_url", "verification_portal"];

async function verifyAnswer(answer, keys) {
  demand(isObject(answer), "this is no proof");
  const { proof } = answer;
  demand(isObject(proof), `the answer holds no proof${answer.proof_error ? `: ${answer.proof_error}` : ""}`);
  const isPublic = answer.agent_id === undefined;
  members(proof, isPublic ? PUBLIC : PRIVATE, "the proof");
  demand(Array.isArray(proof.inclusion_path), "the inclusion path is no list");
  const entry = parseEntry(proof.entry);
  const path = proof.inclusion_path.map((hash) => unhex(hash, 32, "a hash of the path"));
  const { signer, leaf, checkpoint } = await checkLeaf(proof.entry, proof.leaf_index, path, proof.checkpoint, keys);
  demand(answer.hash === `sha256:${hex(leaf)}`, "the entry's leaf hash is another than the answer's");
  demand(proof.tree_size === checkpoint.size, "the proof is for another tree than its checkpoint's");
  demand(proof.root_hash === hex(checkpoint.root), "the proof's root is not its checkpoint's");
  let [record, opened] = [null, []];
  if (!isPublic) {
    members({ ...answer, opening: undefined, configs: undefined }, [...ANSWER, "opening", "configs"], "the answer");
    record = parseRecord(proof.record);
    const found = await recordHash(unhex(proof.nonce, 32, "the nonce"), proof.record);
    demand(hex(found) === entry.record, "the record is not what the entry commits to");
    demand(record.agent === answer.agent_id, "the record is another agent's");
    demand(tlogProof(proof) === proof.tlog_proof, "the tlog_proof does not agree with the other members");
    if (answer.opening) opened = await checkOpening(answer.opening, record);
  }
  return result({ signer, leaf, checkpoint, entry, record, index: proof.leaf_index, opened });
}

function result({ signer, leaf, checkpoint, entry, record, index, opened }) {
  return { signer, origin: checkpoint.origin, leafHash: `sha256:${hex(leaf)}`, leafIndex: index, treeSize: checkpoint.size, entry, record, opened };
}

/**
 * Checks a proof: the JSON of an answer of Gavel's, with or without a record, or a tlog-proof text.
 *
 * With verifier keys, one of them must have signed the checkpoint. Without, `signer` is null: the proof is consistent in
 * itself, and anyone may have made it.
 *
 * Throws VerifyFailure, with words, for all that proves nothing.
 */
export async function verify(input, vkeys = []) {
  demand(input.length <= MAX_INPUT, "this is too long for a proof");
  const keys = await Promise.all(vkeys.map(parseKey));
  try {
    if (!input.trimStart().startsWith("{")) return await verifyTlogProof(input, keys);
    return await verifyAnswer(parse(input, "the proof"), keys);
  } catch (error) {
    // What has another form than a step expects is no proof either.
    if (error instanceof TypeError) throw new VerifyFailure(`this is not of a proof's form: ${error.message}`);
    throw error;
  }
}
