//! Functions of users, in Rust.
//!
//! - [`UserFunction`]: a scalar, table or aggregate function, made of a closure or an
//!   [`UserAggregateFunction`]; its types are those of Rust ([`crate::values`]).
//! - [`SessionFunctions`]: what a session can call: users' functions before Flink's own.
//!
//! An argument whose Rust type is no `Option` is not called with NULL: a scalar function gives NULL, a
//! table function no rows, an aggregate function leaves the row out. Arguments are cast as far as Flink
//! casts without being asked.

mod aggregate;
mod arguments;
mod library;
mod scalar;
mod table;

use std::sync::Arc;

use arrow_array::ArrayRef;
use hurtig_sql_common::{EvalError, SqlContext, columns::type_of_text};
use hurtig_sql_functions::{
    api::{CallArgument, CallError, ScalarFunction, SqlAggregateFunction},
    types::can_implicitly_cast,
};
use hurtig_sql_parser::types::SqlDataType;
use hurtig_sql_planner::functions::SqlTableFunction;
use serde::{Serialize, de::DeserializeOwned};

pub use aggregate::UserAggregateFunction;
pub use arguments::{Arguments, Function};
pub use library::SessionFunctions;

use crate::values::RowValueError;

/// A function of a user's.
#[derive(Clone)]
pub struct UserFunction {
    kind: UserFunctionKind,
    deterministic: bool,
}

#[derive(Clone)]
enum UserFunctionKind {
    Scalar(scalar::ScalarDefinition),
    Table(table::TableDefinition),
    Aggregate(aggregate::AggregateDefinition),
    /// Its types are none of SQL; told where it is registered.
    Wrong(RowValueError),
}

impl UserFunction {
    fn of<T>(made: Result<T, RowValueError>, kind: impl FnOnce(T) -> UserFunctionKind) -> Self {
        let kind = made.map_or_else(UserFunctionKind::Wrong, kind);
        Self { kind, deterministic: true }
    }

    /// A function of a row's values: `|name: String, times: Option<i32>| ...`.
    pub fn scalar<A, R>(f: impl Function<A, R>) -> Self
    where
        A: Arguments,
        R: Serialize + DeserializeOwned + 'static,
    {
        let made = scalar::ScalarDefinition::new::<A, R>(move |arguments| Ok(f.call(arguments)));
        Self::of(made, UserFunctionKind::Scalar)
    }

    /// The same, of one that may fail: then the job does, with the error's text.
    pub fn try_scalar<A, R, E>(f: impl Function<A, Result<R, E>>) -> Self
    where
        A: Arguments,
        R: Serialize + DeserializeOwned + 'static,
        E: std::fmt::Display,
    {
        let made = scalar::ScalarDefinition::new::<A, R>(move |arguments| {
            f.call(arguments).map_err(|error| EvalError::Value(error.to_string()))
        });
        Self::of(made, UserFunctionKind::Scalar)
    }

    /// A function of whole columns, by the types of its arguments and its result as SQL writes them.
    /// It is called with columns of equal length and gives as many values.
    pub fn vectorized(
        arguments: &[&str],
        result: &str,
        f: impl Fn(&[ArrayRef], &SqlContext) -> Result<ArrayRef, EvalError> + Send + Sync + 'static,
    ) -> Self {
        let types = arguments.iter().map(|text| sql_type(text)).collect::<Result<Vec<_>, _>>();
        let made = types.and_then(|types| Ok((types, sql_type(result)?)));
        let made = made.map(|(types, result)| {
            scalar::ScalarDefinition::vectorized(types, result, Arc::new(f))
        });
        Self::of(made, UserFunctionKind::Scalar)
    }

    /// A function that makes any number of rows: of structs, tuples, or single values.
    pub fn table<A, I>(f: impl Function<A, I>) -> Self
    where
        A: Arguments,
        I: IntoIterator,
        I::Item: Serialize + DeserializeOwned + 'static,
    {
        Self::of(table::TableDefinition::new::<A, I>(f), UserFunctionKind::Table)
    }

    /// A function of many rows' values.
    pub fn aggregate(f: impl UserAggregateFunction) -> Self {
        Self::of(aggregate::AggregateDefinition::new(f), UserFunctionKind::Aggregate)
    }

    /// The same, which may give different results for equal arguments: it is called for each row, also
    /// with constants.
    #[must_use]
    pub fn non_deterministic(self) -> Self {
        Self { deterministic: false, ..self }
    }

    /// The function under a name, in capitals.
    pub(crate) fn named(&self, name: &str) -> Result<NamedFunction, RowValueError> {
        Ok(match &self.kind {
            UserFunctionKind::Scalar(definition) => {
                NamedFunction::Scalar(Arc::new(definition.named(name, self.deterministic)))
            }
            UserFunctionKind::Table(definition) => {
                NamedFunction::Table(Arc::new(definition.named(name)))
            }
            UserFunctionKind::Aggregate(definition) => {
                NamedFunction::Aggregate(Arc::new(definition.named(name)))
            }
            UserFunctionKind::Wrong(error) => return Err(error.clone()),
        })
    }
}

/// A function as the planner wants it.
#[derive(Clone)]
pub(crate) enum NamedFunction {
    Scalar(Arc<dyn ScalarFunction>),
    Table(Arc<dyn SqlTableFunction>),
    Aggregate(Arc<dyn SqlAggregateFunction>),
}

fn sql_type(text: &str) -> Result<SqlDataType, RowValueError> {
    type_of_text(text).map_err(|_| RowValueError(format!("'{text}' is no type of SQL")))
}

fn value_error(name: &str, error: &RowValueError) -> EvalError {
    EvalError::Value(format!("{name}: {error}"))
}

/// What the arguments of a call are cast to.
fn casts(
    name: &str,
    arguments: &[CallArgument],
    parameters: &[SqlDataType],
) -> Result<Vec<SqlDataType>, CallError> {
    let shown = |types: Vec<String>| format!("{name}({})", types.join(", "));
    let wrong = || {
        let found = arguments.iter().map(|one| one.data_type.to_string()).collect();
        let wanted = parameters.iter().map(ToString::to_string).collect();
        CallError(format!(
            "Invalid function call: {}. It is declared as {}.",
            shown(found),
            shown(wanted)
        ))
    };
    if arguments.len() != parameters.len() {
        return Err(wrong());
    }
    let cast = |(argument, parameter): (&CallArgument, &SqlDataType)| {
        // NULL is dealt with when it comes.
        let to = SqlDataType::nullable(parameter.kind.clone());
        if !can_implicitly_cast(&argument.data_type, &to) {
            return Err(wrong());
        }
        Ok(SqlDataType { kind: to.kind, nullable: argument.data_type.nullable })
    };
    arguments.iter().zip(parameters).map(cast).collect()
}

/// Whether a call may meet a NULL that it is not called with.
fn may_be_skipped(arguments: &[CallArgument], parameters: &[SqlDataType]) -> bool {
    arguments.iter().zip(parameters).any(|(one, to)| one.data_type.nullable && !to.nullable)
}
