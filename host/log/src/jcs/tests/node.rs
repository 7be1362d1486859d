//! Values of every kind, with names in any order.

use proptest::prelude::*;
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::super::{in_order, sorted, to_string};

/// A value as types may serialise it: members in any order and more than once, names that are no texts.
#[derive(Clone, Debug)]
enum Node {
    Unit,
    Bool(bool),
    I64(i64),
    U64(u64),
    I128(i128),
    U128(u128),
    F32(f32),
    F64(f64),
    Char(char),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Node>),
    /// With or without its length known beforehand.
    Map(bool, Vec<(Node, Node)>),
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unit => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::I64(value) => serializer.serialize_i64(*value),
            Self::U64(value) => serializer.serialize_u64(*value),
            Self::I128(value) => serializer.serialize_i128(*value),
            Self::U128(value) => serializer.serialize_u128(*value),
            Self::F32(value) => serializer.serialize_f32(*value),
            Self::F64(value) => serializer.serialize_f64(*value),
            Self::Char(value) => serializer.serialize_char(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Bytes(value) => serializer.serialize_bytes(value),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
            Self::Map(sized, members) => {
                let mut map = serializer.serialize_map(sized.then_some(members.len()))?;
                members.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
                map.end()
            }
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    let strange = "[\u{0}-\u{20}\u{7f}\"\\\\\u{fb33}😀é]{0,3}";
    prop_oneof![6 => "[a-c]{0,3}", 1 => "[ -~]{0,4}", 1 => any::<String>(), 1 => strange]
}

fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -9..9_i64, (1_i64 << 53) - 3..(1 << 53) + 3, -(1_i64 << 53) - 3..3 - (1 << 53)]
}

/// Numbers and other values without members; most of them have a canonical form.
fn leaf() -> impl Strategy<Value = Node> {
    prop_oneof![
        4 => text().prop_map(Node::Text),
        2 => (-9..9_i64).prop_map(Node::I64),
        2 => (0..9_u64).prop_map(Node::U64),
        1 => Just(Node::Unit),
        1 => any::<bool>().prop_map(Node::Bool),
        1 => integer().prop_map(Node::I64),
        1 => integer().prop_map(|value| Node::U64(value.unsigned_abs())),
        1 => integer().prop_map(|value| Node::I128(value.into())),
        1 => any::<u128>().prop_map(Node::U128),
        1 => prop::num::f32::ANY.prop_map(Node::F32),
        1 => prop::num::f64::ANY.prop_map(Node::F64),
        1 => any::<char>().prop_map(Node::Char),
        1 => prop::collection::vec(any::<u8>(), 0..3).prop_map(Node::Bytes),
    ]
}

/// Mostly texts; the rest are values that may or may not be names.
fn name() -> impl Strategy<Value = Node> {
    prop_oneof![12 => text().prop_map(Node::Text), 1 => leaf()]
}

fn members(value: impl Strategy<Value = Node>) -> impl Strategy<Value = Vec<(Node, Node)>> {
    let in_some_order = prop::collection::vec((name(), value), 0..5);
    (in_some_order, any::<bool>()).prop_map(|(mut members, ordered)| {
        let text = |node: &Node| if let Node::Text(text) = node { text.clone() } else { String::new() };
        if ordered {
            members.sort_by_key(|(name, _)| text(name));
        }
        members
    })
}

fn node() -> impl Strategy<Value = Node> {
    leaf().prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Node::List),
            (any::<bool>(), members(inner)).prop_map(|(sized, members)| Node::Map(sized, members)),
        ]
    })
}

/// A value as it is parsed: sorted already, with names and numbers of all kinds.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        integer().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn told<T: Serialize>(value: &T, write: fn(&T) -> Result<String, super::super::JcsError>) -> Result<String, String> {
    write(value).map_err(|error| error.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn any_serialisation_gives_what_the_general_way_gives(node in node()) {
        prop_assert_eq!(told(&node, to_string), told(&node, sorted));
    }

    #[test]
    fn any_json_gives_what_the_general_way_gives(value in value()) {
        prop_assert_eq!(told(&value, to_string), told(&value, sorted));
    }

    /// Names in order are enough: what is written quickly is not left to chance.
    #[test]
    fn plain_members_in_order_are_written_quickly(
        map in prop::collection::btree_map("[!#-\\[\\]-~]{1,4}", text(), 0..6),
    ) {
        prop_assert_eq!(in_order::to_string(&map), Some(sorted(&map).unwrap()));
    }
}

#[test]
fn members_out_of_order_or_twice_are_refused() {
    let member = |name: &str| (Node::Text(name.to_owned()), Node::Unit);
    let takes = |names: &[&str]| {
        let map = Node::Map(true, names.iter().copied().map(member).collect());
        // Inside of another object, and before a further member of it that follows "k" closely.
        let outer = Node::Map(false, vec![(Node::Text("k".to_owned()), map), member("k0")]);
        in_order::to_string(&outer).is_some()
    };
    assert!(takes(&[]) && takes(&["a"]) && takes(&["z"]) && takes(&["a", "aa", "b", "k", "z"]));
    for names in [["b", "a"], ["a", "a"], ["aa", "a"], ["", "a"], ["a", "é"], ["a", "b\n"], ["a\"", "b"]] {
        assert!(!takes(&names), "{names:?}");
    }
}

/// Such a name is not written as text, and "true" does not precede "a".
#[test]
fn names_that_are_no_texts_are_refused() {
    for name in [Node::Bool(true), Node::U64(1), Node::I64(-1), Node::F64(1.5), Node::Unit] {
        let map = Node::Map(true, vec![(name, Node::Unit), (Node::Text("a".to_owned()), Node::Unit)]);
        assert_eq!(in_order::to_string(&map), None, "{map:?}");
    }
}
