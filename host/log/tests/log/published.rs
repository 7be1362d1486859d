//! Vectors that others have published: RFC 8785, RFC 5869, RFC 6962's reference implementation.

use gavel_log::{
    Hash, MAX_INTEGER, RecordSecret, consistency_proof, inclusion_proof, jcs, verify_consistency, verify_inclusion,
};
use hkdf::Hkdf;

use serde_json::{Value, json};
use sha2::Sha256;

use crate::memory::MemoryTiles;

fn hash(hex: &str) -> Hash {
    hex.parse().unwrap()
}

fn hashes(hex: &[&str]) -> Vec<Hash> {
    hex.iter().map(|hex| hash(hex)).collect()
}

/// RFC 8785 §3.2.2 and §3.2.3.
#[test]
fn rfc_8785_examples() {
    let value: Value = serde_json::from_str(
        r#"{
          "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
          "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
          "literals": [null, true, false]
        }"#,
    )
    .unwrap();
    let expected = "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
                    \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
    assert_eq!(jcs::to_string(&value).unwrap(), expected);

    let sorted: Value = serde_json::from_str(
        r#"{
          "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
          "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"
        }"#,
    )
    .unwrap();
    let expected = "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\
                    \"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\
                    \"😀\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}";
    assert_eq!(jcs::to_string(&sorted).unwrap(), expected);
}

/// RFC 8785 appendix B, without the rows that are no JSON number.
#[test]
fn rfc_8785_numbers() {
    let rows: [(u64, &str); 24] = [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ];
    for (bits, text) in rows {
        assert_eq!(jcs::to_string(&f64::from_bits(bits)).unwrap(), text, "{bits:016x}");
    }
}

#[test]
fn integers_that_would_be_rounded_are_refused() {
    assert_eq!(jcs::to_string(&MAX_INTEGER).unwrap(), "9007199254740991");
    assert_eq!(jcs::to_string(&-9_007_199_254_740_991_i64).unwrap(), "-9007199254740991");
    assert!(jcs::to_string(&(MAX_INTEGER + 1)).is_err());
    assert!(jcs::to_string(&json!({"deep": [{"n": u64::MAX}]})).is_err());
    assert!(jcs::to_string(&i64::MIN).is_err());
}

/// RFC 5869 A.3 (SHA-256, no salt, no info), by the crate that derives our keys; and that we use it without salt.
#[test]
fn rfc_5869_case_3() {
    let mut okm = [0; 42];
    Hkdf::<Sha256>::new(None, &[0x0b; 22]).expand(&[], &mut okm).unwrap();
    let expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8";
    assert_eq!(hex::encode(okm), expected);

    let mut key = [0; 32];
    Hkdf::<Sha256>::new(Some(&[0; 32]), &[7; 32]).expand(b"content", &mut key).unwrap();
    let field = "content".parse().unwrap();
    assert_eq!(RecordSecret::from_bytes([7; 32]).key(&field).to_hex(), hex::encode(key));
}

/// The eight leaves that every implementation of Certificate Transparency is tested with.
fn reference_leaves() -> Vec<Hash> {
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
        .iter()
        .map(|hex| Hash::leaf(&hex::decode(hex).unwrap()))
        .collect()
}

const REFERENCE_ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

#[test]
fn certificate_transparency_roots() {
    let leaves = reference_leaves();
    for (size, root) in REFERENCE_ROOTS.iter().enumerate() {
        let mut tree = MemoryTiles::default();
        assert_eq!(tree.grow(&leaves[..size]), hash(root), "size {size}");
    }
    let (left, right) = (b"N123".as_slice(), b"N456".as_slice());
    assert_ne!(Hash::of(&[left, right].concat()), Hash::leaf(&[left, right].concat()));
    let leaf = "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56";
    assert_eq!(Hash::leaf(b"L123456"), hash(leaf));
}

#[test]
fn certificate_transparency_inclusion() {
    let leaves = reference_leaves();
    let tree = MemoryTiles::of(&leaves);
    let cases: [(u64, u64, &[&str]); 4] = [
        (
            0,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            5,
            8,
            &[
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
        (
            1,
            5,
            &[
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ];
    for (index, size, expected) in cases {
        let expected = hashes(expected);
        assert_eq!(inclusion_proof(&tree, index, size).unwrap(), expected, "leaf {index} of {size}");
        let place = |number: u64| usize::try_from(number).unwrap();
        let root = hash(REFERENCE_ROOTS[place(size)]);
        verify_inclusion(&leaves[place(index)], index, size, &expected, &root).unwrap();
    }
}

#[test]
fn certificate_transparency_consistency() {
    let tree = MemoryTiles::of(&reference_leaves());
    let cases: [(u64, u64, &[&str]); 3] = [
        (
            1,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            6,
            8,
            &[
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            2,
            5,
            &[
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ];
    for (from, to, expected) in cases {
        let expected = hashes(expected);
        assert_eq!(consistency_proof(&tree, from, to).unwrap(), expected, "from {from} to {to}");
        let root = |size: u64| hash(REFERENCE_ROOTS[usize::try_from(size).unwrap()]);
        verify_consistency(from, to, &root(from), &root(to), &expected).unwrap();
    }
}
