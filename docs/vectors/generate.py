#!/usr/bin/env python3
"""Computes the test vectors of docs/formats.md, independently of the Rust code.

Needs Python 3.9 and `cryptography` (for Ed25519). Writes the *.json files beside itself;
with --check it only compares, and fails if one differs.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

HERE = pathlib.Path(__file__).resolve().parent
ZERO = "00" * 32


# RFC 8785, for the values that the formats use (no fractions).

def jcs(value):
    if value is None or isinstance(value, (bool, str)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        assert abs(value) <= 2**53 - 1
        return str(value)
    if isinstance(value, list):
        return "[" + ",".join(map(jcs, value)) + "]"
    names = sorted(value, key=lambda name: name.encode("utf-16-be"))
    return "{" + ",".join(jcs(name) + ":" + jcs(value[name]) for name in names) + "}"


# Hashes

def sha256(data):
    return hashlib.sha256(data).digest()


def leaf_hash(entry):
    return sha256(b"\x00" + entry)


def node_hash(left, right):
    return sha256(b"\x01" + left + right)


def record_hash(nonce, record):
    return sha256(b"\x52" + nonce + record.encode())


# RFC 5869 with SHA-256, no salt, 32 bytes of output.

def hkdf(secret, info):
    pseudorandom = hmac.new(b"\x00" * 32, secret, hashlib.sha256).digest()
    return hmac.new(pseudorandom, info.encode() + b"\x01", hashlib.sha256).digest()


def commit(secret, field, text):
    return hmac.new(hkdf(secret, field), text.encode(), hashlib.sha256).digest()


# RFC 6962 section 2.1, by its recursive definition.

def split(n):
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def mth(leaves):
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return node_hash(mth(leaves[:k]), mth(leaves[k:]))


def path(m, leaves):
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return path(m, leaves[:k]) + [mth(leaves[k:])]
    return path(m - k, leaves[k:]) + [mth(leaves[:k])]


def subproof(m, leaves, whole):
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return subproof(m, leaves[:k], whole) + [mth(leaves[k:])]
    return subproof(m - k, leaves[k:], False) + [mth(leaves[:k])]


# C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-proof

def b64(data):
    return base64.b64encode(data).decode()


class Key:
    def __init__(self, name, seed, kind):
        self.name, self.kind = name, kind
        self.private = Ed25519PrivateKey.from_private_bytes(seed)
        public = self.private.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.blob = bytes([kind]) + public
        self.id = sha256(name.encode() + b"\n" + self.blob)[:4]

    def vkey(self):
        return f"{self.name}+{self.id.hex()}+{b64(self.blob)}"

    def line(self, body, time=None):
        if time is None:
            signature = self.private.sign(body.encode())
        else:
            message = f"cosignature/v1\ntime {time}\n{body}"
            signature = time.to_bytes(8, "big") + self.private.sign(message.encode())
        return f"\u2014 {self.name} {b64(self.id + signature)}\n"


def checkpoint_body(origin, size, root):
    return f"{origin}\n{size}\n{b64(root)}\n"


def tlog_proof(extra, index, hashes, note):
    lines = ["c2sp.org/tlog-proof@v1", f"extra {b64(extra.encode())}", f"index {index}", *map(b64, hashes)]
    return "\n".join(lines) + "\n\n" + note


# The cast

SEED = bytes(range(32))
WITNESS_SEED = bytes(range(64, 96))
ORIGIN = "gavel.localhost/0123456789abcdef"
SECRET = bytes(range(100, 132))
NONCE = bytes(range(200, 232))
CHAIN = "000102030405060708090a0b0c0d0e0f"
AGENT = "ocs_01j0000000000000000000000a"


def entry_object(seq, prev, record, chain=CHAIN):
    return {"v": 1, "chain": chain, "seq": seq, "prev": prev, "record": record}


def entries():
    first = entry_object(0, ZERO, sha256(b"a record").hex())
    second = entry_object(1, leaf_hash(jcs(first).encode()).hex(), sha256(b"another").hex())
    last = entry_object(2**53 - 1, "f" * 64, "0" * 63 + "1", chain="f" * 32)
    return [{"entry": entry, "bytes": jcs(entry), "leaf_hash": leaf_hash(jcs(entry).encode()).hex()}
            for entry in (first, second, last)]


CONTENT = "My IBAN is DE89370400440532013000, naïve \U0001f600 reader.\nThank you!"
RELEASED = "My IBAN is [iban], naïve \U0001f600 reader.\nThank you!"
EDITS = [{"span": {"start": 11, "end": 33}, "replacement": "[iban]"}]
VERDICT = {
    "decision": {"redact": EDITS},
    "findings": [{"rule": "iban", "severity": "high", "span": {"start": 11, "end": 33}, "detail": "checksum fits"}],
}
BLOCK = {"decision": {"block": "secret"}, "findings": [{"rule": "secret", "severity": "critical", "span": None, "detail": ""}]}
ALLOW = {"decision": "allow", "findings": []}
SUBJECT = {
    "stage": "input", "text": CONTENT, "tool": None, "model": "demo-1", "provider": "demo", "now_ms": 1767225600000,
    "facts": [["caller.kind", "user"], ["label.team", "Zürich"]],
    "history": [{"role": "user", "parts": ["Hello"]}, {"role": "assistant", "parts": ["Good day.", "How can I help?"]}],
}
ATTACHMENTS = [{"media_type": "text/plain", "size": 5, "sha256": sha256(b"Hello").hex()}]


def subject_form(subject, attachments):
    def hexed(field, text):
        return commit(SECRET, field, text).hex()

    form = {name: subject[name] for name in ("stage", "tool", "model", "provider", "now_ms", "facts")}
    form["text"] = hexed("content", subject["text"])
    form["attachments"] = [hexed(f"attachment/{i}", jcs(a)) for i, a in enumerate(attachments)]
    form["history"] = [
        {"role": message["role"],
         "parts": [hexed(f"history/{m}/{p}", part) for p, part in enumerate(message["parts"])]}
        for m, message in enumerate(subject["history"])]
    return jcs(form)


def commitments():
    fields = {"content": CONTENT, "released": RELEASED, "edits": jcs(EDITS), "verdict/0": jcs(VERDICT),
              "verdict/1": jcs(BLOCK), "verdict/2": jcs(ALLOW), "subject": subject_form(SUBJECT, []),
              "history/0/0": "Hello", "history/1/1": "How can I help?", "attachment/0": jcs(ATTACHMENTS[0])}
    with_attachments = subject_form(SUBJECT, ATTACHMENTS)
    tool = dict(SUBJECT, stage="tool_call", tool="search", text='{"q":"x"}', history=[], facts=[], now_ms=0)
    return {
        "secret": SECRET.hex(),
        "fields": [{"field": name, "key": hkdf(SECRET, name).hex(), "value": value,
                    "commitment": commit(SECRET, name, value).hex()} for name, value in fields.items()],
        "verdicts": [{"verdict": v, "canonical": jcs(v)} for v in (VERDICT, BLOCK, ALLOW)],
        "edits": {"edits": EDITS, "canonical": jcs(EDITS), "text": CONTENT, "edited": RELEASED},
        "subjects": [
            {"subject": s, "attachments": a, "form": subject_form(s, a),
             "commitment": commit(SECRET, "subject", subject_form(s, a)).hex()}
            for s, a in ((SUBJECT, []), (SUBJECT, ATTACHMENTS), (tool, []))],
    }


def record_object():
    verdict = {
        "policy": "pii", "version": "1.2.0", "component": sha256(b"component").hex(),
        "config": sha256(jcs({}).encode()).hex(), "enforcement": "enforce", "on_error": "block", "decision": "redact",
        "findings": [{"rule": "iban", "severity": "high", "count": 1}], "more": 0, "error": None, "reproducible": True,
        "verdict": commit(SECRET, "verdict/0", jcs(VERDICT)).hex()}
    failed = dict(verdict, policy="topics", version="0.3.1", enforcement="observe", on_error="allow", decision="allow",
                  findings=[], error="deadline", reproducible=False, verdict=None)
    length = len(CONTENT.encode())
    return {
        "v": 1, "agent": AGENT, "session": "ses_01j0000000000000000000000b", "message": "msg_01j0000000000000000000000c",
        "stage": "input", "mode": "enforcing", "decision": "redact", "would": "redact", "enforced": True,
        "outcome": "complete", "verdicts": [verdict, failed],
        "subject": commit(SECRET, "subject", subject_form(SUBJECT, [])).hex(),
        "content": commit(SECRET, "content", CONTENT).hex(), "released": commit(SECRET, "released", RELEASED).hex(),
        "edits": commit(SECRET, "edits", jcs(EDITS)).hex(),
        "coverage": {"received": length, "judged": length, "released": length, "unjudged": 0},
        "engine": {"wit": "0.1.0", "gate": 1, "wasmtime": "48.0.8", "limits": sha256(b"limits").hex()},
        "model": "demo-1", "provider": "demo", "time": "2026-01-01T00:00:00.000Z"}


def interrupted_object():
    return dict(record_object(), stage="output", decision="unknown", would="unknown", enforced=False,
                outcome="interrupted", verdicts=[], subject=None, content=None, released=None, edits=None,
                coverage={"received": 0, "judged": 0, "released": None, "unjudged": 0}, mode="transparent")


def records():
    return [{"record": record, "canonical": jcs(record), "nonce": NONCE.hex(),
             "hash": record_hash(NONCE, jcs(record)).hex()} for record in (record_object(), interrupted_object())]


def tree():
    """Leaf i is the entry whose bytes are the decimal digits of i."""
    leaves = [leaf_hash(str(i).encode()) for i in range(1100)]
    sizes = [0, 1, 2, 3, 7, 8, 9, 255, 256, 257, 511, 512, 513, 1000]
    inclusion = [(0, 1), (0, 2), (1, 2), (4, 7), (6, 7), (0, 256), (255, 256), (255, 257), (256, 257), (300, 1000),
                 (511, 513), (512, 513), (999, 1000)]
    consistency = [(1, 2), (1, 8), (3, 7), (4, 7), (6, 8), (255, 256), (256, 257), (257, 1000), (512, 1000),
                   (768, 1000), (999, 1000)]
    hexed = lambda hashes: [h.hex() for h in hashes]
    return {
        "leaf": "the bytes of leaf i are the decimal digits of i",
        "roots": [{"size": n, "root": mth(leaves[:n]).hex()} for n in sizes],
        "inclusion": [{"index": m, "size": n, "path": hexed(path(m, leaves[:n]))} for m, n in inclusion],
        "consistency": [{"from": m, "to": n, "proof": hexed(subproof(m, leaves[:n], True))} for m, n in consistency],
        "tiles": [
            {"size": 1000, "path": "0/003.p/232", "sha256": sha256(b"".join(leaves[768:1000])).hex()},
            {"size": 1000, "path": "0/000", "sha256": sha256(b"".join(leaves[:256])).hex()},
            {"size": 1000, "path": "1/000.p/3",
             "sha256": sha256(b"".join(mth(leaves[i * 256:(i + 1) * 256]) for i in range(3))).hex()}],
        "bundle": {"entries": ["0", "1", "10"], "bytes": (b"\0\x010\0\x011\0\x0210").hex()},
    }


def checkpoint():
    key, witness = Key(ORIGIN, SEED, 0x01), Key("witness.example/w1", WITNESS_SEED, 0x04)
    root = mth([leaf_hash(str(i).encode()) for i in range(1000)])
    body = checkpoint_body(ORIGIN, 1000, root)
    note = body + "\n" + key.line(body)
    return {"seed": SEED.hex(), "origin": ORIGIN, "vkey": key.vkey(), "size": 1000, "root": root.hex(), "body": body,
            "note": note, "cosigned": note + witness.line(body, time=1767225600), "witness": witness.vkey()}


def proof():
    key = Key(ORIGIN, SEED, 0x01)
    record = jcs(record_object())
    entry = entry_object(7, sha256(b"prev").hex(), record_hash(NONCE, record).hex())
    leaves = [leaf_hash(str(i).encode()) for i in range(300)]
    index = 259
    leaves[index] = leaf_hash(jcs(entry).encode())
    root = mth(leaves)
    body = checkpoint_body(ORIGIN, len(leaves), root)
    note = body + "\n" + key.line(body)
    extra = jcs({"entry": entry, "record": record_object(), "nonce": NONCE.hex()})
    hashes = path(index, leaves)
    tagged = "sha256:" + leaves[index].hex()
    members = {"leaf_index": index, "tree_size": len(leaves), "root_hash": root.hex(),
               "inclusion_path": [h.hex() for h in hashes], "entry": jcs(entry), "record": record, "nonce": NONCE.hex(),
               "checkpoint": note, "tlog_proof": tlog_proof(extra, index, hashes, note), "witnessed": False}
    opened = {"content": CONTENT, "released": RELEASED, "edits": jcs(EDITS), "subject": subject_form(SUBJECT, []),
              "verdict/0": jcs(VERDICT), "history/1/0": "Good day."}
    public = {name: members[name] for name in
              ("leaf_index", "tree_size", "root_hash", "inclusion_path", "entry", "checkpoint", "witnessed")}
    return {
        "vkey": key.vkey(),
        "answer": {"agent_id": AGENT, "hash": tagged, "proof": members, "proof_error": None,
                   "verification_url": "/verify/proof/" + tagged,
                   "verification_portal": "https://obligationsign.com/verify/",
                   "opening": {name: {"text": text, "key": hkdf(SECRET, name).hex()} for name, text in opened.items()}},
        "public_answer": {"hash": tagged, "proof": public},
        "tlog_proof": members["tlog_proof"],
        "openings_checked": ["content", "edits", "history/1/0", "released", "subject", "verdict/0"],
    }


def refused():
    entry = entries()[0]["bytes"]
    record = jcs(record_object())
    note, vkey = checkpoint()["note"], checkpoint()["vkey"]
    body, signature = note.split("\n\n")
    text = proof()["tlog_proof"]
    return {
        "entries": [
            entry + "\n", " " + entry, entry.replace('"v":1', '"v":2'), entry.replace('"seq":0', '"seq":0.0'),
            entry.replace('"seq":0', '"seq":1'), entry.replace('"seq":0', '"seq":-0'), entry.replace('"v":1', '"v":1,"x":0'),
            entry.replace(CHAIN, CHAIN.upper()), entry.replace(CHAIN, CHAIN[2:]), entry.replace('"v":1', '"v":1,"v":1'),
            entries()[2]["bytes"].replace(str(2**53 - 1), str(2**53)), "", "null", "[]"],
        "records": [
            record + " ", record.replace('"v":1', '"v":2'), record.replace('"error":null,', "", 1),
            record.replace('"more":0', '"more":-1', 1), record.replace('"count":1', '"count":0'),
            record.replace('"count":1', f'"count":{2**53}'), record.replace('"iban"', '"IBAN"'),
            record.replace("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00Z"),
            record.replace("2026-01-01T00:00:00.000Z", "2026-13-01T00:00:00.000Z"),
            record.replace('"decision":"redact"', '"decision":"maybe"', 1),
            record.replace('"error":"deadline"', '"error":null'), record.replace('"agent":"ocs_', '"agent":"oc s_')],
        "vkeys": [
            "", vkey + "\n", vkey.replace("+", "+0", 1), vkey.upper(), vkey.replace("gavel", "gravel"),
            checkpoint()["witness"], vkey[:-4], "a b" + vkey],
        "checkpoints": [
            "", body + "\n", note[:-1], note + "\n", body + "\n\n", note.replace("\n1000\n", "\n01000\n"),
            note.replace("\n1000\n", "\n+1000\n"), note.replace("\n1000\n", "\n1001\n"),
            note.replace(ORIGIN + "\n", ORIGIN[:-1] + "0\n", 1), note + signature, body + "\nextension\n\n" + signature,
            note.replace("\u2014", "-"), note.replace("\n1000\n", f"\n{2**53}\n"), note.replace("\n1000\n", "\r\n1000\n")],
        "tlog_proofs": [
            "", text.replace("@v1", "@v2"), text.replace("index 259", "index 0259"), text.replace("index 259", "index +259"),
            text.replace("index 259", "index 258"), text.replace("extra ", "extra  "), text.replace("\nindex", "\n\nindex"),
            text.replace("\n\n", "\n", 1), text.split("\n\n")[0] + "\n\n", text.replace("extra ", "Extra "),
            "\n".join(line for line in text.split("\n") if not line.startswith("extra ")),
            text.replace("=\n", "\n", 1), text.replace("\n", "\r\n", 1)],
        "tile_paths": [
            "", "0", "0/", "/000", "0/0", "0/00", "0/0000", "0/x000/001", "0/1000", "0/001/002", "0/x001/x002", "64/000",
            "00/000", "-1/000", "+0/000", "0/+01", "0/000.p/0", "0/000.p/256", "0/000.p/05", "0/000.p/+5", "0/000.p/",
            "0/000.p", "data/000", "entries", "entries/", "0/000/", "8/0/000", "0/x999/x999/x999/x999/x999/x999/999"],
    }


def main():
    files = {"entry": entries, "record": records, "commitments": commitments, "tree": tree, "checkpoint": checkpoint,
             "proof": proof, "refused": refused}
    stale = []
    for name, make in files.items():
        text = json.dumps(make(), ensure_ascii=False, indent=1) + "\n"
        file = HERE / f"{name}.json"
        if "--check" in sys.argv[1:]:
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                stale.append(file.name)
        else:
            file.write_text(text, encoding="utf-8")
    if stale:
        sys.exit("differ: " + ", ".join(stale))


main()
