//! The STATE_TTL hint: `SELECT /*+ STATE_TTL('o' = '1 d', 'c' = '20 d') */`. It says how long the joins
//! and the aggregate of its SELECT remember the rows of their inputs, which it names by alias, or else
//! by the name of the table or view.

use std::cell::RefCell;

use datafusion_expr::LogicalPlan;
use hurtig_sql_parser::{
    Span,
    ast::{TableFactor, TableFactorKind, TableHint, TableHintOptions},
};

use super::Binder;
use crate::{
    PlanError, PlanResult, duration_ms,
    plan::{StreamingNode, StreamingNodeKind},
};

/// What the hint of one SELECT says.
#[derive(Debug)]
pub(super) struct StateTtlHint {
    entries: Vec<Entry>,
    /// Which of them have found their input.
    found: RefCell<Vec<bool>>,
}

#[derive(Debug)]
struct Entry {
    input: String,
    ttl_ms: i64,
    span: Span,
}

/// The hints of Flink. Those that advise how to join change nothing here.
const HINTS: [&str; 8] = [
    "OPTIONS",
    "STATE_TTL",
    "BROADCAST",
    "SHUFFLE_HASH",
    "SHUFFLE_MERGE",
    "NEST_LOOP",
    "LOOKUP",
    "MULTI_JOIN",
];

/// Refuses hints that do not exist.
pub(super) fn check(hints: &[TableHint]) -> PlanResult<()> {
    let is_known = |hint: &&TableHint| HINTS.iter().any(|known| hint.name.is_word(known));
    match hints.iter().find(|hint| !is_known(hint)) {
        None => Ok(()),
        Some(hint) => {
            let name = &hint.name.value;
            let message = format!("Hint: {name} should be registered in the HintStrategyTable");
            Err(PlanError::at(hint.name.span, message).nearest(name, HINTS))
        }
    }
}

impl StateTtlHint {
    /// The first hint of that name; later ones do not count, as in Flink.
    pub fn of(hints: &[TableHint]) -> PlanResult<Option<Self>> {
        let Some(hint) = hints.iter().find(|hint| hint.name.is_word("STATE_TTL")) else {
            return Ok(None);
        };
        let TableHintOptions::KeyValues(options) = &hint.options else {
            let message =
                "Invalid STATE_TTL hint, expecting at least one key-value options specified.";
            return Err(PlanError::at(hint.name.span, message));
        };
        let mut entries: Vec<Entry> = Vec::new();
        for (input, value) in options {
            let Some(ttl_ms) = duration_ms(value) else {
                let message = format!(
                    "Invalid STATE_TTL hint value: '{value}' is no duration, such as '12 h' or '1 d'"
                );
                return Err(PlanError::at(input.span, message));
            };
            entries.push(Entry { input: input.value.clone(), ttl_ms, span: input.span });
        }
        let found = RefCell::new(vec![false; entries.len()]);
        Ok(Some(Self { entries, found }))
    }

    fn ttl_of(&self, input: &str) -> Option<i64> {
        let place = self.entries.iter().position(|entry| entry.input == input)?;
        self.found.borrow_mut()[place] = true;
        Some(self.entries[place].ttl_ms)
    }

    /// That each of its names has been found.
    pub fn check(&self) -> PlanResult<()> {
        let found = self.found.borrow();
        let missing = self.entries.iter().zip(found.iter()).find(|(_, found)| !**found);
        missing.map_or(Ok(()), |(entry, _)| {
            let message = format!(
                "The options of following hints cannot match the name of input tables or views: \
                 `{}` in `STATE_TTL`",
                entry.input
            );
            Err(PlanError::at(entry.span, message))
        })
    }
}

impl Binder<'_> {
    /// An input of FROM, marked if the hint names it.
    pub(super) fn hinted(
        &self,
        plan: LogicalPlan,
        factor: &TableFactor,
    ) -> PlanResult<LogicalPlan> {
        let Some(hint) = &self.ttl else { return Ok(plan) };
        let name = match (&factor.alias, &factor.kind) {
            (Some(alias), _) => alias.name.value.as_str(),
            (None, TableFactorKind::Table { name, .. }) => name.last(),
            _ => return Ok(plan),
        };
        let Some(ttl_ms) = hint.ttl_of(name) else { return Ok(plan) };
        let schema = plan.schema().clone();
        let (kind, inputs) = (StreamingNodeKind::StateTtl { ttl_ms }, vec![plan]);
        let node = StreamingNode { kind, inputs, expressions: Vec::new(), schema };
        Ok(node.into_plan())
    }
}
