//! What types are traced to, and what is told of changes.

use std::{collections::BTreeMap, net::IpAddr, num::NonZeroU16};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Serialize, Deserialize)]
struct Transaction {
    account: u64,
    cents: i64,
    notes: Vec<Option<String>>,
    place: (f32, f32),
    digest: [u8; 16],
    port: NonZeroU16,
    by: IpAddr,
}

#[derive(Serialize, Deserialize)]
struct Id(u64);

#[derive(Serialize, Deserialize)]
enum Event {
    Login,
    Paid(Id),
    Moved(u8, bool),
    Named { first: String, last: String },
}

#[derive(Serialize, Deserialize)]
struct Tree {
    name: String,
    children: Vec<Tree>,
    by_name: BTreeMap<String, Tree>,
    parent: Option<Box<Tree>>,
    size: u32,
}

#[derive(Serialize, Deserialize)]
enum Expression {
    Add(Box<Expression>, Box<Expression>),
    If { condition: Box<Condition>, then: Box<Expression>, count: u8 },
    Literal(i64),
}

#[derive(Serialize, Deserialize)]
enum Condition {
    Less(Box<Expression>, Expression),
    Always,
}

#[derive(Serialize, Deserialize)]
struct Endless {
    inner: Box<Endless>,
    size: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(try_from = "u8")]
struct Even(u8);

impl TryFrom<u8> for Even {
    type Error = String;

    fn try_from(value: u8) -> Result<Self, String> {
        if value == 10 { Ok(Self(value)) } else { Err(format!("{value} is not ten")) }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(try_from = "u8")]
struct Never;

impl TryFrom<u8> for Never {
    type Error = String;

    fn try_from(value: u8) -> Result<Self, String> {
        assert!(value > 200, "no sample is as large");
        Err("never".to_owned())
    }
}

#[derive(Serialize, Deserialize)]
struct Forest(Vec<Forest>);

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Nameless(Vec<Nameless>);

fn text<T: DeserializeOwned>() -> String {
    schema_of::<T>().to_string()
}

#[test]
fn the_structure_of_a_type_is_found_without_a_value() {
    assert_eq!(text::<u64>(), "u64");
    assert_eq!(text::<()>(), "()");
    assert_eq!(text::<(u8,)>(), "(u8,)");
    assert_eq!(text::<Id>(), "u64", "a wrapped value lies in state as itself");
    assert_eq!(text::<std::collections::HashMap<String, Vec<u8>>>(), "map<string, [u8]>");
    assert_eq!(
        text::<Transaction>(),
        "{account: u64, cents: i64, notes: [string?], place: (f32, f32), digest: [u8; 16], \
         port: u16, by: <V4([u8; 4]) | V6([u8; 16])>}"
    );
    assert_eq!(
        text::<Event>(),
        "<Login | Paid(u64) | Moved(u8, bool) | Named{first: string, last: string}>"
    );
    assert_eq!(text::<(Even, String)>(), "(u8, string)");
    assert_eq!(text::<std::time::Duration>(), "{secs: u64, nanos: u32}");
}

#[test]
fn a_type_may_contain_itself() {
    assert_eq!(
        text::<Tree>(),
        "{name: string, children: [^2], by_name: map<string, ^2>, parent: ^2?, size: u32}"
    );
    assert_eq!(
        text::<Expression>(),
        "<Add(^2, ^2) | If{condition: <Less(^4, ^4) | Always>, then: ^2, count: u8} \
         | Literal(i64)>"
    );
    assert_eq!(text::<Forest>(), "[^1]");
    assert_eq!(text::<Vec<Tree>>(), format!("[{}]", text::<Tree>()));
}

#[test]
fn what_cannot_be_traced_is_known_by_name() {
    assert_eq!(text::<Endless>(), r#"rust"hurtig_types::schema::tests::Endless""#);
    assert!(text::<(Never, u8)>().starts_with("rust\""));
    assert!(text::<Nameless>().starts_with("rust\""), "nothing tells where it begins again");
}

#[test]
fn text_is_read_back() {
    for text in [
        text::<Transaction>(),
        text::<Event>(),
        text::<Tree>(),
        text::<Expression>(),
        text::<(u8,)>(),
        text::<Endless>(),
        r#"{"a-b": u8, "": "x"?, c: rust"A<\"b\">"}"#.replace(r#""x"?"#, "u8??"),
        "<A((u8,)) | \"b c\">".to_owned(),
    ] {
        assert_eq!(Schema::parse(&text).map(|schema| schema.to_string()), Some(text));
    }
}

#[test]
fn changes_are_told_by_field() {
    let change = describe_change;
    assert_eq!(
        change("{a: u8, b: u64, c: u8} by u64", "{a: u8, b: i64, d: [u8]} by string"),
        "its type has changed: value.b was u64 and is i64 now; field value.c was removed; \
         field value.d was added; key was u64 and is string now"
    );
    assert_eq!(
        change("map<u8, [{a: u8?, b: u8}]>", "map<u8, [{b: u8, a: u8?}]>"),
        "its type has changed: the fields of value.value[] are in another order"
    );
    assert_eq!(
        change("<A | B(u8) | C>", "<A | B(u16)>"),
        "its type has changed: value.B was u8 and is u16 now; variant value.C was removed"
    );
    assert_eq!(change("x-1", "x-2"), r#"its schema was "x-1" and is "x-2" now"#);
}

#[test]
fn variants_may_be_added_at_the_end() {
    assert!(reads("<A | B(u8) | C> by u8", "<A | B(u8)> by u8"));
    assert!(reads("[{a: <A | B>?}]", "[{a: <A>?}]"));
    assert!(!reads("<A>", "<A | B>"));
    assert!(!reads("<B | A>", "<A>"));
    assert!(!reads("{a: u8, b: u8}", "{a: u8}"));
    assert!(!reads("u8 by u8", "u8"));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "[\\[\\]{}()<>|?^\"\\\\a-c0-9:;, ]{0,60}") {
        let _ = Schema::parse(&text);
        let _ = describe_change(&text, "[u8]");
    }
}
