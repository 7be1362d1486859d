//! The test vectors of `docs/formats.md`, computed by `docs/vectors/generate.py` without this code.

use gavel_log::judged::{Edit, Subject, Verdict};
use gavel_log::subject_form::Attachment;
use gavel_log::{
    Checkpoint, Entry, Field, Hash, Opening, Origin, Proof, ProofAnswer, Record, RecordSecret, Signer, SigningKey,
    TileId, TilePath, TileReader as _, TlogProof, VerifierKey, apply_edits, consistency_proof, decode_bundle,
    encode_bundle, inclusion_proof, jcs, record_hash, verify, verify_consistency, verify_inclusion,
};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::memory::{MemoryTiles, leaves};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn of<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn bytes32(value: &Value) -> [u8; 32] {
    hex::decode(text(value)).unwrap().try_into().unwrap()
}

#[test]
fn entries() {
    let vectors = parsed(include_str!("../../../../docs/vectors/entry.json"));
    for vector in list(&vectors) {
        let object = &vector["entry"];
        let entry = Entry {
            chain: of(&object["chain"]),
            seq: of(&object["seq"]),
            prev: of(&object["prev"]),
            record: of(&object["record"]),
        };
        let bytes = text(&vector["bytes"]);
        assert_eq!(entry.to_bytes(), bytes.as_bytes());
        assert_eq!(entry.to_canonical().unwrap(), bytes, "the quick way is RFC 8785's");
        assert_eq!(jcs::to_string(object).unwrap(), bytes);
        assert_eq!(Entry::parse(bytes.as_bytes()).unwrap(), entry);
        assert_eq!(entry.leaf_hash(), of::<Hash>(&vector["leaf_hash"]));
        assert!(bytes.len() < 300);
    }
}

#[test]
fn records() {
    let vectors = parsed(include_str!("../../../../docs/vectors/record.json"));
    for vector in list(&vectors) {
        let record: Record = of(&vector["record"]);
        let canonical = text(&vector["canonical"]);
        assert_eq!(record.to_canonical().unwrap(), canonical);
        assert_eq!(Record::parse(canonical).unwrap(), record);
        assert_eq!(record_hash(&bytes32(&vector["nonce"]), canonical), of::<Hash>(&vector["hash"]));
    }
}

#[test]
fn commitments() {
    let vectors = parsed(include_str!("../../../../docs/vectors/commitments.json"));
    let secret = RecordSecret::from_bytes(bytes32(&vectors["secret"]));
    for vector in list(&vectors["fields"]) {
        let field: Field = text(&vector["field"]).parse().unwrap();
        assert_eq!(secret.key(&field).to_hex(), text(&vector["key"]), "{field}");
        let commitment = secret.commit(&field, text(&vector["value"]).as_bytes());
        assert_eq!(commitment, of::<Hash>(&vector["commitment"]), "{field}");
    }
    let committed = |name: &str| -> Hash {
        let of_name = |vector: &&Value| text(&vector["field"]) == name;
        of(&list(&vectors["fields"]).iter().find(of_name).unwrap()["commitment"])
    };
    for (index, vector) in (0..).zip(list(&vectors["verdicts"])) {
        let verdict: Verdict = of(&vector["verdict"]);
        assert_eq!(jcs::to_string(&verdict).unwrap(), text(&vector["canonical"]));
        assert_eq!(secret.commit_verdict(index, &verdict).unwrap(), committed(&format!("verdict/{index}")));
    }
    let edits: Vec<Edit> = of(&vectors["edits"]["edits"]);
    assert_eq!(jcs::to_string(&edits).unwrap(), text(&vectors["edits"]["canonical"]));
    assert_eq!(secret.commit_edits(&edits).unwrap(), committed("edits"));
    let edited = apply_edits(text(&vectors["edits"]["text"]), &edits).unwrap();
    assert_eq!(edited, text(&vectors["edits"]["edited"]));
}

#[test]
fn subjects() {
    let vectors = parsed(include_str!("../../../../docs/vectors/commitments.json"));
    let secret = RecordSecret::from_bytes(bytes32(&vectors["secret"]));
    for vector in list(&vectors["subjects"]) {
        let subject: Subject = of(&vector["subject"]);
        let attachments: Vec<Attachment> = of(&vector["attachments"]);
        let (commitment, form) = secret.commit_subject_with(&subject, &attachments).unwrap();
        assert_eq!(form, text(&vector["form"]));
        assert_eq!(commitment, of::<Hash>(&vector["commitment"]));
        if attachments.is_empty() {
            assert_eq!(secret.commit_subject(&subject).unwrap(), (commitment, form));
        }
    }
}

#[test]
fn tree() {
    let vectors = parsed(include_str!("../../../../docs/vectors/tree.json"));
    let all = leaves(1000);
    let tree = MemoryTiles::of(&all);
    let root = |size: u64| MemoryTiles::of(&all[..usize::try_from(size).unwrap()]).edge.root();
    for vector in list(&vectors["roots"]) {
        assert_eq!(root(of(&vector["size"])), of::<Hash>(&vector["root"]));
    }
    for vector in list(&vectors["inclusion"]) {
        let (index, size): (u64, u64) = (of(&vector["index"]), of(&vector["size"]));
        let path: Vec<Hash> = of(&vector["path"]);
        assert_eq!(inclusion_proof(&tree, index, size).unwrap(), path);
        verify_inclusion(&all[usize::try_from(index).unwrap()], index, size, &path, &root(size)).unwrap();
    }
    for vector in list(&vectors["consistency"]) {
        let (from, to): (u64, u64) = (of(&vector["from"]), of(&vector["to"]));
        let proof: Vec<Hash> = of(&vector["proof"]);
        assert_eq!(consistency_proof(&tree, from, to).unwrap(), proof);
        verify_consistency(from, to, &root(from), &root(to), &proof).unwrap();
    }
    for vector in list(&vectors["tiles"]) {
        let path = TilePath::parse(text(&vector["path"])).unwrap();
        let TilePath::Hashes { level, index, width } = path else { panic!("{path}") };
        let tile = tree.read_tile(TileId { level, index }, width).unwrap();
        let bytes: Vec<u8> = tile.iter().take(width.into()).flat_map(|hash| hash.0).collect();
        assert_eq!(Hash::of(&bytes), of::<Hash>(&vector["sha256"]), "{path}");
    }
    let entries: Vec<String> = of(&vectors["bundle"]["entries"]);
    let bundle = encode_bundle(entries.iter().map(String::as_bytes)).unwrap();
    assert_eq!(hex::encode(&bundle), text(&vectors["bundle"]["bytes"]));
    assert_eq!(decode_bundle(&bundle).unwrap(), entries.iter().map(String::as_bytes).collect::<Vec<_>>());
}

#[test]
fn checkpoint() {
    let vector = parsed(include_str!("../../../../docs/vectors/checkpoint.json"));
    let origin = Origin::parse(text(&vector["origin"])).unwrap();
    let key = SigningKey::from_seed(bytes32(&vector["seed"]), origin.clone());
    let checkpoint = Checkpoint { origin, size: of(&vector["size"]), root: of(&vector["root"]) };
    let note = text(&vector["note"]);
    assert_eq!(key.verifier_key().to_string(), text(&vector["vkey"]));
    assert_eq!(checkpoint.body(), text(&vector["body"]));
    assert_eq!(key.sign(&checkpoint), note);

    let vkey = VerifierKey::parse(text(&vector["vkey"])).unwrap();
    let witness = VerifierKey::parse_witness(text(&vector["witness"])).unwrap();
    let cosigned = text(&vector["cosigned"]);
    for signed in [note, cosigned] {
        assert_eq!(Checkpoint::verify(signed, &vkey).unwrap(), checkpoint);
    }
    assert_eq!(Checkpoint::cosigned(cosigned, &witness).unwrap(), 1_767_225_600);
    assert!(Checkpoint::cosigned(note, &witness).is_err());
    assert!(Checkpoint::cosigned(cosigned, &vkey).is_err(), "a log's signature is no cosignature");
    assert!(Checkpoint::verify(cosigned, &witness).is_err(), "a cosignature is no log's signature");
    assert_ne!(vkey.fingerprint(), witness.fingerprint());
}

#[test]
fn proof() {
    let vector = parsed(include_str!("../../../../docs/vectors/proof.json"));
    let answer: ProofAnswer = of(&vector["answer"]);
    assert_eq!(serde_json::to_value(&answer).unwrap(), vector["answer"], "the API's shape");
    let given = answer.proof.clone().unwrap();
    let entry = Entry::parse(given.entry.as_bytes()).unwrap();
    let path = given.inclusion_path.clone();
    let made = Proof::new(&entry, &given.record, given.nonce, given.leaf_index, path, &given.checkpoint, false);
    assert_eq!(made.unwrap(), given);

    let tlog_proof = text(&vector["tlog_proof"]);
    assert_eq!(given.tlog_proof, tlog_proof);
    assert_eq!(TlogProof::parse(tlog_proof).unwrap().to_string(), tlog_proof);

    let key = VerifierKey::parse(text(&vector["vkey"])).unwrap();
    let keys = std::slice::from_ref(&key);
    let whole = verify(&vector["answer"].to_string(), keys).unwrap();
    let named: Vec<String> = whole.openings_checked.iter().map(ToString::to_string).collect();
    let expected: Vec<String> = of(&vector["openings_checked"]);
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(named), sorted(expected));
    assert_eq!(whole.signer, Signer::Known(text(&vector["vkey"]).split('+').next().unwrap().to_owned()));
    assert_eq!((whole.leaf_index, whole.tree_size), (259, 300));
    assert_eq!(whole.entry, entry);
    assert_eq!(whole.record.as_ref().unwrap(), &Record::parse(&given.record).unwrap());

    let short = verify(tlog_proof, keys).unwrap();
    assert_eq!(short.record, whole.record);
    assert!(short.openings_checked.is_empty());
    let public = verify(&vector["public_answer"].to_string(), keys).unwrap();
    assert_eq!((public.entry, public.record), (entry, None));
    assert_eq!(verify(tlog_proof, &[]).unwrap().signer, Signer::Unknown);

    let opening: Opening = of(&vector["answer"]["opening"]);
    assert_eq!(serde_json::to_value(&opening).unwrap(), vector["answer"]["opening"]);
}

#[test]
fn refused() {
    let vectors = parsed(include_str!("../../../../docs/vectors/refused.json"));
    let vkey =
        VerifierKey::parse(text(&parsed(include_str!("../../../../docs/vectors/checkpoint.json"))["vkey"])).unwrap();
    let keys = std::slice::from_ref(&vkey);
    let refuses = |kind: &str, refuse: &dyn Fn(&str) -> bool| {
        for case in list(&vectors[kind]) {
            assert!(refuse(text(case)), "{kind} took {case}");
        }
    };
    refuses("entries", &|text| Entry::parse(text.as_bytes()).is_err());
    refuses("records", &|text| Record::parse(text).is_err());
    refuses("vkeys", &|text| VerifierKey::parse(text).is_err());
    refuses("checkpoints", &|text| Checkpoint::verify(text, &vkey).is_err());
    refuses("tlog_proofs", &|text| verify(text, keys).is_err());
    refuses("tile_paths", &|text| TilePath::parse(text).is_err());
}
