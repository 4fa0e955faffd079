//! Paths into documents: `lax $.a[0].b`, `$..name`, `$['a b'][*]`.
//!
//! What a path finds is what Jayway's JsonPath finds, which Flink uses. A path is definite if it leads
//! to one place at most; up to its first step that is not, each place must be there.

use super::Json;

/// A compiled path.
#[derive(Clone, Debug)]
pub(crate) struct JsonPath {
    /// `lax`: what is not there is nothing, not an error.
    pub lax: bool,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    /// Several: at the end one object of those that are there.
    Fields(Vec<String>),
    Index(i64),
    Indices(Vec<i64>),
    Slice(Option<i64>, Option<i64>),
    All,
    /// `length()` and `size()`, at the end only: how many there are.
    Length,
    /// `..`: the value itself and all that are in it.
    Deep,
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    /// A value; null is nothing.
    Value(Json),
    /// There is no such place.
    Missing,
}

impl JsonPath {
    /// Reads a path. The mode is `strict` if none is written, and the `$.` need not be.
    pub fn parse(text: &str) -> Option<Self> {
        let trimmed = text.trim_start();
        let mode = trimmed.split_whitespace().next().unwrap_or_default();
        let (lax, path) = if mode.eq_ignore_ascii_case("lax") && mode.len() < trimmed.len() {
            (true, &trimmed[3..])
        } else if mode.eq_ignore_ascii_case("strict") && mode.len() < trimmed.len() {
            (false, &trimmed[6..])
        } else {
            (false, trimmed)
        };
        let path = path.trim();
        if path.is_empty() {
            return None;
        }
        let steps = match path.strip_prefix('$') {
            Some(path) => steps(path)?,
            None => steps(&format!(".{path}"))?,
        };
        Some(Self { lax, steps })
    }

    /// Follows the path. If it may lead to several values, they are an array.
    pub fn find(&self, document: &Json) -> Found {
        let mut at = document;
        for (index, step) in self.steps.iter().enumerate() {
            let rest = &self.steps[index..];
            match step {
                Step::Field(_) | Step::Index(_) => match one(at, step) {
                    Some(next) => at = next,
                    None => return Found::Missing,
                },
                Step::Length => {
                    let count = match at {
                        Json::Array(values) => values.len(),
                        Json::Object(fields) => fields.len(),
                        _ => return Found::Missing,
                    };
                    return Found::Value(Json::Integer(count.to_string()));
                }
                Step::Fields(names) if rest.len() == 1 => {
                    return match at {
                        Json::Object(_) => Found::Value(merged(at, names)),
                        _ => Found::Missing,
                    };
                }
                // What takes places of an array must find one here, unless the path is lax.
                Step::Indices(_) | Step::Slice(..)
                    if !self.lax && !matches!(at, Json::Array(_)) =>
                {
                    return Found::Missing;
                }
                Step::Fields(_) if !self.lax && !matches!(at, Json::Object(_)) => {
                    return Found::Missing;
                }
                _ => return several(at, rest),
            }
        }
        Found::Value(at.clone())
    }

    /// True if it leads to one place at most.
    pub fn is_definite(&self) -> bool {
        let last = self.steps.len().saturating_sub(1);
        let is = |(index, step): (usize, &Step)| match step {
            Step::Field(_) | Step::Index(_) | Step::Length => true,
            Step::Fields(_) => index == last,
            _ => false,
        };
        self.steps.iter().enumerate().all(is)
    }
}

fn several(from: &Json, steps: &[Step]) -> Found {
    let mut values = vec![from];
    for (index, step) in steps.iter().enumerate() {
        if let (Step::Fields(names), true) = (step, index + 1 == steps.len()) {
            let objects = values.into_iter().filter(|value| matches!(value, Json::Object(_)));
            return Found::Value(Json::Array(objects.map(|one| merged(one, names)).collect()));
        }
        values = values.into_iter().flat_map(|value| all(value, step)).collect();
    }
    Found::Value(Json::Array(values.into_iter().cloned().collect()))
}

/// An object of some of the fields.
fn merged(object: &Json, names: &[String]) -> Json {
    let fields = names.iter().filter_map(|name| Some((name.clone(), object.field(name)?.clone())));
    Json::Object(fields.collect())
}

fn place(index: i64, length: usize) -> Option<usize> {
    let index = if index < 0 { index + length as i64 } else { index };
    usize::try_from(index).ok().filter(|index| *index < length)
}

fn one<'a>(value: &'a Json, step: &Step) -> Option<&'a Json> {
    match (step, value) {
        (Step::Field(name), _) => value.field(name),
        (Step::Index(index), Json::Array(values)) => values.get(place(*index, values.len())?),
        _ => None,
    }
}

fn all<'a>(value: &'a Json, step: &Step) -> Vec<&'a Json> {
    match (step, value) {
        (Step::All, Json::Array(values)) => values.iter().collect(),
        (Step::All, Json::Object(fields)) => fields.iter().map(|(_, value)| value).collect(),
        (Step::Fields(names), _) => names.iter().filter_map(|name| value.field(name)).collect(),
        (Step::Indices(indices), Json::Array(values)) => {
            let places = indices.iter().filter_map(|index| place(*index, values.len()));
            places.map(|place| &values[place]).collect()
        }
        (Step::Slice(from, to), Json::Array(values)) => {
            let length = values.len() as i64;
            let bound =
                |index: i64| (if index < 0 { index + length } else { index }).clamp(0, length);
            let (from, to) = (bound(from.unwrap_or(0)), bound(to.unwrap_or(length)));
            values[from.min(to) as usize..to as usize].iter().collect()
        }
        (Step::Deep, _) => {
            // Each before what is in it, in order; the depth of documents is bounded.
            let (mut found, mut open) = (Vec::new(), vec![value]);
            while let Some(value) = open.pop() {
                found.push(value);
                match value {
                    Json::Array(values) => open.extend(values.iter().rev()),
                    Json::Object(fields) => open.extend(fields.iter().rev().map(|(_, one)| one)),
                    _ => {}
                }
            }
            found
        }
        _ => one(value, step).into_iter().collect(),
    }
}

fn steps(mut rest: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    while let Some(first) = rest.chars().next() {
        match first {
            '.' => {
                rest = &rest[1..];
                if let Some(deeper) = rest.strip_prefix('.') {
                    steps.push(Step::Deep);
                    rest = deeper;
                }
                if rest.starts_with('[') {
                    continue;
                }
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                let name = &rest[..end];
                match name {
                    "" => return None,
                    "*" => steps.push(Step::All),
                    "length()" | "size()" if end == rest.len() => steps.push(Step::Length),
                    // Other functions and the like are not names.
                    name if name.contains(['(', ')', '?', '@', ' ', ']']) => return None,
                    name => steps.push(Step::Field(name.to_owned())),
                }
                rest = &rest[end..];
            }
            '[' => {
                let (step, after) = bracket(&rest[1..])?;
                steps.push(step);
                rest = after;
            }
            _ => return None,
        }
    }
    Some(steps)
}

fn bracket(text: &str) -> Option<(Step, &str)> {
    let text = text.trim_start();
    if text.starts_with(['\'', '"']) {
        let (mut names, mut rest) = (Vec::new(), text);
        loop {
            let (name, after) = quoted(rest)?;
            names.push(name);
            let after = after.trim_start();
            if let Some(after) = after.strip_prefix(']') {
                let step = match names.len() {
                    1 => Step::Field(names.pop()?),
                    _ => Step::Fields(names),
                };
                return Some((step, after));
            }
            rest = after.strip_prefix(',')?.trim_start();
        }
    }
    let (inside, rest) = text.split_once(']')?;
    let inside = inside.trim();
    if inside == "*" {
        return Some((Step::All, rest));
    }
    if let Some((from, to)) = inside.split_once(':') {
        let bound = |text: &str| match text.trim() {
            "" => Some(None),
            number => number.parse().ok().map(Some),
        };
        return Some((Step::Slice(bound(from)?, bound(to)?), rest));
    }
    let indices = inside.split(',').map(|index| index.trim().parse().ok());
    let indices = indices.collect::<Option<Vec<i64>>>()?;
    Some((
        match indices[..] {
            [index] => Step::Index(index),
            _ => Step::Indices(indices),
        },
        rest,
    ))
}

/// A name in quotes, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut characters = text.char_indices();
    let quote = characters.next().map(|(_, c)| c).filter(|c| matches!(c, '\'' | '"'))?;
    let mut name = String::new();
    while let Some((at, c)) = characters.next() {
        if c == quote {
            return Some((name, &text[at + 1..]));
        }
        name.push(if c == '\\' { characters.next()?.1 } else { c });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_values() {
        let document =
            Json::parse(r#"{"c": {"b": "y"}, "a": [1, {"b": "x"}, [2, 3]], "a b": null} and more"#);
        let document = document.unwrap();
        let find = |path: &str| match JsonPath::parse(path).map(|path| path.find(&document)) {
            None => "wrong".to_owned(),
            Some(Found::Missing) => "missing".to_owned(),
            Some(Found::Value(value)) => {
                let mut out = String::new();
                crate::json::write::document(&value, &mut out);
                out
            }
        };
        assert_eq!(find("$.a[1].b"), "\"x\"");
        assert_eq!(find("lax $.a[-1][0]"), "2");
        assert_eq!(find("strict $['a b']"), "null");
        assert_eq!(find("$.a[7]"), "missing");
        assert_eq!(find("$.a.b"), "missing");
        assert_eq!(find("$.a[2][*]"), "[2,3]");
        assert_eq!(find("$..b"), "[\"y\",\"x\"]");
        assert_eq!(find("$..[0]"), "[1,2]");
        assert_eq!(find("$.a[0:2]"), "[1,{\"b\":\"x\"}]");
        assert_eq!(find("c.b"), "\"y\"");
        assert_eq!(find("$['c', 'nope', 'a b']"), "{\"a b\":null,\"c\":{\"b\":\"y\"}}");
        assert_eq!(find("$.nope[*]"), "missing");
        assert_eq!(find("$.c[0:1]"), "missing");
        assert_eq!(find("lax $.c[0:1]"), "[]");
        assert_eq!(find("$.c.b[*]"), "[]");
        assert_eq!(find("$.a[*].b"), "[\"x\"]");
        assert_eq!(find("$.a.length()"), "3");
        assert_eq!(find("$.c.b.size()"), "missing");
        for path in ["", "$.", "$[", "$['a", "$.a[x]", "$.a[?(@.b)]", "$x"] {
            assert_eq!(find(path), "wrong", "{path}");
        }
    }
}
