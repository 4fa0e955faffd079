//! FROM.

use sqlparser::ast as sql;

use super::{Lowered, Lowering};
use crate::ast::{
    FromClause, FromJoin, JoinConstraint, JoinKind, ObjectName, TableAlias, TableFactor,
    TableFactorKind, TableHint, TableHintOptions,
};

impl Lowering<'_> {
    pub(super) fn tables_of(&self, from: &FromClause) -> Lowered<sql::TableWithJoins> {
        let joins = from.joins.iter().map(|join| self.join(join));
        let joins = joins.collect::<Lowered<_>>()?;
        Ok(sql::TableWithJoins { relation: self.factor(&from.first)?, joins })
    }

    fn join(&self, join: &FromJoin) -> Lowered<sql::Join> {
        let constraint = match &join.constraint {
            _ if join.natural => sql::JoinConstraint::Natural,
            None => sql::JoinConstraint::None,
            Some(JoinConstraint::On(expr)) => sql::JoinConstraint::On(self.lower_expr(expr)?),
            Some(JoinConstraint::Using(columns)) => {
                let columns = columns.iter().map(|column| vec![self.ident(column)].into());
                sql::JoinConstraint::Using(columns.collect())
            }
        };
        let join_operator = match join.kind {
            JoinKind::Comma | JoinKind::Cross => sql::JoinOperator::CrossJoin(constraint),
            JoinKind::Inner => sql::JoinOperator::Inner(constraint),
            JoinKind::Left => sql::JoinOperator::LeftOuter(constraint),
            JoinKind::Right => sql::JoinOperator::RightOuter(constraint),
            JoinKind::Full => sql::JoinOperator::FullOuter(constraint),
        };
        Ok(sql::Join { relation: self.factor(&join.right)?, global: false, join_operator })
    }

    pub(super) fn alias(&self, alias: &TableAlias) -> sql::TableAlias {
        let column =
            |column| sql::TableAliasColumnDef { name: self.ident(column), data_type: None };
        sql::TableAlias {
            explicit: true,
            name: self.ident(&alias.name),
            columns: alias.columns.iter().map(column).collect(),
            at: None,
        }
    }

    /// A table without anything.
    pub(super) fn table(&self, name: &ObjectName) -> sql::TableFactor {
        sql::TableFactor::Table {
            name: self.object_name(name),
            alias: None,
            args: None,
            with_hints: Vec::new(),
            version: None,
            with_ordinality: false,
            partitions: Vec::new(),
            json_path: None,
            sample: None,
            index_hints: Vec::new(),
        }
    }

    fn factor(&self, factor: &TableFactor) -> Lowered<sql::TableFactor> {
        if factor.sample.is_some() {
            return self.refuse(factor.span, "TABLESAMPLE");
        }
        let alias = factor.alias.as_ref().map(|alias| self.alias(alias));
        Ok(match &factor.kind {
            TableFactorKind::Table { name, hints, system_time } => {
                let mut table = self.table(name);
                if let sql::TableFactor::Table { alias: a, with_hints, version, .. } = &mut table {
                    *a = alias;
                    let hints = hints.iter().map(|hint| self.hint(hint));
                    *with_hints = hints.collect::<Lowered<_>>()?;
                    let time = self.optional(system_time.as_deref())?;
                    *version = time.map(sql::TableVersion::ForSystemTimeAsOf);
                }
                table
            }
            TableFactorKind::Function { call, lateral, .. } => {
                let arguments = call.arguments.iter().map(|argument| self.argument(argument));
                sql::TableFactor::Function {
                    lateral: *lateral,
                    name: self.object_name(&call.name),
                    args: arguments.collect::<Lowered<_>>()?,
                    with_ordinality: false,
                    alias,
                }
            }
            TableFactorKind::Query { query, lateral } => sql::TableFactor::Derived {
                lateral: *lateral,
                subquery: Box::new(self.lower_query(query)?),
                alias,
                sample: None,
            },
            TableFactorKind::Unnest { operands, ordinality } => sql::TableFactor::UNNEST {
                alias,
                array_exprs: self.all(operands)?,
                with_offset: false,
                with_offset_alias: None,
                with_ordinality: *ordinality,
            },
            TableFactorKind::Joins(joins) => sql::TableFactor::NestedJoin {
                table_with_joins: Box::new(self.tables_of(joins)?),
                alias,
            },
            TableFactorKind::Match { clause, .. } => {
                return self.refuse(clause.span, "MATCH_RECOGNIZE");
            }
        })
    }

    /// `OPTIONS('k', 'v', ...)`: keys and values in turn.
    fn hint(&self, hint: &TableHint) -> Lowered<sql::Expr> {
        let span = hint.name.span;
        let arguments = match &hint.options {
            TableHintOptions::None => Vec::new(),
            TableHintOptions::KeyValues(pairs) => pairs
                .iter()
                .flat_map(|(key, value)| [self.text(&key.value, key.span), self.text(value, span)])
                .collect(),
            TableHintOptions::Names(names) => {
                names.iter().map(|name| sql::Expr::Identifier(self.ident(name))).collect()
            }
            TableHintOptions::Literals(literals) => self.all(literals)?,
        };
        Ok(self.call(&hint.name.value, arguments, span))
    }
}
