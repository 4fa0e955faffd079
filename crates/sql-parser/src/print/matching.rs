//! MATCH_RECOGNIZE.

use std::fmt;

use super::{Separated, commas, word};
use crate::ast::{AfterMatchSkip, MatchPattern, MatchRecognize, PatternKind, RowsPerMatch};

impl fmt::Display for MatchRecognize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MATCH_RECOGNIZE (")?;
        if !self.partition_by.is_empty() {
            write!(f, "PARTITION BY {} ", commas(&self.partition_by))?;
        }
        if !self.order_by.is_empty() {
            write!(f, "ORDER BY {} ", commas(&self.order_by))?;
        }
        for (index, (expr, name)) in self.measures.iter().enumerate() {
            let before = if index == 0 { "MEASURES " } else { ", " };
            write!(f, "{before}{expr} AS {name}")?;
        }
        f.write_str(word(!self.measures.is_empty(), " "))?;
        f.write_str(match self.rows_per_match {
            Some(RowsPerMatch::One) => "ONE ROW PER MATCH ",
            Some(RowsPerMatch::All) => "ALL ROWS PER MATCH ",
            None => "",
        })?;
        match &self.after_match {
            Some(AfterMatchSkip::ToNextRow) => f.write_str("AFTER MATCH SKIP TO NEXT ROW ")?,
            Some(AfterMatchSkip::PastLastRow) => f.write_str("AFTER MATCH SKIP PAST LAST ROW ")?,
            Some(AfterMatchSkip::ToFirst(variable)) => {
                write!(f, "AFTER MATCH SKIP TO FIRST {variable} ")?;
            }
            Some(AfterMatchSkip::ToLast(variable)) => {
                write!(f, "AFTER MATCH SKIP TO LAST {variable} ")?;
            }
            None => {}
        }
        let (start, end) = (word(self.anchored_start, "^ "), word(self.anchored_end, " $"));
        write!(f, "PATTERN ({start}{}{end})", self.pattern)?;
        if let Some(within) = &self.within {
            write!(f, " WITHIN {within}")?;
        }
        for (index, (name, variables)) in self.subsets.iter().enumerate() {
            let before = if index == 0 { " SUBSET" } else { "," };
            write!(f, "{before} {name} = ({})", commas(variables))?;
        }
        for (index, (name, condition)) in self.define.iter().enumerate() {
            let before = if index == 0 { " DEFINE" } else { "," };
            write!(f, "{before} {name} AS {condition}")?;
        }
        f.write_str(")")
    }
}

/// A pattern where only a single one can stand.
struct Single<'a>(&'a MatchPattern);

impl fmt::Display for Single<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind {
            PatternKind::Sequence(_) | PatternKind::Alternatives(_) | PatternKind::Repeated(..) => {
                write!(f, "({})", self.0)
            }
            _ => self.0.fmt(f),
        }
    }
}

impl fmt::Display for MatchPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            PatternKind::Variable(name) => name.fmt(f),
            PatternKind::Sequence(all) => {
                for (index, pattern) in all.iter().enumerate() {
                    f.write_str(word(index > 0, " "))?;
                    match pattern.kind {
                        PatternKind::Repeated(..) => pattern.fmt(f)?,
                        _ => Single(pattern).fmt(f)?,
                    }
                }
                Ok(())
            }
            PatternKind::Alternatives(all) => {
                for (index, pattern) in all.iter().enumerate() {
                    f.write_str(word(index > 0, " | "))?;
                    match pattern.kind {
                        PatternKind::Alternatives(_) => Single(pattern).fmt(f)?,
                        _ => pattern.fmt(f)?,
                    }
                }
                Ok(())
            }
            PatternKind::Permutation(all) => write!(f, "PERMUTE({})", Separated(all, ", ")),
            PatternKind::Excluded(inner) => write!(f, "{{- {inner} -}}"),
            PatternKind::Repeated(inner, quantifier) => {
                Single(inner).fmt(f)?;
                match (quantifier.least, quantifier.most) {
                    (0, None) => f.write_str("*")?,
                    (1, None) => f.write_str("+")?,
                    (0, Some(1)) => f.write_str("?")?,
                    (least, Some(most)) if least == most => write!(f, "{{{least}}}")?,
                    (least, Some(most)) => write!(f, "{{{least}, {most}}}")?,
                    (least, None) => write!(f, "{{{least},}}")?,
                }
                f.write_str(word(quantifier.reluctant, "?"))
            }
        }
    }
}
