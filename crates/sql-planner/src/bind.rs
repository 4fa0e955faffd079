//! Binding: from syntax trees to logical plans, with Flink's rules of names and types.
//!
//! - [`Binder`]: queries, INSERT, and expressions over a table's columns.
//! - [`scope`]: which names mean which columns.
//! - [`expression`], [`literal`], [`call`], [`builtin`], [`compare`], [`subquery`]: expressions.
//! - [`select`], [`group`], [`over`], [`output`]: SELECT; [`from`], [`join`], [`window`], [`unnest`],
//!   [`scan`]: FROM; [`set_operation`]: VALUES and set operations; [`insert`]: INSERT.
//!
//! Every column of a plan gets a name that is unique in the statement. A user's names live in scopes
//! only. Constants are folded where calls are bound, if they have a value.

mod builtin;
mod call;
mod changelog;
mod compare;
mod expression;
mod from;
mod group;
mod hints;
mod insert;
mod join;
mod literal;
mod output;
mod over;
mod scan;
mod scope;
mod select;
mod set_operation;
mod subquery;
mod unnest;
mod window;

use std::{cell::Cell, rc::Rc, sync::Arc};

use datafusion_expr::{Expr, LogicalPlan};
use hurtig_sql_common::SqlContext;
use hurtig_sql_parser::{ast, types::SqlDataType};

pub use insert::BoundInsert;
pub(crate) use scope::{Scope, ScopeColumn};

use crate::{
    PlanError, PlanResult, catalog::Catalogs, functions::FunctionLibrary, types::TimeAttribute,
};

/// Views in views in views.
const MAX_VIEW_DEPTH: u32 = 50;
/// Queries in queries: what is written, and the views and common tables that it names. Each makes a
/// plan a few levels higher, and whoever walks plans recurses.
const MAX_QUERY_DEPTH: u32 = 200;
/// Expressions in expressions, those around a query counted, too.
const MAX_EXPRESSION_DEPTH: u32 = 2_000;
/// Tables, views and queries that one statement reads from, however often it names them.
const MAX_TABLES: u32 = 1_000;

/// Binds statements against catalogs. One binder for each statement.
#[derive(Clone)]
pub struct Binder<'a> {
    catalogs: &'a Catalogs,
    library: &'a dyn FunctionLibrary,
    context: Arc<SqlContext>,
    names: Rc<Cell<u64>>,
    depth: Rc<Depth>,
    view_depth: u32,
    common: Option<Rc<from::CommonTables>>,
    /// The STATE_TTL hint of the SELECT whose FROM is bound.
    ttl: Option<Rc<hints::StateTtlHint>>,
}

/// How much of a statement is being bound, and was. Shared by the binders of its views.
#[derive(Debug, Default)]
struct Depth {
    queries: Cell<u32>,
    expressions: Cell<u32>,
    tables: Cell<u32>,
}

/// Being inside of something that is counted.
struct Inside<'c>(&'c Cell<u32>);

impl<'c> Inside<'c> {
    fn enter(count: &'c Cell<u32>, most: u32, what: &str) -> PlanResult<Self> {
        if count.get() >= most {
            return Err(PlanError::new(format!("{what} are nested more than {most} levels deep")));
        }
        count.set(count.get() + 1);
        Ok(Self(count))
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A query as a plan.
#[derive(Clone, Debug)]
pub struct BoundQuery {
    /// The plan.
    pub plan: LogicalPlan,
    /// What it gives: the user's name, the plan's column, the type.
    pub columns: Vec<(String, String, SqlDataType)>,
}

/// An expression and what is known of it.
#[derive(Clone, Debug)]
pub struct BoundExpression {
    /// The expression.
    pub expr: Expr,
    /// Its type.
    pub data_type: SqlDataType,
    /// Whether it is a time attribute.
    pub time: Option<TimeAttribute>,
    /// Whether it is a column of a window.
    pub(crate) window: Option<WindowColumn>,
}

/// What a column of a window table function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WindowColumn {
    /// window_start
    Start,
    /// window_end
    End,
    /// window_time
    Time,
}

impl BoundExpression {
    /// A value without more to know.
    pub(crate) fn new(expr: Expr, data_type: SqlDataType) -> Self {
        Self { expr, data_type, time: None, window: None }
    }
}

/// A plan and the columns it gives, while its query is bound.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    /// The plan.
    pub plan: LogicalPlan,
    /// Its columns.
    pub columns: Vec<ScopeColumn>,
}

impl<'a> Binder<'a> {
    /// A binder for one statement.
    #[must_use]
    pub fn new(
        catalogs: &'a Catalogs,
        library: &'a dyn FunctionLibrary,
        context: Arc<SqlContext>,
    ) -> Self {
        Self {
            catalogs,
            library,
            context,
            names: Rc::new(Cell::new(0)),
            depth: Rc::default(),
            view_depth: 0,
            common: None,
            ttl: None,
        }
    }

    /// A query. The names of its columns differ.
    pub fn bind_query(&self, query: &ast::SqlQuery) -> PlanResult<BoundQuery> {
        let mut bound = self.bind_as_written(query)?;
        let names = bound.columns.iter_mut().map(|(name, ..)| std::mem::take(name));
        let names = output::unique_names(names.collect::<Vec<_>>().into_iter());
        for ((name, ..), unique) in bound.columns.iter_mut().zip(names) {
            *name = unique;
        }
        Ok(bound)
    }

    /// A query under the names that it gives its columns, which may be equal.
    pub(crate) fn bind_as_written(&self, query: &ast::SqlQuery) -> PlanResult<BoundQuery> {
        let relation = self.ordered_query(query, &[])?;
        let columns = relation.columns.into_iter();
        let columns = columns.map(|one| (one.name, one.column, one.data_type)).collect();
        Ok(BoundQuery { plan: relation.plan, columns })
    }

    /// A name that no other column of the statement has.
    pub(crate) fn unique(&self, name: &str) -> String {
        let number = self.names.get();
        self.names.set(number + 1);
        format!("{name}#{number}")
    }

    /// Counts one more table.
    fn count_table(&self) -> PlanResult<()> {
        let tables = &self.depth.tables;
        tables.set(tables.get() + 1);
        if tables.get() > MAX_TABLES {
            let message = format!("the statement reads from more than {MAX_TABLES} tables");
            return Err(PlanError::new(message));
        }
        Ok(())
    }

    /// The same with other catalogs, for the query of a view.
    fn within_view<'b>(&self, catalogs: &'b Catalogs) -> PlanResult<Binder<'b>>
    where
        'a: 'b,
    {
        if self.view_depth >= MAX_VIEW_DEPTH {
            return Err(PlanError::new(format!("views are nested deeper than {MAX_VIEW_DEPTH}")));
        }
        Ok(Binder {
            catalogs,
            library: self.library,
            context: self.context.clone(),
            names: self.names.clone(),
            depth: self.depth.clone(),
            view_depth: self.view_depth + 1,
            common: None,
            ttl: None,
        })
    }
}
