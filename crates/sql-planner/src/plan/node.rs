//! Nodes for what streams have beside tables.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use datafusion_common::{DFSchemaRef, JoinType, Result, TableReference, plan_err};
use datafusion_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use hurtig_sql_common::RowKind;
use hurtig_sql_runtime::config::TableFunction;

/// A node of our own. One type for all, so that rules of the optimiser have one to handle.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StreamingNode {
    /// What it does. Positions in it are those of `expressions`.
    pub kind: StreamingNodeKind,
    /// Where its rows come from: one, or two for joins.
    pub inputs: Vec<LogicalPlan>,
    /// Every expression in it, over the columns of its inputs.
    pub expressions: Vec<Expr>,
    /// What it gives. Columns of inputs that it passes on keep their names.
    pub schema: DFSchemaRef,
}

/// What a node does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StreamingNodeKind {
    /// WATERMARK FOR: `expressions` are the time column and the watermark. All columns pass.
    Watermark,
    /// A window table function, or the windows of an older group window: `expressions[0]` is the time
    /// column, then the partition keys of a session. All columns pass, three follow: the window's start,
    /// end, and time.
    Window(WindowTable),
    /// Aggregates over windows of rows: all columns pass, one column a function follows.
    Over(OverNode),
    /// FOR SYSTEM_TIME AS OF: the rows of the left join the version of the right at the left's time.
    /// `expressions`: the left's time, the keys of the left, as many keys of the right, and what else
    /// of the ON clause must hold, at most one.
    TemporalJoin {
        /// Inner or left.
        join_type: JoinType,
        /// How many keys.
        keys: usize,
    },
    /// UNNEST, and LATERAL TABLE of a table function: each row joins the rows that its own value makes.
    /// `expressions`: the arguments, then the condition, if there is one. All columns pass, those of
    /// the function follow.
    Correlate {
        /// `UNNEST`, or a user's function.
        function: CorrelatedFunction,
        /// WITH ORDINALITY.
        ordinality: bool,
        /// How many arguments.
        arguments: usize,
        /// LEFT JOIN: rows without any keep one with NULL.
        outer: bool,
    },
    /// INTERSECT and EXCEPT of two inputs with equal columns; those of the first are given.
    SetOperation {
        /// EXCEPT, not INTERSECT.
        except: bool,
        /// ALL: rows count as often as they occur.
        all: bool,
    },
    /// GROUPING SETS: each row becomes one row a set. `expressions`: as many for each set as there are
    /// columns, one set after the other; none of the inputs' columns pass by themselves.
    Expand {
        /// How many sets.
        sets: usize,
    },
    /// TO_CHANGELOG: each change as a new row. A column with the code of the change comes first, then
    /// all of the input.
    /// `expressions` are what rows are distributed by.
    ToChangelog {
        /// The code of each kind of change, by its number; changes without one are dropped.
        codes: [Option<String>; 4],
    },
    /// FROM_CHANGELOG: each row as the change that its code says. The first expression is the column of
    /// the code, which is not given; those that follow are what rows are distributed by.
    FromChangelog {
        /// What codes mean.
        kinds: Vec<(String, RowKind)>,
        /// Rows of other codes are dropped.
        skips_unknown: bool,
    },
    /// A hint: joins and aggregates remember the rows of the input so long. All columns pass.
    StateTtl {
        /// In milliseconds; 0: for ever.
        ttl_ms: i64,
    },
    /// The end of a plan: INSERT INTO a table. The input has the table's columns, in order.
    Sink {
        /// The table, as the catalog names it.
        table: TableReference,
        /// INSERT OVERWRITE.
        overwrite: bool,
    },
}

/// A function that makes rows of a row. Two are equal if their names and the types of their arguments
/// are.
#[derive(Clone)]
pub struct CorrelatedFunction {
    name: String,
    arguments: String,
    code: Option<Arc<dyn TableFunction>>,
}

impl CorrelatedFunction {
    /// UNNEST.
    #[must_use]
    pub fn unnest() -> Self {
        Self { name: "UNNEST".to_owned(), arguments: String::new(), code: None }
    }

    /// A user's.
    #[must_use]
    pub fn of_user(name: &str, arguments: &[String], code: Arc<dyn TableFunction>) -> Self {
        Self { name: name.to_owned(), arguments: arguments.join(", "), code: Some(code) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What computes a user's.
    #[must_use]
    pub fn code(&self) -> Option<&Arc<dyn TableFunction>> {
        self.code.as_ref()
    }
}

impl fmt::Debug for CorrelatedFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name, self.arguments)
    }
}

impl PartialEq for CorrelatedFunction {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.arguments) == (&other.name, &other.arguments)
    }
}

impl Eq for CorrelatedFunction {}

impl Hash for CorrelatedFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.name, &self.arguments).hash(state);
    }
}

/// Windows that a time falls into. All in milliseconds.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WindowTable {
    /// Which.
    pub kind: WindowKind,
    /// True: the time column is a rowtime; false: the clock decides.
    pub event_time: bool,
    /// Of the older `GROUP BY TUMBLE(..)`.
    pub of_group: bool,
}

impl fmt::Debug for WindowTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, event_time, .. } = self;
        f.debug_struct("WindowTable").field("kind", kind).field("event_time", event_time).finish()
    }
}

/// Kinds of windows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WindowKind {
    /// Fixed windows side by side.
    Tumble {
        /// Their size.
        size_ms: i64,
        /// Where they begin.
        offset_ms: i64,
    },
    /// Fixed windows that overlap.
    Hop {
        /// Their size.
        size_ms: i64,
        /// From one's start to the next one's.
        slide_ms: i64,
        /// Where they begin.
        offset_ms: i64,
    },
    /// Windows of one start that grow to a size.
    Cumulate {
        /// The largest size.
        size_ms: i64,
        /// How much they grow.
        step_ms: i64,
        /// Where they begin.
        offset_ms: i64,
    },
    /// Windows that end when there is nothing for a while.
    Session {
        /// For how long.
        gap_ms: i64,
    },
}

/// Functions over windows of rows, all with the same partition and order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OverNode {
    /// How many of the node's expressions are the partition; they come first.
    pub partition: usize,
    /// Then the order: of each, whether it ascends and whether NULLs come first.
    pub order: Vec<(bool, bool)>,
    /// Then one expression a function: an aggregate call over columns, or for ranks none.
    pub functions: Vec<OverFunction>,
}

/// One function.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OverFunction {
    /// ROW_NUMBER, RANK, DENSE_RANK, PERCENT_RANK, CUME_DIST, NTILE, LEAD, LAG: its name; as many
    /// expressions follow in the node as it has arguments.
    Ranking {
        /// The function.
        name: String,
        /// Its arguments.
        arguments: usize,
    },
    /// An aggregate: one expression, the call.
    Aggregate(OverRange),
}

/// Which rows count: up to the current one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OverRange {
    /// ROWS; or RANGE: in units of the order.
    pub rows: bool,
    /// How many before; for RANGE milliseconds; `None`: unbounded.
    pub preceding: Option<i64>,
}

impl StreamingNode {
    /// As a plan.
    #[must_use]
    pub fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(datafusion_expr::Extension { node: Arc::new(self) })
    }

    /// The node of a plan, if it is one of ours.
    #[must_use]
    pub fn of(plan: &LogicalPlan) -> Option<&Self> {
        match plan {
            LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref(),
            _ => None,
        }
    }
}

impl PartialOrd for StreamingNode {
    // Plans are not put in an order; the trait asks for the possibility.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for StreamingNode {
    fn name(&self) -> &str {
        match &self.kind {
            StreamingNodeKind::Watermark => "Watermark",
            StreamingNodeKind::Window(_) => "Window",
            StreamingNodeKind::Over(_) => "Over",
            StreamingNodeKind::TemporalJoin { .. } => "TemporalJoin",
            StreamingNodeKind::Correlate { .. } => "Correlate",
            StreamingNodeKind::SetOperation { .. } => "SetOperation",
            StreamingNodeKind::Expand { .. } => "Expand",
            StreamingNodeKind::ToChangelog { .. } => "ToChangelog",
            StreamingNodeKind::FromChangelog { .. } => "FromChangelog",
            StreamingNodeKind::StateTtl { .. } => "StateTtl",
            StreamingNodeKind::Sink { .. } => "Sink",
        }
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        self.inputs.iter().collect()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.expressions.clone()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", UserDefinedLogicalNodeCore::name(self), self.kind)?;
        self.expressions.iter().try_for_each(|expression| write!(f, " {expression}"))
    }

    fn with_exprs_and_inputs(
        &self,
        expressions: Vec<Expr>,
        inputs: Vec<LogicalPlan>,
    ) -> Result<Self> {
        if expressions.len() != self.expressions.len() || inputs.len() != self.inputs.len() {
            let name = UserDefinedLogicalNodeCore::name(self);
            return plan_err!("{name} got other numbers of expressions or inputs");
        }
        Ok(Self { expressions, inputs, ..self.clone() })
    }
}
