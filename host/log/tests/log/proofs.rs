//! Making proofs, and refusing everything that is not one.

use gavel_log::{
    Checkpoint, Entry, Field, Hash, Opened, Opening, Proof, ProofAnswer, ProofError, Signer, SigningKey, TlogProof,
    VerifyFailure, verify,
};
use proptest::prelude::*;

use crate::sample::{CONTENT, NONCE, VALID, check, edits, opening, sample_record, secret, signing_key, subject};

#[test]
fn a_whole_proof_holds() {
    let valid = &*VALID;
    assert_eq!(valid.by_json.signer, Signer::Known("gavel.localhost/test".to_owned()));
    assert_eq!(valid.by_json.openings_checked.len(), 6);
    assert_eq!(valid.by_json.record, Some(sample_record()));
    assert_eq!(valid.by_text.record, Some(sample_record()));
    assert_eq!((valid.by_text.leaf_index, valid.by_text.tree_size), (700, 777));
    assert_eq!(check(&format!("\n {}", valid.json)).unwrap(), valid.by_json);
}

#[test]
fn without_a_key_the_signer_is_unknown_and_with_another_it_fails() {
    let unknown = verify(&VALID.tlog_proof, &[]).unwrap();
    assert_eq!(unknown.signer, Signer::Unknown);
    let other = SigningKey::from_seed([8; 32], signing_key().origin().clone()).verifier_key().clone();
    let failure = verify(&VALID.tlog_proof, std::slice::from_ref(&other)).unwrap_err();
    assert!(failure.to_string().contains("no signature of gavel.localhost/test"), "{failure}");
    let both = [other, signing_key().verifier_key().clone()];
    assert_eq!(verify(&VALID.tlog_proof, &both).unwrap(), VALID.by_text);
}

/// A note that one key has signed well and another badly is no good note.
#[test]
fn a_wrong_signature_of_any_known_key_refuses_the_note() {
    let key = signing_key();
    let rotated = SigningKey::from_seed([8; 32], key.origin().clone());
    let proof = VALID.answer.proof.as_ref().unwrap();
    let checkpoint = Checkpoint::parse_unverified(&proof.checkpoint).unwrap();
    let signature = |checkpoint: &Checkpoint| {
        let note = rotated.sign(checkpoint);
        note.rsplit_once("\n\n").unwrap().1.to_owned()
    };
    let other = Checkpoint { size: checkpoint.size + 1, ..checkpoint.clone() };
    let well = format!("{}{}", VALID.tlog_proof, signature(&checkpoint));
    let badly = format!("{}{}", VALID.tlog_proof, signature(&other));
    for keys in [[&key, &rotated], [&rotated, &key]] {
        let keys = keys.map(|key| key.verifier_key().clone());
        assert!(verify(&well, &keys).is_ok());
        let failure = verify(&badly, &keys).unwrap_err().to_string();
        assert!(failure.contains("signature of gavel.localhost/test"), "{failure}");
    }
    assert_eq!(check(&badly).unwrap(), VALID.by_text, "a key that is not known is ignored");
}

#[test]
fn parts_that_do_not_belong_together_make_no_proof() {
    let given = VALID.answer.proof.clone().unwrap();
    let entry = Entry::parse(given.entry.as_bytes()).unwrap();
    let make = |nonce, index, path: &[Hash]| {
        Proof::new(&entry, &given.record, nonce, index, path.to_vec(), &given.checkpoint, true)
    };
    assert!(make(NONCE, 700, &given.inclusion_path).is_ok());
    assert!(matches!(make([0; 32], 700, &given.inclusion_path), Err(ProofError::OtherRecord)));
    assert!(matches!(make(NONCE, 701, &given.inclusion_path), Err(ProofError::Inclusion(_))));
    assert!(matches!(make(NONCE, 700, &[]), Err(ProofError::Inclusion(_))));
}

/// Changes one thing of the answer and gives the refusal's words.
fn refusal(change: impl FnOnce(&mut ProofAnswer)) -> String {
    let mut answer = VALID.answer.clone();
    change(&mut answer);
    check(&serde_json::to_string(&answer).unwrap()).unwrap_err().to_string()
}

fn proof_refusal(change: impl FnOnce(&mut Proof)) -> String {
    refusal(|answer| change(answer.proof.as_mut().unwrap()))
}

#[test]
fn each_fault_is_named() {
    let says = |refusal: String, words: &str| {
        assert!(refusal.contains(words), "{refusal:?} without {words:?}");
    };
    says(refusal(|a| a.hash = Hash::ZERO), "the entry's leaf hash is");
    says(refusal(|a| a.agent_id.push('x')), "the record is of agent");
    says(
        refusal(|a| {
            a.proof = None;
            a.proof_error = Some("not yet".to_owned());
        }),
        "the answer holds no proof: not yet",
    );
    says(proof_refusal(|p| p.leaf_index += 1), "another root");
    says(proof_refusal(|p| p.leaf_index = 777), "not in a tree");
    says(proof_refusal(|p| p.inclusion_path.truncate(1)), "path's length");
    says(proof_refusal(|p| p.tree_size += 1), "the proof is for 778 leaves");
    says(proof_refusal(|p| p.root_hash = Hash::ZERO), "root is not its checkpoint's");
    says(proof_refusal(|p| p.entry.push(' ')), "the entry: ");
    says(proof_refusal(|p| p.record.push(' ')), "the record: ");
    says(proof_refusal(|p| p.nonce = [0; 32]), "not what the entry commits to");
    says(proof_refusal(|p| p.record = p.record.replace("phone", "email")), "not what the entry commits to");
    says(proof_refusal(|p| p.tlog_proof.push('\n')), "tlog_proof does not agree");
    says(proof_refusal(|p| p.checkpoint = p.checkpoint.replace("\n777\n", "\n778\n")), "signature of");
    says(proof_refusal(|p| p.checkpoint.clear()), "not a signed note");
    says(check("").unwrap_err().to_string(), "not a tlog-proof");
    says(check("{}").unwrap_err().to_string(), "not a proof");
    let no_extra = VALID
        .tlog_proof
        .lines()
        .filter(|line| !line.starts_with("extra "))
        .fold(String::new(), |text, line| text + line + "\n");
    says(check(&no_extra).unwrap_err().to_string(), "no extra data");
}

#[test]
fn the_extra_data_has_one_spelling() {
    let given = TlogProof::parse(&VALID.tlog_proof).unwrap();
    let text = String::from_utf8(given.extra.clone().unwrap()).unwrap();
    for (from, to) in [
        ("{\"entry\":", "{ \"entry\":"),
        ("\"entry\":", "\"entry\": "),
        ("\"entry\":", "\"more\":0,\"entry\":"),
        ("\"seq\":9", "\"seq\": 9"),
        ("\"more\":0", "\"more\":0 "),
        ("\"nonce\":\"03", "\"nonce\":\"\\u0030\u{33}"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        let proof = TlogProof { extra: Some(changed.into_bytes()), ..given.clone() };
        let failure = check(&proof.to_string()).unwrap_err();
        let named = matches!(failure, VerifyFailure::Extra(_));
        assert!(named, "{from} as {to}: {failure}");
    }
}

fn opening_refusal(change: impl FnOnce(&mut Opening)) -> String {
    refusal(|answer| change(answer.opening.as_mut().unwrap()))
}

#[test]
fn each_fault_of_an_opening_is_named() {
    let says = |refusal: String, words: &str| {
        assert!(refusal.contains(words), "{refusal:?} without {words:?}");
    };
    for field in opening().0.into_keys() {
        says(opening_refusal(|o| o.0.get_mut(&field).unwrap().text.push('x')), &format!("the opened {field} is not"));
        let other = secret().key(&Field::Attachment(9));
        says(opening_refusal(|o| o.0.get_mut(&field).unwrap().key = other), &format!("the opened {field} is not"));
    }
    let stray = |field: Field| {
        opening_refusal(|o| {
            o.0.insert(field, Opened { text: String::new(), key: secret().key(&field) });
        })
    };
    says(stray(Field::Verdict(1)), "nothing commits to the opened field verdict/1");
    says(stray(Field::History { message: 0, part: 1 }), "nothing commits");
    says(stray(Field::Attachment(0)), "nothing commits");
    says(opening_refusal(|o| drop(o.0.remove(&Field::Subject))), "nothing commits to the opened field history/0/0");
}

/// A record may commit to texts that do not fit together: only the opening shows it.
#[test]
fn released_follows_from_content_and_edits() {
    let secret = secret();
    let opened = |field: Field, text: &str| (field, Opened { text: text.to_owned(), key: secret.key(&field) });
    let edits = gavel_log::jcs::to_string(&edits()).unwrap();
    let mut record = sample_record();
    let lie = "Call 911";
    record.released = Some(secret.commit(&Field::Released, lie.as_bytes()));
    let told = [opened(Field::Content, CONTENT), opened(Field::Edits, &edits), opened(Field::Released, lie)];
    let failure = Opening(told.into_iter().collect()).check(&record).unwrap_err().to_string();
    assert!(failure.contains("do not fit together"), "{failure}");

    let mut cut = sample_record();
    cut.coverage.released = Some(5);
    cut.edits = None;
    cut.released = Some(secret.commit(&Field::Released, b"Call "));
    let told = [opened(Field::Content, CONTENT), opened(Field::Released, "Call ")];
    assert_eq!(Opening(told.into_iter().collect()).check(&cut).unwrap(), [Field::Content, Field::Released]);

    let mut other = sample_record();
    other.content = Some(Hash::ZERO);
    let form = secret.commit_subject(&subject()).unwrap().1;
    let failure = Opening([opened(Field::Subject, &form)].into_iter().collect()).check(&other).unwrap_err().to_string();
    assert!(failure.contains("another text"), "{failure}");
}

#[test]
fn a_field_opened_twice_is_refused() {
    let twice = r#"{"content":{"text":"a","key":"K"},"content":{"text":"b","key":"K"}}"#.replace('K', &"0".repeat(64));
    let error = serde_json::from_str::<Opening>(&twice).unwrap_err().to_string();
    assert!(error.contains("opened twice"), "{error}");
}

/// The text with the character at an index replaced, removed or doubled.
fn mutate(text: &str, at: prop::sample::Index, kind: u8, with: char) -> String {
    let (offset, old) = text.char_indices().nth(at.index(text.chars().count())).unwrap();
    let (before, after) = (&text[..offset], &text[offset + old.len_utf8()..]);
    match kind {
        0 => format!("{before}{with}{after}"),
        1 => format!("{before}{after}"),
        2 => format!("{before}{old}{old}{after}"),
        _ => format!("{before}{with}{old}{after}"),
    }
}

fn any_char() -> impl Strategy<Value = char> {
    prop_oneof![proptest::char::range(' ', '~'), Just('\n'), any::<char>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_answer_is_refused_or_proves_the_same(at: prop::sample::Index, kind in 0_u8..4, with in any_char()) {
        if let Ok(verified) = check(&mutate(&VALID.json, at, kind, with)) {
            prop_assert_eq!(&verified, &VALID.by_json);
        }
    }

    #[test]
    fn a_changed_tlog_proof_is_refused_or_the_same(at: prop::sample::Index, kind in 0_u8..4, with in any_char()) {
        let changed = mutate(&VALID.tlog_proof, at, kind, with);
        match check(&changed) {
            Ok(verified) => prop_assert!(changed == VALID.tlog_proof && verified == VALID.by_text, "{}", changed),
            Err(failure) => prop_assert!(!failure.to_string().is_empty()),
        }
    }

    #[test]
    fn no_other_text_proves_anything(text in ".{0,300}", json in "[{\"a-z0-9:,\\[\\]}]{0,200}") {
        prop_assert!(check(&text).is_err());
        prop_assert!(check(&json).is_err());
        prop_assert!(verify(&json, &[]).is_err());
        let headed = format!("c2sp.org/tlog-proof@v1\n{text}\n\n{json}");
        prop_assert!(check(&headed).is_err());
    }
}
