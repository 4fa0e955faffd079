//! FROM.

use std::fmt;

use super::{TextLiteral, commas, word};
use crate::ast::{
    FromClause, FromJoin, Ident, JoinConstraint, JoinKind, TableFactor, TableFactorKind, TableHint,
    TableHintOptions,
};

impl fmt::Display for FromClause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        self.joins.iter().try_for_each(|join| join.fmt(f))
    }
}

impl fmt::Display for FromJoin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = match self.kind {
            JoinKind::Comma => return write!(f, ", {}", self.right),
            JoinKind::Cross => "CROSS",
            JoinKind::Inner => "INNER",
            JoinKind::Left => "LEFT",
            JoinKind::Right => "RIGHT",
            JoinKind::Full => "FULL",
        };
        write!(f, " {}{join} JOIN {}", word(self.natural, "NATURAL "), self.right)?;
        match &self.constraint {
            Some(JoinConstraint::On(expr)) => write!(f, " ON {expr}"),
            Some(JoinConstraint::Using(columns)) => write!(f, " USING ({})", commas(columns)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for TableFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        if let Some(alias) = &self.alias {
            write!(f, " AS {}", alias.name)?;
            if !alias.columns.is_empty() {
                write!(f, " ({})", commas(&alias.columns))?;
            }
        }
        if let Some(sample) = &self.sample {
            let method = if sample.bernoulli { "BERNOULLI" } else { "SYSTEM" };
            write!(f, " TABLESAMPLE {method} ({})", sample.percentage)?;
            if let Some(seed) = &sample.seed {
                write!(f, " REPEATABLE ({seed})")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for TableFactorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table { name, hints, system_time } => {
                name.fmt(f)?;
                if !hints.is_empty() {
                    write!(f, " /*+ {} */", commas(hints))?;
                }
                match system_time {
                    Some(time) => write!(f, " FOR SYSTEM_TIME AS OF {time}"),
                    None => Ok(()),
                }
            }
            Self::Function { call, lateral, wrapped: true } => {
                write!(f, "{}TABLE({call})", word(*lateral, "LATERAL "))
            }
            Self::Function { call, .. } => call.fmt(f),
            Self::Query { query, lateral } => {
                write!(f, "{}({query})", word(*lateral, "LATERAL "))
            }
            Self::Unnest { operands, ordinality } => {
                let ordinality = word(*ordinality, " WITH ORDINALITY");
                write!(f, "UNNEST({}){ordinality}", commas(operands))
            }
            Self::Joins(joins) => write!(f, "({joins})"),
            Self::Match { input, clause } => write!(f, "{input} {clause}"),
        }
    }
}

impl fmt::Display for TableHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)?;
        match &self.options {
            TableHintOptions::None => Ok(()),
            TableHintOptions::KeyValues(pairs) => {
                f.write_str("(")?;
                for (index, (key, value)) in pairs.iter().enumerate() {
                    let before = if index == 0 { "" } else { ", " };
                    write!(f, "{before}{} = {}", HintKey(key), TextLiteral(value))?;
                }
                f.write_str(")")
            }
            TableHintOptions::Names(names) => write!(f, "({})", commas(names)),
            TableHintOptions::Literals(literals) => write!(f, "({})", commas(literals)),
        }
    }
}

/// The key of a hint, which is a text if it was quoted.
struct HintKey<'a>(&'a Ident);

impl fmt::Display for HintKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.quoted { TextLiteral(&self.0.value).fmt(f) } else { self.0.fmt(f) }
    }
}
