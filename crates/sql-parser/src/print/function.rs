//! Calls of functions.

use std::fmt;

use super::commas;
use crate::ast::{
    FunctionArgument, FunctionCall, FunctionValue, NullTreatment, OverClause, SqlQueryBody,
    TableArgument,
};

impl fmt::Display for FunctionCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.name.0.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            part.write_bare(f)?;
        }
        if !self.parentheses {
            return Ok(());
        }
        write!(f, "({}{}", self.quantifier.before(), commas(&self.arguments))?;
        if !self.order_by.is_empty() {
            write!(f, " ORDER BY {}", commas(&self.order_by))?;
        }
        f.write_str(")")?;
        match self.null_treatment {
            Some(NullTreatment::Ignore) => f.write_str(" IGNORE NULLS")?,
            Some(NullTreatment::Respect) => f.write_str(" RESPECT NULLS")?,
            None => {}
        }
        if !self.within_distinct.is_empty() {
            write!(f, " WITHIN DISTINCT ({})", commas(&self.within_distinct))?;
        }
        if !self.within_group.is_empty() {
            write!(f, " WITHIN GROUP (ORDER BY {})", commas(&self.within_group))?;
        }
        if let Some(filter) = &self.filter {
            write!(f, " FILTER (WHERE {filter})")?;
        }
        match &self.over {
            Some(OverClause::Named(name)) => write!(f, " OVER {name}"),
            Some(OverClause::Window(window)) => write!(f, " OVER {window}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for FunctionArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name} => ")?;
        }
        match &self.value {
            FunctionValue::Expr(expr) => expr.fmt(f),
            FunctionValue::Table(table) => table.fmt(f),
            FunctionValue::Descriptor(columns) => write!(f, "DESCRIPTOR({})", commas(columns)),
            FunctionValue::Model(name) => write!(f, "MODEL {name}"),
            FunctionValue::Default => f.write_str("DEFAULT"),
        }
    }
}

impl fmt::Display for TableArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source.body {
            SqlQueryBody::Table(_) => self.source.fmt(f)?,
            _ => write!(f, "({})", self.source)?,
        }
        if !self.partition_by.is_empty() {
            write!(f, " PARTITION BY ({})", commas(&self.partition_by))?;
        }
        if !self.order_by.is_empty() {
            write!(f, " ORDER BY ({})", commas(&self.order_by))?;
        }
        Ok(())
    }
}
