//! The formats' bounds, and that each is read strictly.

use std::str::FromStr as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gavel_log::judged::{Edit, Span};
use gavel_log::{
    BundleError, Chain, Checkpoint, CheckpointError, EditError, Entry, Field, FieldKey, Hash, Origin, Record,
    RecordSecret, SigningKey, TilePath, TlogProof, VerifierKey, apply_edits, decode_bundle, encode_bundle,
};
use proptest::prelude::*;

#[test]
fn a_hash_has_one_spelling() {
    let hash = Hash::of(b"x");
    assert_eq!(Hash::from_str(&hash.to_string()), Ok(hash));
    assert_eq!(Hash::parse_tagged(&hash.tagged()), Ok(hash));
    assert_eq!(serde_json::from_str::<Hash>(&serde_json::to_string(&hash).unwrap()).unwrap(), hash);
    let text = hash.to_string();
    for wrong in [text.to_uppercase(), text[1..].to_owned(), format!("{text}0"), format!(" {text}"), String::new()] {
        assert!(Hash::from_str(&wrong).is_err(), "{wrong}");
        assert!(Hash::parse_tagged(&format!("sha256:{wrong}")).is_err(), "{wrong}");
    }
    assert!(Hash::parse_tagged(&text).is_err());
    assert!(Hash::parse_tagged(&format!("SHA256:{text}")).is_err());
}

#[test]
fn secrets_do_not_show() {
    let secret = RecordSecret::from_bytes([0xab; 32]);
    let key = secret.key(&Field::Content);
    let signing = SigningKey::from_seed([0xcd; 32], Origin::parse("a").unwrap());
    assert_eq!(format!("{secret:?} {key:?}"), "RecordSecret(…) FieldKey(…)");
    assert!(!format!("{signing:?}").to_lowercase().contains("cdcd"));
    assert_eq!(FieldKey::from_hex(&key.to_hex()).unwrap(), key);
    assert!(FieldKey::from_hex(&key.to_hex().to_uppercase()).is_err());
}

#[test]
fn each_field_has_a_key_of_its_own_and_one_name() {
    let fields = [
        Field::Subject,
        Field::Content,
        Field::Released,
        Field::Edits,
        Field::Verdict(0),
        Field::Verdict(1),
        Field::History { message: 0, part: 1 },
        Field::History { message: 1, part: 0 },
        Field::Attachment(0),
    ];
    let secret = RecordSecret::from_bytes([7; 32]);
    let mut keys: Vec<String> = fields.iter().map(|field| secret.key(field).to_hex()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), fields.len());
    for field in fields {
        assert_eq!(field.to_string().parse::<Field>(), Ok(field));
    }
    for wrong in
        ["", "Content", "verdict", "verdict/", "verdict/00", "verdict/+1", "history/0", "edits/0", "verdict/4294967296"]
    {
        assert!(wrong.parse::<Field>().is_err(), "{wrong}");
    }
}

fn edit(start: u32, end: u32, replacement: &str) -> Edit {
    Edit { span: Span { start, end }, replacement: replacement.to_owned() }
}

#[test]
fn edits_are_sorted_disjoint_and_on_boundaries() {
    let apply = |edits: &[Edit]| apply_edits("naïve 😀!", edits);
    assert_eq!(apply(&[]).unwrap(), "naïve 😀!");
    assert_eq!(apply(&[edit(0, 2, "NA"), edit(2, 4, "i"), edit(7, 11, ":)")]).unwrap(), "NAive :)!");
    assert_eq!(apply(&[edit(0, 12, "x")]).unwrap(), "x");
    assert_eq!(apply(&[edit(3, 3, "x")]), Err(EditError::Empty(0)));
    assert_eq!(apply(&[edit(4, 2, "x")]), Err(EditError::Empty(0)));
    assert_eq!(apply(&[edit(0, 2, "x"), edit(1, 2, "y")]), Err(EditError::Order(1)));
    assert_eq!(apply(&[edit(4, 5, "x"), edit(0, 1, "y")]), Err(EditError::Order(1)));
    assert_eq!(apply(&[edit(3, 4, "x")]), Err(EditError::Boundary(0)));
    assert_eq!(apply(&[edit(2, 3, "x")]), Err(EditError::Boundary(0)));
    assert_eq!(apply(&[edit(11, 13, "x")]), Err(EditError::Boundary(0)));
    assert_eq!(apply(&[edit(13, 14, "x")]), Err(EditError::Boundary(0)));
}

#[test]
fn bundles_are_bounded() {
    let entry = [0_u8; 3];
    assert!(encode_bundle([]).unwrap().is_empty());
    assert!(encode_bundle(std::iter::repeat_n(entry.as_slice(), 256)).is_ok());
    assert_eq!(encode_bundle(std::iter::repeat_n(entry.as_slice(), 257)), Err(BundleError::Width));
    assert_eq!(encode_bundle([vec![0; 65_536].as_slice()]), Err(BundleError::Entry(65_536)));
    assert_eq!(decode_bundle(&[0]), Err(BundleError::Truncated));
    assert_eq!(decode_bundle(&[0, 2, 1]), Err(BundleError::Truncated));
    assert_eq!(decode_bundle(&[0; 2 * 257]), Err(BundleError::Width));
}

#[test]
fn tile_paths() {
    let hashes = |level, index, width| TilePath::Hashes { level, index, width };
    for (text, path) in [
        ("0/000", hashes(0, 0, 256)),
        ("63/999", hashes(63, 999, 256)),
        ("1/x001/000.p/1", hashes(1, 1000, 1)),
        ("0/x001/x234/067.p/255", hashes(0, 1_234_067, 255)),
        ("0/x018/x446/x744/x073/x709/x551/615", hashes(0, u64::MAX, 256)),
        ("entries/x001/234.p/5", TilePath::Entries { index: 1234, width: 5 }),
    ] {
        assert_eq!(TilePath::parse(text), Ok(path));
        assert_eq!(path.to_string(), text);
    }
    assert!(TilePath::parse("0/x018/x446/x744/x073/x709/x551/616").is_err(), "beyond 64 bits");
}

#[test]
fn origins() {
    for right in ["example.com/log", "gavel.localhost/0123456789abcdef", "ü"] {
        assert_eq!(Origin::parse(right).unwrap().as_str(), right);
    }
    for wrong in ["", "a b", "a+b", "a\nb", "a\u{a0}b", "a\u{7f}", "a\tb", &"x".repeat(256)] {
        assert!(Origin::parse(wrong).is_err(), "{wrong:?}");
    }
    assert!(serde_json::from_str::<Origin>("\"a b\"").is_err());
}

#[test]
fn foreign_signatures_are_ignored_and_repeated_ones_refused() {
    let origin = Origin::parse("a.example/log").unwrap();
    let key = SigningKey::from_seed([1; 32], origin.clone());
    let rotated = SigningKey::from_seed([2; 32], origin.clone());
    let checkpoint = Checkpoint { origin, size: 5, root: Hash::of(b"") };
    let (note, other) = (key.sign(&checkpoint), rotated.sign(&checkpoint));
    let line = other.rsplit_once("\n\n").unwrap().1;
    let both = format!("{note}{line}");
    let verify = |note: &str| Checkpoint::verify(note, key.verifier_key());
    assert_eq!(verify(&both).unwrap(), checkpoint);
    assert_eq!(Checkpoint::verify(&both, rotated.verifier_key()).unwrap(), checkpoint);
    assert!(matches!(verify(&other), Err(CheckpointError::Unsigned(_))));
    assert!(matches!(verify(&format!("{both}{line}")), Err(CheckpointError::DuplicateSignature(_))));
    let unknown = "\u{2014} another AAAABgECAw==\n";
    assert_eq!(verify(&format!("{note}{unknown}")).unwrap(), checkpoint);

    let stranger = SigningKey::from_seed([1; 32], Origin::parse("b.example").unwrap());
    let foreign = stranger.sign(&checkpoint);
    let refusal = Checkpoint::verify(&foreign, stranger.verifier_key());
    assert!(matches!(refusal, Err(CheckpointError::Origin { .. })), "a key signs for its own log only");
}

#[test]
fn a_checkpoint_s_text_has_one_spelling() {
    let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let takes = |text: &str| {
        let note = format!("{text}\n\u{2014} a.example AAAABgECAw==\n");
        Checkpoint::parse_unverified(&note).is_ok()
    };
    assert!(takes(&format!("a.example\n5\n{root}\n")));
    for wrong in [
        format!("a.example\n05\n{root}\n"),
        format!("a.example\n+5\n{root}\n"),
        format!("a.example\n5 \n{root}\n"),
        format!("a.example\n9007199254740992\n{root}\n"),
        format!("a example\n5\n{root}\n"),
        format!("\n5\n{root}\n"),
        format!("a.example\n5\n{root}\nextension\n"),
        format!("a.example\n5\n{root}\n\n"),
        format!("a.example\n5\n{}\n", root.replace("U=", "V=")),
        format!("a.example\n5\n{}\n", root.replace('=', "")),
        "a.example\n5\n".to_owned(),
        "a.example\n5\nAAAA\n".to_owned(),
    ] {
        assert!(!takes(&wrong), "{wrong:?}");
    }
}

/// A witness's key that has signed as a log does, not as a witness.
#[test]
fn a_witness_key_never_signs_for_a_log() {
    let origin = Origin::parse("a.example").unwrap();
    let body = Checkpoint { origin, size: 5, root: Hash::of(b"") }.body();
    let key = ed25519_dalek::SigningKey::from_bytes(&[6; 32]);
    let blob = [[4].as_slice(), key.verifying_key().as_bytes()].concat();
    let id = signed_note::key_id("a.example", &blob);
    let vkey = format!("a.example+{id:08x}+{}", STANDARD.encode(&blob));
    let witness = VerifierKey::parse_witness(&vkey).unwrap();
    assert!(VerifierKey::parse(&vkey).is_err());
    assert_eq!(witness.to_string(), vkey);

    let signature = ed25519_dalek::Signer::sign(&key, body.as_bytes()).to_bytes();
    let line = STANDARD.encode([id.to_be_bytes().as_slice(), &signature].concat());
    let note = format!("{body}\n\u{2014} a.example {line}\n");
    let (as_log, as_witness) = (Checkpoint::verify(&note, &witness), Checkpoint::cosigned(&note, &witness));
    assert!(matches!(as_log, Err(CheckpointError::Signature(_))), "{as_log:?}");
    assert!(matches!(as_witness, Err(CheckpointError::Signature(_))), "{as_witness:?}");
}

proptest! {
    #[test]
    fn an_entry_is_its_canonical_json(chain: [u8; 16], seq in 1..=gavel_log::MAX_INTEGER, prev: [u8; 32], record: [u8; 32]) {
        prop_assume!(prev != [0; 32]);
        let entry = Entry { chain: Chain(chain), seq, prev: Hash(prev), record: Hash(record) };
        let bytes = entry.to_bytes();
        let canonical = entry.to_canonical().unwrap();
        prop_assert_eq!(canonical.as_bytes(), &bytes);
        prop_assert_eq!(Entry::parse(&bytes).unwrap(), entry);
    }

    #[test]
    fn a_tile_path_is_read_as_written(level in 0_u8..64, index: u64, width in 1_u16..=256) {
        for path in [TilePath::Hashes { level, index, width }, TilePath::Entries { index, width }] {
            prop_assert_eq!(TilePath::parse(&path.to_string()), Ok(path));
        }
    }

    #[test]
    fn a_bundle_is_read_as_written(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20)) {
        let bundle = encode_bundle(entries.iter().map(Vec::as_slice)).unwrap();
        let read = decode_bundle(&bundle).unwrap();
        prop_assert_eq!(read, entries.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }

    #[test]
    fn no_text_is_taken_or_panics(text in ".{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_bundle(&bytes);
        prop_assert!(Entry::parse(&bytes).is_err());
        prop_assert!(Record::parse(&text).is_err());
        prop_assert!(VerifierKey::parse(&text).is_err());
        prop_assert!(Checkpoint::parse_unverified(&text).is_err());
        prop_assert!(TlogProof::parse(&text).is_err());
        if let Ok(path) = TilePath::parse(&text) {
            prop_assert_eq!(path.to_string(), text);
        }
    }
}
