//! Queries and windows.

use std::fmt;

use super::{Separated, commas, word};
use crate::ast::{
    FrameBound, GroupByClause, GroupingElement, NullOrder, OrderItem, SelectItem, SetOperator,
    SqlQuery, SqlQueryBody, SqlSelect, WindowFrame, WindowFrameUnit, WindowSpecification,
    WithClause,
};

impl fmt::Display for SqlQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(with) = &self.with {
            write!(f, "{with} ")?;
        }
        self.body.fmt(f)?;
        if !self.order_by.is_empty() {
            write!(f, " ORDER BY {}", commas(&self.order_by))?;
        }
        if let Some(limit) = &self.limit {
            write!(f, " LIMIT {limit}")?;
        }
        if let Some(offset) = &self.offset {
            write!(f, " OFFSET {offset}")?;
        }
        Ok(())
    }
}

impl fmt::Display for WithClause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WITH {}", word(self.recursive, "RECURSIVE "))?;
        for (index, table) in self.tables.iter().enumerate() {
            let before = if index == 0 { "" } else { ", " };
            write!(f, "{before}{}", table.name)?;
            if !table.columns.is_empty() {
                write!(f, " ({})", commas(&table.columns))?;
            }
            write!(f, " AS ({})", table.query)?;
        }
        Ok(())
    }
}

impl fmt::Display for SqlQueryBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Select(select) => select.fmt(f),
            Self::Values(rows) => write!(f, "VALUES {}", commas(rows)),
            Self::Table(name) => write!(f, "TABLE {name}"),
            Self::Query(query) => write!(f, "({query})"),
            Self::SetOperation { operator, quantifier, inputs } => {
                let operator = match operator {
                    SetOperator::Union => "UNION",
                    SetOperator::Intersect => "INTERSECT",
                    SetOperator::Except => "EXCEPT",
                };
                let between = format!(" {operator}{} ", quantifier.behind());
                Separated(inputs, &between).fmt(f)
            }
        }
    }
}

impl fmt::Display for SqlSelect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SELECT ")?;
        if !self.hints.is_empty() {
            write!(f, "/*+ {} */ ", commas(&self.hints))?;
        }
        write!(f, "{}{}", self.quantifier.before(), commas(&self.items))?;
        if let Some(from) = &self.from {
            write!(f, " FROM {from}")?;
        }
        if let Some(filter) = &self.filter {
            write!(f, " WHERE {filter}")?;
        }
        if let Some(group_by) = &self.group_by {
            write!(f, " {group_by}")?;
        }
        if let Some(having) = &self.having {
            write!(f, " HAVING {having}")?;
        }
        for (index, window) in self.windows.iter().enumerate() {
            let before = if index == 0 { " WINDOW" } else { "," };
            write!(f, "{before} {} AS {}", window.name, window.window)?;
        }
        if let Some(qualify) = &self.qualify {
            write!(f, " QUALIFY {qualify}")?;
        }
        Ok(())
    }
}

impl fmt::Display for SelectItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)?;
        self.alias.as_ref().map_or(Ok(()), |alias| write!(f, " AS {alias}"))
    }
}

impl fmt::Display for GroupByClause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GROUP BY {}{}", self.quantifier.before(), commas(&self.elements))
    }
}

impl fmt::Display for GroupingElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("()"),
            Self::Expr(expr) => expr.fmt(f),
            Self::GroupingSets(sets) => write!(f, "GROUPING SETS ({})", commas(sets)),
            Self::Rollup(exprs) => write!(f, "ROLLUP ({})", commas(exprs)),
            Self::Cube(exprs) => write!(f, "CUBE ({})", commas(exprs)),
        }
    }
}

impl fmt::Display for OrderItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nulls = match self.nulls {
            Some(NullOrder::First) => " NULLS FIRST",
            Some(NullOrder::Last) => " NULLS LAST",
            None => "",
        };
        write!(f, "{}{}{nulls}", self.expr, word(self.descending, " DESC"))
    }
}

impl fmt::Display for WindowSpecification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(base) = &self.base {
            parts.push(base.to_string());
        }
        if !self.partition_by.is_empty() {
            parts.push(format!("PARTITION BY {}", commas(&self.partition_by)));
        }
        if !self.order_by.is_empty() {
            parts.push(format!("ORDER BY {}", commas(&self.order_by)));
        }
        if let Some(frame) = &self.frame {
            parts.push(frame.to_string());
        }
        write!(f, "({})", parts.join(" "))
    }
}

impl fmt::Display for WindowFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            WindowFrameUnit::Rows => "ROWS",
            WindowFrameUnit::Range => "RANGE",
        };
        match &self.end {
            Some(end) => write!(f, "{unit} BETWEEN {} AND {end}", self.start),
            None => write!(f, "{unit} {}", self.start),
        }
    }
}

impl fmt::Display for FrameBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CurrentRow => f.write_str("CURRENT ROW"),
            Self::UnboundedPreceding => f.write_str("UNBOUNDED PRECEDING"),
            Self::UnboundedFollowing => f.write_str("UNBOUNDED FOLLOWING"),
            Self::Preceding(expr) => write!(f, "{expr} PRECEDING"),
            Self::Following(expr) => write!(f, "{expr} FOLLOWING"),
        }
    }
}
