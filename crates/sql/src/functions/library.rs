//! The functions that a session can call.

use std::{collections::BTreeMap, sync::Arc};

use hurtig_sql_functions::api::{CallError, Kernel, ScalarFunction, SqlAggregateFunction};
use hurtig_sql_parser::types::SqlDataType;
use hurtig_sql_planner::functions::{BuiltinFunctions, FunctionLibrary, SqlTableFunction};

use super::{NamedFunction, UserFunction};
use crate::SqlError;

/// Most functions of one session.
const MOST_FUNCTIONS: usize = 10_000;

/// Users' functions, and Flink's own behind them.
#[derive(Clone, Default)]
pub struct SessionFunctions {
    /// By name, in capitals.
    users: BTreeMap<String, NamedFunction>,
}

impl SessionFunctions {
    /// Adds a function, or replaces it.
    pub(crate) fn register(&mut self, name: &str, function: &UserFunction) -> Result<(), SqlError> {
        let name = name.to_uppercase();
        let named = function
            .named(&name)
            .map_err(|error| SqlError::invalid(format!("function {name}: {error}"), None))?;
        if self.users.len() >= MOST_FUNCTIONS && !self.users.contains_key(&name) {
            let text = format!("there are {MOST_FUNCTIONS} functions of users already");
            return Err(SqlError::invalid(text, None));
        }
        self.users.insert(name, named);
        Ok(())
    }

    /// Removes a function. False if there is none.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        self.users.remove(&name.to_uppercase()).is_some()
    }

    fn user(&self, name: &str) -> Option<&NamedFunction> {
        self.users.get(name)
    }
}

impl FunctionLibrary for SessionFunctions {
    fn scalar(&self, name: &str) -> Option<Arc<dyn ScalarFunction>> {
        match self.user(name) {
            Some(NamedFunction::Scalar(function)) => Some(function.clone()),
            Some(_) => None,
            None => BuiltinFunctions.scalar(name),
        }
    }

    fn aggregate(&self, name: &str) -> Option<Arc<dyn SqlAggregateFunction>> {
        match self.user(name) {
            Some(NamedFunction::Aggregate(function)) => Some(function.clone()),
            Some(_) => None,
            None => BuiltinFunctions.aggregate(name),
        }
    }

    fn table(&self, name: &str) -> Option<Arc<dyn SqlTableFunction>> {
        match self.user(name) {
            Some(NamedFunction::Table(function)) => Some(function.clone()),
            _ => None,
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names = BuiltinFunctions.names();
        names.extend(self.users.keys().cloned());
        names.sort();
        names.dedup();
        names
    }

    fn common_type(&self, types: &[SqlDataType]) -> Option<SqlDataType> {
        BuiltinFunctions.common_type(types)
    }

    fn can_implicitly_cast(&self, from: &SqlDataType, to: &SqlDataType) -> bool {
        BuiltinFunctions.can_implicitly_cast(from, to)
    }

    fn cast(
        &self,
        from: &SqlDataType,
        to: &SqlDataType,
        is_try: bool,
    ) -> Result<Arc<dyn Kernel>, CallError> {
        BuiltinFunctions.cast(from, to, is_try)
    }
}
