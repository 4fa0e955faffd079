//! Which names mean which columns.

use std::collections::HashSet;

use datafusion_common::Column;
use datafusion_expr::Expr;
use hurtig_sql_parser::{ast::Ident, types::SqlDataType};

use super::{BoundExpression, WindowColumn};
use crate::{PlanError, PlanResult, types::TimeAttribute};

/// A column that can be named.
#[derive(Clone, Debug)]
pub(crate) struct ScopeColumn {
    /// The user's name.
    pub name: String,
    /// The plan's.
    pub column: String,
    /// Its type.
    pub data_type: SqlDataType,
    /// Whether it is a time attribute.
    pub time: Option<TimeAttribute>,
    /// Whether it is a column of a window.
    pub window: Option<WindowColumn>,
}

impl ScopeColumn {
    /// As an expression.
    pub fn bound(&self) -> BoundExpression {
        BoundExpression {
            expr: Expr::Column(Column::new_unqualified(&*self.column)),
            data_type: self.data_type.clone(),
            time: self.time,
            window: self.window,
        }
    }
}

/// A table in FROM.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScopeTable {
    /// What may stand before its columns: the alias, or the parts of its name.
    pub qualifier: Vec<String>,
    /// Its columns.
    pub columns: Vec<ScopeColumn>,
}

/// A column that USING or NATURAL made of two.
#[derive(Clone, Debug)]
pub(crate) struct MergedColumn {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: BoundExpression,
    /// Of NATURAL: Flink wants a qualifier when it is named.
    pub natural: bool,
}

/// Everything that FROM makes nameable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// The tables, from left to right.
    pub tables: Vec<ScopeTable>,
    /// Columns of USING and NATURAL.
    pub merged: Vec<MergedColumn>,
}

/// What a name begins with, and the fields that follow.
pub(crate) struct Resolved<'n> {
    /// The column.
    pub value: BoundExpression,
    /// Fields in it.
    pub fields: &'n [Ident],
}

impl Scope {
    /// A scope of one table.
    pub fn of(qualifier: Vec<String>, columns: Vec<ScopeColumn>) -> Self {
        Self { tables: vec![ScopeTable { qualifier, columns }], merged: Vec::new() }
    }

    /// All columns.
    pub fn columns(&self) -> impl Iterator<Item = &ScopeColumn> {
        self.tables.iter().flat_map(|table| &table.columns)
    }

    /// What a name means here, if anything.
    pub fn resolve<'n>(&self, name: &'n [Ident]) -> PlanResult<Option<Resolved<'n>>> {
        // The longest qualifier first: `t.a.b` is column a of t, unless t is a column.
        for length in (1..name.len().min(4)).rev() {
            let (qualifier, rest) = name.split_at(length);
            let tables: Vec<&ScopeTable> =
                self.tables.iter().filter(|table| table.is_named(qualifier)).collect();
            if tables.is_empty() {
                continue;
            }
            let found = tables
                .iter()
                .flat_map(|table| &table.columns)
                .filter(|column| column.name == rest[0].value);
            if let Some(column) = only(found, &rest[0])? {
                return Ok(Some(Resolved { value: column.bound(), fields: &rest[1..] }));
            }
            if length == 1 && self.columns().any(|column| column.name == name[0].value) {
                continue;
            }
            let span = rest[0].span;
            let message = format!(
                "Column '{}' not found in table '{}'",
                rest[0].value,
                qualifier[length - 1].value
            );
            let names = tables.iter().flat_map(|table| &table.columns).map(|one| &*one.name);
            return Err(PlanError::at(span, message).nearest(&rest[0].value, names));
        }
        let merged = self.merged.iter().find(|column| column.name == name[0].value);
        if let Some(merged) = merged {
            if merged.natural {
                return Err(ambiguous(&name[0]));
            }
            return Ok(Some(Resolved { value: merged.value.clone(), fields: &name[1..] }));
        }
        let found = self.columns().filter(|column| column.name == name[0].value);
        let found = only(found, &name[0])?;
        Ok(found.map(|column| Resolved { value: column.bound(), fields: &name[1..] }))
    }

    /// The columns of `*`, with their names.
    pub fn all(&self) -> Vec<(String, BoundExpression)> {
        let merged = self.merged.iter().map(|one| (one.name.clone(), one.value.clone()));
        let own = self
            .columns()
            .filter(|column| !self.merged.iter().any(|merged| merged.name == column.name));
        merged.chain(own.map(|column| (column.name.clone(), column.bound()))).collect()
    }

    /// A name that `*`, or `t.*`, cannot mean: one table has it more than once.
    pub fn duplicate(&self, qualifier: &[Ident]) -> Option<&str> {
        let meant = |table: &&ScopeTable| qualifier.is_empty() || table.is_named(qualifier);
        self.tables.iter().filter(meant).find_map(ScopeTable::duplicate)
    }

    /// The columns of `t.*`.
    pub fn all_of(&self, qualifier: &[Ident]) -> PlanResult<Vec<(String, BoundExpression)>> {
        let table = self.tables.iter().find(|table| table.is_named(qualifier));
        let table = table.ok_or_else(|| {
            let name = qualifier.last().map_or("", |one| &*one.value);
            let span = qualifier[0].span;
            let names = self.tables.iter().filter_map(|one| one.qualifier.last());
            PlanError::at(span, format!("Unknown identifier '{name}'"))
                .nearest(name, names.map(String::as_str))
        })?;
        Ok(table.columns.iter().map(|one| (one.name.clone(), one.bound())).collect())
    }
}

impl ScopeTable {
    /// A name that several of its columns have.
    pub fn duplicate(&self) -> Option<&str> {
        duplicate(self.columns.iter().map(|column| &*column.name))
    }

    /// Whether the parts are the end of its name.
    fn is_named(&self, parts: &[Ident]) -> bool {
        !self.qualifier.is_empty()
            && parts.len() <= self.qualifier.len()
            && self.qualifier[self.qualifier.len() - parts.len()..]
                .iter()
                .zip(parts)
                .all(|(own, part)| *own == part.value)
    }
}

/// The first name that has been there before.
pub(crate) fn duplicate<'n>(mut names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let mut seen = HashSet::new();
    names.find(|name| !seen.insert(*name))
}

fn only<'c>(
    mut found: impl Iterator<Item = &'c ScopeColumn>,
    name: &Ident,
) -> PlanResult<Option<&'c ScopeColumn>> {
    let first = found.next();
    if found.next().is_some() { Err(ambiguous(name)) } else { Ok(first) }
}

/// A name that may mean several columns.
pub(crate) fn ambiguous(name: &Ident) -> PlanError {
    PlanError::at(name.span, format!("Column '{}' is ambiguous", name.value))
        .hint("write the table's name before it")
}
