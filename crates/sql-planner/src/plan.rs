//! The logical plan: DataFusion's, under three conventions.
//!
//! 1. **Columns have no qualifiers, and names that are unique in the whole statement**: `price#17`,
//!    the name that the user knows and a number. The binder alone knows scopes. Names that leave
//!    (of a sink, of the result) are kept beside the plan.
//! 2. **Every field carries its data type** ([`hurtig_sql_common::columns`]) and, if it is one,
//!    which time attribute it is. Fields of expressions have it, too: functions, casts, aggregates
//!    and literals give theirs by `return_field`, literals by their metadata.
//! 3. **Semantics are Flink's.** Arithmetic, casts and functions are kernels of
//!    `hurtig-sql-functions` in the coat of a [`datafusion_expr::ScalarUDF`]. DataFusion's own
//!    expressions are used where they mean the same: columns, literals, AND, OR, NOT, CASE, the
//!    comparisons of equal types, IS [NOT] NULL, IS [NOT] TRUE/FALSE/UNKNOWN, IS [NOT] DISTINCT
//!    FROM, IN of a list, and, before the optimiser, subqueries and outer references.
//!
//! Nodes of DataFusion that may occur: `TableScan` (its source is a [`TableRef`]), `Projection`,
//! `Filter`, `Join`, `Aggregate`, `Union`, `Distinct::All`, `Limit`, `Sort`, `Values`,
//! `EmptyRelation`, `Subquery` inside of expressions, and `Extension` with a [`StreamingNode`].

mod node;

pub use crate::catalog::TableRef;
pub use node::{
    CorrelatedFunction, OverFunction, OverNode, OverRange, StreamingNode, StreamingNodeKind,
    WindowKind, WindowTable,
};
