use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use proptest::prelude::*;
use serde_json::json;

use super::*;

// Made with OpenSSL 3.0:
//
//     printf 'a plugin\n' > plugin.wasm
//     openssl genpkey -algorithm ed25519 -out ed.pem
//     openssl pkey -in ed.pem -pubout
//     openssl pkeyutl -sign -rawin -inkey ed.pem -in plugin.wasm -out ed.sig && base64 -w0 ed.sig
//     openssl ecparam -name prime256v1 -genkey -noout -out ec.pem
//     openssl pkey -in ec.pem -pubout
//     openssl dgst -sha256 -sign ec.pem -out ec.sig plugin.wasm && base64 -w0 ec.sig
//     openssl pkey -pubin -in ed.pub -outform DER | sha256sum
//
// The second signature is what `cosign sign-blob --key` makes of the same key.
const PLUGIN: &[u8] = b"a plugin\n";
const ED_KEY: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAFtu2m/dk/yRHjwy83gSCODyu8reedovmXoJOlP8jST4=
-----END PUBLIC KEY-----
";
const ED_ID: &str = "0710db2fe68df2b6";
const ED_SIGNATURE: &str = "fhW2Vcdwvu6zwT8or1tCS3wVyrtTG3RPV1Q4MEKR5rNAmnMsgDAf44PXazG0l+krtjro6L1NBihzp10MIqAACg==";
const EC_KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAETr6FygSAlFOZY9ujezt53JQNt8SN
42u5S8Ehbze/nMnAV6kTf2JOXy+YY6RXmELbWrDWt/VOdF4AH4f4uCz/XQ==
-----END PUBLIC KEY-----
";
const EC_ID: &str = "45beebfc7c740358";
const EC_SIGNATURE: &str =
    "MEQCIHmbHKQUDE+uNAB8hqploT7NpoIYvszm6XciyzbQdKusAiAceOqCiQwIgpz6ImIACY4b5cXu7l9AuzEJQIuu2iRfPw==";
/// `openssl ecparam -name secp384r1 -genkey -noout | openssl pkey -pubout`
const P384_KEY: &str = "-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAErd9rwpZ2j7OShM5CINc+52lP4Iy8xF4e
z2G0+mmsLlXfgc84eo3uaIIOLbymnAVa+sYkZfmJ3Ev1ccLqC9LGJTUc6TGVGNDL
hRXy/bnsEEZDVkdH+NlMXOBcQGfHUkqn
-----END PUBLIC KEY-----
";

fn trust(required: bool, keys: &[&str]) -> Trust {
    let keys = keys.iter().map(|&key| key.to_owned()).collect();
    Trust::open(&TrustConfig { required, keys, key_files: Vec::new() }).unwrap()
}

fn detached(signature: &str) -> Evidence {
    Evidence::Detached(signature.as_bytes().to_vec())
}

/// A key's public half as PEM, from its `SubjectPublicKeyInfo`.
fn pem_of(prefix: &str, public: &[u8]) -> String {
    let der = [hex::decode(prefix).unwrap(), public.to_vec()].concat();
    pem::encode(&pem::Pem::new(PUBLIC_KEY, der))
}

fn ed25519() -> (Ed25519KeyPair, String) {
    let pair = Ed25519KeyPair::generate().unwrap();
    let public = pem_of("302a300506032b6570032100", pair.public_key().as_ref());
    (pair, public)
}

fn p256() -> (EcdsaKeyPair, String) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let public = pem_of("3059301306072a8648ce3d020106082a8648ce3d030107034200", pair.public_key().as_ref());
    (pair, public)
}

fn p256_signs(pair: &EcdsaKeyPair, message: &[u8]) -> Vec<u8> {
    pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
}

/// What cosign signs.
fn payload(manifest: &str) -> Vec<u8> {
    let image = json!({"docker-manifest-digest": manifest});
    let identity = json!({"docker-reference": "registry.example.org/team/policy"});
    json!({"critical": {"identity": identity, "image": image, "type": "cosign container image signature"},
           "optional": null})
    .to_string()
    .into_bytes()
}

fn cosigned(pair: &EcdsaKeyPair, payload: Vec<u8>) -> SignedPayload {
    let signature = STANDARD.encode(p256_signs(pair, &payload));
    SignedPayload { payload, signature }
}

#[test]
fn what_openssl_signs_is_accepted_as_base64_and_as_it_is() {
    let trust = trust(true, &[EC_KEY, ED_KEY]);
    for (signature, id) in [(ED_SIGNATURE, ED_ID), (EC_SIGNATURE, EC_ID)] {
        assert_eq!(trust.check(PLUGIN, &detached(signature)), Ok(Some(id.to_owned())));
        assert_eq!(trust.check(PLUGIN, &detached(&format!("{signature}\n"))), Ok(Some(id.to_owned())));
        let raw = STANDARD.decode(signature).unwrap();
        assert_eq!(trust.check(PLUGIN, &Evidence::Detached(raw)), Ok(Some(id.to_owned())));
        assert_eq!(trust.check(b"another plugin\n", &detached(signature)), Err(SignatureError::Untrusted));
    }
}

#[test]
fn nothing_is_accepted_by_a_key_that_nobody_trusts() {
    assert_eq!(trust(true, &[EC_KEY]).check(PLUGIN, &detached(ED_SIGNATURE)), Err(SignatureError::Untrusted));
    let (_, other) = p256();
    assert_eq!(trust(false, &[&other]).check(PLUGIN, &detached(EC_SIGNATURE)), Err(SignatureError::Untrusted));
    assert_eq!(trust(false, &[]).check(PLUGIN, &detached(EC_SIGNATURE)), Err(SignatureError::NoKeys));
}

#[test]
fn an_unsigned_plugin_is_accepted_where_no_signature_is_required() {
    let unsigned = || Evidence::Registry { manifest: Hash::of(PLUGIN), signatures: Vec::new() };
    for evidence in [Evidence::None, unsigned()] {
        assert_eq!(trust(false, &[ED_KEY]).check(PLUGIN, &evidence), Ok(None));
        assert_eq!(trust(true, &[ED_KEY]).check(PLUGIN, &evidence), Err(SignatureError::Unsigned));
    }
}

#[test]
fn what_was_accepted_before_is_accepted_while_its_key_is_trusted() {
    let strict = trust(true, &[ED_KEY]);
    assert_eq!(strict.still_accepts(Some(ED_ID)), Ok(()));
    assert_eq!(strict.still_accepts(Some(EC_ID)), Err(SignatureError::Untrusted));
    assert_eq!(strict.still_accepts(None), Err(SignatureError::Unsigned));
    assert_eq!(trust(false, &[ED_KEY]).still_accepts(None), Ok(()));
}

#[test]
fn a_signature_in_a_registry_counts_for_the_manifest_that_it_names() {
    let (pair, public) = p256();
    let (stranger, _) = p256();
    let (pulled, other) = (Hash::of(b"manifest"), Hash::of(b"another"));
    let check = |signatures| {
        let evidence = Evidence::Registry { manifest: pulled, signatures };
        trust(true, &[&public]).check(PLUGIN, &evidence).map(|signer| signer.is_some())
    };
    let good = || cosigned(&pair, payload(&pulled.tagged()));
    assert_eq!(check(vec![good()]), Ok(true));
    assert_eq!(check(vec![cosigned(&stranger, payload(&pulled.tagged())), good()]), Ok(true));
    assert_eq!(check(vec![cosigned(&stranger, payload(&pulled.tagged()))]), Err(SignatureError::Untrusted));
    assert_eq!(check(vec![cosigned(&pair, payload(&other.tagged()))]), Err(SignatureError::AnotherManifest));
    assert_eq!(check(vec![cosigned(&pair, b"no JSON".to_vec())]), Err(SignatureError::AnotherManifest));
    let changed = SignedPayload { payload: payload(&pulled.tagged()), ..cosigned(&pair, payload(&other.tagged())) };
    assert_eq!(check(vec![changed]), Err(SignatureError::Untrusted));
}

#[test]
fn keys_are_public_ones_of_two_kinds() {
    let opens = |text: &str| {
        let config = TrustConfig { keys: vec![text.to_owned()], ..TrustConfig::default() };
        Trust::open(&config).map(|trust| trust.keys.len()).map_err(|error| error.to_string())
    };
    assert_eq!(opens(&format!("{ED_KEY}{EC_KEY}")), Ok(2));
    assert!(opens("no key").unwrap_err().contains("plugins.trust.keys[0]"));
    assert!(opens(P384_KEY).unwrap_err().contains("neither Ed25519 nor ECDSA over P-256"));
    let private = pem::encode(&pem::Pem::new("PRIVATE KEY", b"secret".to_vec()));
    assert!(opens(&private).unwrap_err().contains("found \"PRIVATE KEY\""));
    let raw = pem::encode(&pem::Pem::new(PUBLIC_KEY, vec![7; 32]));
    assert!(opens(&raw).is_err(), "a raw key does not say of what algorithm it is");

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.pem");
    std::fs::write(&path, format!("{EC_KEY}{ED_KEY}")).unwrap();
    let config = TrustConfig { key_files: vec![path, directory.path().join("none")], ..TrustConfig::default() };
    assert!(Trust::open(&config).err().unwrap().to_string().contains("none"));
}

proptest! {
    #[test]
    fn no_signature_but_the_right_one_is_good(message: Vec<u8>, at: prop::sample::Index, bit in 0..8_u8) {
        let (ed, ed_public) = ed25519();
        let (ec, ec_public) = p256();
        let trust = trust(true, &[&ed_public, &ec_public]);
        for mut signature in [ed.sign(&message).as_ref().to_vec(), p256_signs(&ec, &message)] {
            let good = trust.check(&message, &Evidence::Detached(signature.clone()));
            prop_assert!(matches!(good, Ok(Some(_))));
            let place = at.index(signature.len());
            signature[place] ^= 1 << bit;
            prop_assert!(trust.check(&message, &Evidence::Detached(signature)).is_err());
        }
    }

    #[test]
    fn no_evidence_makes_it_panic(bytes: Vec<u8>, signature: Vec<u8>) {
        let evidence = Evidence::Detached(signature);
        prop_assert!(trust(false, &[ED_KEY, EC_KEY]).check(&bytes, &evidence).is_err());
    }
}
