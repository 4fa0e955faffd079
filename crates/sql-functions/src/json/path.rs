//! Paths into documents: `lax $.a[0].b`, `$..name`, `$['a b'][*]`.

use serde_json::Value;

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
    Index(i64),
    Indices(Vec<i64>),
    Slice(Option<i64>, Option<i64>),
    All,
    /// `..`: the value itself and all that are in it.
    Deep,
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    /// A value; null is nothing.
    Value(Value),
    /// There is no such place.
    Missing,
}

impl JsonPath {
    /// Reads a path. The mode is `strict` if none is written.
    pub fn parse(text: &str) -> Option<Self> {
        let trimmed = text.trim_start();
        let mode = trimmed.split_whitespace().next().unwrap_or_default();
        let (lax, path) = if mode.eq_ignore_ascii_case("lax") {
            (true, trimmed[3..].trim_start())
        } else if mode.eq_ignore_ascii_case("strict") {
            (false, trimmed[6..].trim_start())
        } else {
            (false, trimmed)
        };
        let steps = steps(path.trim_end().strip_prefix('$')?)?;
        Some(Self { lax, steps })
    }

    /// Follows the path. If it may lead to several values, they are an array.
    pub fn find(&self, document: &Value) -> Found {
        let definite =
            self.steps.iter().all(|step| matches!(step, Step::Field(_) | Step::Index(_)));
        if definite {
            let mut at = document;
            for step in &self.steps {
                match one(at, step) {
                    Some(next) => at = next,
                    None => return Found::Missing,
                }
            }
            return Found::Value(at.clone());
        }
        let mut values = vec![document];
        for step in &self.steps {
            values = values.into_iter().flat_map(|value| all(value, step)).collect();
        }
        Found::Value(Value::Array(values.into_iter().cloned().collect()))
    }
}

fn place(index: i64, length: usize) -> Option<usize> {
    let index = if index < 0 { index + length as i64 } else { index };
    usize::try_from(index).ok().filter(|index| *index < length)
}

fn one<'a>(value: &'a Value, step: &Step) -> Option<&'a Value> {
    match step {
        Step::Field(name) => value.as_object()?.get(name),
        Step::Index(index) => {
            let values = value.as_array()?;
            values.get(place(*index, values.len())?)
        }
        _ => None,
    }
}

fn all<'a>(value: &'a Value, step: &Step) -> Vec<&'a Value> {
    match (step, value) {
        (Step::All, Value::Array(values)) => values.iter().collect(),
        (Step::All, Value::Object(fields)) => fields.values().collect(),
        (Step::Indices(indices), Value::Array(values)) => {
            let places = indices.iter().filter_map(|index| place(*index, values.len()));
            places.map(|place| &values[place]).collect()
        }
        (Step::Slice(from, to), Value::Array(values)) => {
            let length = values.len() as i64;
            let bound =
                |index: i64| (if index < 0 { index + length } else { index }).clamp(0, length);
            let (from, to) = (bound(from.unwrap_or(0)), bound(to.unwrap_or(length)));
            values[from.min(to) as usize..to as usize].iter().collect()
        }
        (Step::Deep, _) => {
            let mut found = vec![value];
            let mut next = 0;
            // Documents are nested 128 deep at most, and each value is visited once.
            while let Some(value) = found.get(next) {
                next += 1;
                match value {
                    Value::Array(values) => found.extend(values),
                    Value::Object(fields) => found.extend(fields.values()),
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
                    if rest.starts_with('[') {
                        continue;
                    }
                }
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                let name = &rest[..end];
                match name {
                    "" => return None,
                    "*" => steps.push(Step::All),
                    // Functions and the like are not names.
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
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        let mut name = String::new();
        let mut characters = text[1..].char_indices();
        while let Some((at, c)) = characters.next() {
            if c == quote {
                let rest = text[1 + at + 1..].trim_start().strip_prefix(']')?;
                return Some((Step::Field(name), rest));
            }
            name.push(if c == '\\' { characters.next()?.1 } else { c });
        }
        return None;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_values() {
        let document = crate::json::parse(
            r#"{"a": [1, {"b": "x"}, [2, 3]], "a b": null, "c": {"b": "y"}} and more"#,
        );
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
        assert_eq!(find("$.a[0:2]"), "[1,{\"b\":\"x\"}]");
        for path in ["", "a", "$.", "$[", "$['a", "$.a[x]", "$.a[?(@.b)]", "$x"] {
            assert_eq!(find(path), "wrong", "{path}");
        }
    }
}
