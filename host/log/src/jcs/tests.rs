//! The quick way against the general one.

mod formats;
mod node;

use serde::Serialize;

use super::{in_order, sorted, to_string};
use crate::MAX_INTEGER;

/// What the quick way gives has to be what the general one gives.
fn quick<T: Serialize + ?Sized>(value: &T) -> Option<String> {
    let text = in_order::to_string(value)?;
    assert_eq!(text, sorted(value).unwrap());
    Some(text)
}

/// RFC 8785 §3.2.2.2.
fn spelled(letter: char) -> String {
    match letter {
        '\u{8}' => "\\b".to_owned(),
        '\t' => "\\t".to_owned(),
        '\n' => "\\n".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\r' => "\\r".to_owned(),
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\0'..='\u{1f}' => format!("\\u{:04x}", u32::from(letter)),
        _ => letter.to_string(),
    }
}

#[test]
fn every_character_is_spelled_as_the_rfc_has_it() {
    let every: String = ('\0'..=char::MAX).collect();
    let expected: String = every.chars().map(spelled).collect();
    assert_eq!(quick(&every), Some(format!("\"{expected}\"")));
}

#[test]
fn exact_integers_are_written_quickly_and_others_never() {
    let most = i64::try_from(MAX_INTEGER).unwrap();
    assert_eq!(quick(&[most, -most, 0]).unwrap(), "[9007199254740991,-9007199254740991,0]");
    assert_eq!(quick(&(u8::MAX, i8::MIN, u16::MAX, i16::MIN, u32::MAX, i32::MIN)).unwrap(), {
        "[255,-128,65535,-32768,4294967295,-2147483648]"
    });
    assert_eq!(in_order::to_string(&(most + 1)), None);
    assert_eq!(in_order::to_string(&(-most - 1)), None);
    assert_eq!(in_order::to_string(&(MAX_INTEGER + 1)), None);
    assert_eq!(in_order::to_string(&1_i128), None);
    assert_eq!(in_order::to_string(&1_u128), None);
    assert_eq!(in_order::to_string(&1.0_f64), None);
    assert_eq!(in_order::to_string(&1.0_f32), None);
}

#[test]
fn raw_json_is_not_taken_as_it_stands() {
    let raw: Box<serde_json::value::RawValue> = serde_json::from_str(r#"{ "b": 1, "a": 2 }"#).unwrap();
    assert_eq!(in_order::to_string(&raw), None);
    assert_eq!(to_string(&raw).unwrap(), r#"{"a":2,"b":1}"#);
}
