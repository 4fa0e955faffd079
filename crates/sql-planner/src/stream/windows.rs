//! Which columns of a node are those of windows.

use super::{ExecNode, ExecNodeKind, PlannedProperty, WindowInput, expressions::column_of};
use crate::plan::WindowTable;

/// The columns of the windows that rows belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowColumns {
    /// The windows.
    pub window: WindowTable,
    /// Where they start.
    pub start: Vec<usize>,
    /// Where they end.
    pub end: Vec<usize>,
    /// Their times.
    pub time: Vec<usize>,
}

impl WindowColumns {
    pub(super) fn map(self, position: impl Fn(usize) -> Vec<usize>) -> Option<Self> {
        let moved = |columns: Vec<usize>| columns.into_iter().flat_map(&position).collect();
        let (start, end, time) = (moved(self.start), moved(self.end), moved(self.time));
        let mapped = Self { window: self.window, start, end, time };
        (!mapped.start.is_empty() || !mapped.end.is_empty() || !mapped.time.is_empty())
            .then_some(mapped)
    }

    /// True if columns are among the start's, and others among the end's.
    pub(super) fn both_in(&self, columns: &[usize]) -> bool {
        self.start.iter().any(|one| columns.contains(one))
            && self.end.iter().any(|one| columns.contains(one))
    }

    /// True for every column of the window.
    pub(super) fn has(&self, column: usize) -> bool {
        self.start.contains(&column) || self.end.contains(&column) || self.time.contains(&column)
    }
}

/// The window columns of what a node gives.
pub(super) fn window_columns(node: &ExecNode) -> Option<WindowColumns> {
    use ExecNodeKind::*;
    let of_input = || window_columns(node.inputs.first()?);
    match &node.kind {
        WindowTableFunction { window, .. } => {
            let first = node.inputs.first()?.schema.fields().len();
            Some(WindowColumns {
                window: window.clone(),
                start: vec![first],
                end: vec![first + 1],
                time: vec![first + 2],
            })
        }
        WindowAggregate { keys, calls, window, properties } => {
            let (WindowInput::Time { window, .. } | WindowInput::Attached { window, .. }) = window;
            let mut columns = WindowColumns {
                window: window.clone(),
                start: Vec::new(),
                end: Vec::new(),
                time: Vec::new(),
            };
            for (index, property) in properties.iter().enumerate() {
                let position = keys.len() + calls.len() + index;
                match property {
                    PlannedProperty::Start => columns.start.push(position),
                    PlannedProperty::End => columns.end.push(position),
                    PlannedProperty::Time => columns.time.push(position),
                }
            }
            Some(columns)
        }
        Calc { projection, .. } => {
            let input = node.inputs.first()?;
            let sources: Vec<Option<usize>> =
                projection.iter().map(|one| column_of(one, &input.schema)).collect();
            of_input()?.map(|column| {
                let given = sources.iter().enumerate();
                given.filter(|(_, source)| **source == Some(column)).map(|(to, _)| to).collect()
            })
        }
        Expand { projections } => {
            let input = node.inputs.first()?;
            let source = |index: usize| {
                let mut of_sets =
                    projections.iter().map(|set| column_of(&set[index], &input.schema));
                let first = of_sets.next()??;
                of_sets.all(|one| one == Some(first)).then_some(first)
            };
            let sources: Vec<Option<usize>> = (0..node.schema.fields().len()).map(source).collect();
            of_input()?.map(|column| {
                let given = sources.iter().enumerate();
                given.filter(|(_, source)| **source == Some(column)).map(|(to, _)| to).collect()
            })
        }
        WatermarkAssigner { .. }
        | WindowRank { .. }
        | WindowDeduplicate { .. }
        | Correlate { .. }
        | OverAggregate(_) => of_input(),
        WindowJoin { .. } => of_input(),
        _ => None,
    }
}
