//! Parts of a plan that are the same, so that they are computed once (Flink's
//! `table.optimizer.reuse-sub-plan-enabled`): a view that is joined with itself, the inserts of a
//! statement set that begin alike.
//!
//! Two parts are the same if they do the same to the same inputs, to the last detail; only the
//! numbers that make names unique may differ. Parts with functions that give something else each time
//! are never the same.

use std::{collections::HashMap, fmt::Write};

use super::{ExecNode, ExecNodeKind, StreamPlan};
use crate::functions::VOLATILE;

/// Which parts of a plan are the same.
#[derive(Debug, Default)]
pub struct SharedParts {
    numbers: HashMap<*const ExecNode, u32>,
}

impl SharedParts {
    /// Of a plan, good for as long as it is not moved. Without `sources`, what only reads a table
    /// (columns and conditions included) counts as different each time.
    #[must_use]
    pub fn of(plan: &StreamPlan, sources: bool) -> Self {
        let mut visitor = Visitor { sources, known: HashMap::new(), shared: Self::default() };
        for root in &plan.roots {
            visitor.visit(root);
        }
        visitor.shared
    }

    /// The number of a part: equal for parts that are the same; none if it is to be computed for
    /// itself.
    #[must_use]
    pub fn number(&self, node: &ExecNode) -> Option<u32> {
        self.numbers.get(&std::ptr::from_ref(node)).copied()
    }
}

struct Visitor {
    sources: bool,
    known: HashMap<String, u32>,
    shared: SharedParts,
}

/// What a part is: its number, and whether it only reads a table.
#[derive(Clone, Copy)]
struct Part {
    number: u32,
    reads_only: bool,
}

impl Visitor {
    /// None if it is like no other.
    fn visit(&mut self, node: &ExecNode) -> Option<Part> {
        // All of them, also behind one that is like no other.
        let inputs: Vec<_> = node.inputs.iter().map(|input| self.visit(input)).collect();
        let inputs = inputs.into_iter().collect::<Option<Vec<Part>>>()?;
        if matches!(node.kind, ExecNodeKind::Sink { .. }) {
            return None;
        }
        let description = description(node, &inputs)?;
        let next = u32::try_from(self.known.len()).ok()?;
        let number = *self.known.entry(description).or_insert(next);
        let reads_only = match &node.kind {
            ExecNodeKind::TableSourceScan { .. } => true,
            ExecNodeKind::Calc { .. } => inputs.iter().all(|input| input.reads_only),
            _ => false,
        };
        if self.sources || !reads_only {
            self.shared.numbers.insert(std::ptr::from_ref(node), number);
        }
        Some(Part { number, reads_only })
    }
}

/// All that there is to say of a node; none if it gives something else each time.
fn description(node: &ExecNode, inputs: &[Part]) -> Option<String> {
    let mut text = String::new();
    // Names first, in their order: they say what the numbers in the names further down mean.
    for input in &node.inputs {
        let _ = write!(text, "{:?};", input.schema.fields());
    }
    let _ = write!(text, "{:?};{:?};", node.kind, node.schema.fields());
    if let ExecNodeKind::TableSourceScan { table, .. } = &node.kind {
        let _ = write!(text, "{:?};", table.options);
    }
    // A literal may say so, too; then it is computed for itself, which is never wrong.
    if text.contains(VOLATILE) {
        return None;
    }
    let mut text = renumbered(&sorted(&text));
    let numbers: Vec<u32> = inputs.iter().map(|input| input.number).collect();
    let (modify, update, every) = (node.modify, node.update, node.every_version);
    let _ = write!(text, "{modify:?};{update:?};{every};{numbers:?}");
    Some(text)
}

/// With the metadata of fields (`metadata: {"key": "value", ...}`), which come in any order, sorted.
fn sorted(text: &str) -> String {
    const METADATA: &str = "metadata: {";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(METADATA) {
        let (before, after) = rest.split_at(at + METADATA.len());
        out.push_str(before);
        // Keys and values are quoted: what is between quotes does not count.
        let (mut quoted, mut escaped, mut start, mut end) = (false, false, 0, after.len());
        let mut entries = Vec::new();
        for (at, byte) in after.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = !quoted,
                b',' if !quoted => {
                    entries.push(after[start..at].trim());
                    start = at + 1;
                }
                b'}' if !quoted => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        entries.push(after[start..end].trim());
        entries.sort_unstable();
        out.push_str(&entries.join(", "));
        rest = &after[end..];
    }
    out.push_str(rest);
    out
}

/// The numbers in names (`name: "price#12"`) by the order in which they come. What a literal says
/// cannot look like that: its quotes are escaped.
fn renumbered(text: &str) -> String {
    const NAME: &str = "name: \"";
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(NAME) {
        let (before, after) = rest.split_at(at + NAME.len());
        out.push_str(before);
        let name = &after[..after.find('"').unwrap_or(after.len())];
        match name.rsplit_once('#') {
            Some((plain, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                let next = numbers.len();
                let number = *numbers.entry(number).or_insert(next);
                let _ = write!(out, "{plain}#{number}");
            }
            _ => out.push_str(name),
        }
        rest = &after[name.len()..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::{renumbered, sorted};

    #[test]
    fn metadata_is_sorted() {
        let text = r#"Field { metadata: {"b": "x, }", "a": "\"{"} } metadata: {} metadata: {"c": "1"} rest"#;
        let wanted = r#"Field { metadata: {"a": "\"{", "b": "x, }"} } metadata: {} metadata: {"c": "1"} rest"#;
        assert_eq!(sorted(text), wanted);
    }

    #[test]
    fn numbers_of_names_count_from_nought() {
        let text = |first: u32, second: u32| {
            format!(
                "Field {{ name: \"a.b#{first}\" }} Column {{ name: \"c#{second}\" }} name: \"a.b#{first}\""
            )
        };
        assert_eq!(renumbered(&text(17, 4)), text(0, 1));
        assert_eq!(renumbered(&text(4, 17)), text(0, 1));
        assert_ne!(renumbered(&text(4, 4)), text(0, 1));
        // Texts of users stay as they are.
        let literal = r#"Utf8("a#1 name: \"b#2\"")"#;
        assert_eq!(renumbered(literal), literal);
        assert_eq!(
            renumbered(r#"name: "no number#" name: "x#y""#),
            r#"name: "no number#0" name: "x#y""#
        );
    }
}
