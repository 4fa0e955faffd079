//! What differs between two schemas, in words.

use std::fmt::Write;

use super::{Schema, text::parse_state};

/// Most differences that are told.
const MAX_TOLD: usize = 6;

/// What has changed between the schema of a snapshot and that of a program, both as `value` or
/// `value by key`.
pub fn describe_change(restored: &str, declared: &str) -> String {
    let mut told = Vec::new();
    if let (Some((old, old_key)), Some((new, new_key))) =
        (parse_state(restored), parse_state(declared))
    {
        compare("value", &old, &new, &mut told);
        if let (Some(old), Some(new)) = (old_key, new_key) {
            compare("key", &old, &new, &mut told);
        }
    }
    if told.is_empty() {
        return format!("its schema was {restored:?} and is {declared:?} now");
    }
    let mut text = "its type has changed: ".to_owned();
    let more = told.len().saturating_sub(MAX_TOLD);
    told.truncate(MAX_TOLD);
    text.push_str(&told.join("; "));
    if more > 0 {
        // Writing to a string cannot fail.
        let _ = write!(text, "; and {more} more");
    }
    text
}

/// True if what was written as `restored` means the same when it is read as `declared`: they are
/// equal, but for variants that were added at the end of enums.
pub fn reads(declared: &str, restored: &str) -> bool {
    if declared == restored {
        return true;
    }
    match (parse_state(restored), parse_state(declared)) {
        (Some((old, old_key)), Some((new, new_key))) => {
            can_read(&new, &old)
                && match (new_key, old_key) {
                    (Some(new), Some(old)) => can_read(&new, &old),
                    (new, old) => new == old,
                }
        }
        _ => false,
    }
}

fn can_read(new: &Schema, old: &Schema) -> bool {
    let all = |new: &[Schema], old: &[Schema]| {
        new.len() == old.len() && new.iter().zip(old).all(|(new, old)| can_read(new, old))
    };
    let named = |new: &[(String, Schema)], old: &[(String, Schema)]| {
        let mut pairs = new.iter().zip(old);
        pairs.all(|((new_name, new), (old_name, old))| new_name == old_name && can_read(new, old))
    };
    match (new, old) {
        (Schema::Option(new), Schema::Option(old))
        | (Schema::Sequence(new), Schema::Sequence(old)) => can_read(new, old),
        (Schema::Array(new, n), Schema::Array(old, m)) => n == m && can_read(new, old),
        (Schema::Map(new_key, new), Schema::Map(old_key, old)) => {
            can_read(new_key, old_key) && can_read(new, old)
        }
        (Schema::Tuple(new), Schema::Tuple(old)) => all(new, old),
        (Schema::Struct(new), Schema::Struct(old)) => new.len() == old.len() && named(new, old),
        (Schema::Enum(new), Schema::Enum(old)) => new.len() >= old.len() && named(new, old),
        (new, old) => new == old,
    }
}

fn compare(path: &str, old: &Schema, new: &Schema, told: &mut Vec<String>) {
    if old == new {
        return;
    }
    match (old, new) {
        (Schema::Option(old), Schema::Option(new)) => compare(path, old, new, told),
        (Schema::Sequence(old), Schema::Sequence(new)) => {
            compare(&format!("{path}[]"), old, new, told);
        }
        (Schema::Array(old, n), Schema::Array(new, m)) if n == m => {
            compare(&format!("{path}[]"), old, new, told);
        }
        (Schema::Map(old_key, old), Schema::Map(new_key, new)) => {
            compare(&format!("{path}.key"), old_key, new_key, told);
            compare(&format!("{path}.value"), old, new, told);
        }
        (Schema::Tuple(old), Schema::Tuple(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                compare(&format!("{path}.{index}"), old, new, told);
            }
        }
        (Schema::Struct(old), Schema::Struct(new)) => named("field", path, old, new, told),
        (Schema::Enum(old), Schema::Enum(new)) => named("variant", path, old, new, told),
        (old, new) => told.push(format!("{path} was {old} and is {new} now")),
    }
}

fn named(
    what: &str,
    path: &str,
    old: &[(String, Schema)],
    new: &[(String, Schema)],
    told: &mut Vec<String>,
) {
    let before = told.len();
    let find = |all: &[(String, Schema)], name: &str| all.iter().position(|(n, _)| n == name);
    for (name, schema) in old {
        match find(new, name) {
            Some(index) => compare(&format!("{path}.{name}"), schema, &new[index].1, told),
            None => told.push(format!("{what} {path}.{name} was removed")),
        }
    }
    for (name, _) in new.iter().filter(|(name, _)| find(old, name).is_none()) {
        told.push(format!("{what} {path}.{name} was added"));
    }
    if told.len() == before {
        told.push(format!("the {what}s of {path} are in another order"));
    }
}
