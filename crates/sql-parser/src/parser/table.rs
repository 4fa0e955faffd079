//! CREATE TABLE, REPLACE TABLE, and CREATE MATERIALIZED TABLE.

use super::{Parsed, Parser};
use crate::{
    ast::{
        CreateMaterializedTable, CreateTable, LikeClause, LikeFeature, LikeMerging, RefreshMode,
        StatementKind, TableElements,
    },
    error::SqlParseError,
    lexer::Symbol,
    span::Span,
};

/// Words that stand before TABLE.
#[derive(Clone, Copy, Default)]
pub(super) struct TableWords {
    pub temporary: bool,
    pub or_replace: bool,
    pub replace: bool,
}

impl Parser<'_> {
    /// REPLACE TABLE
    pub(super) fn replace_table(&mut self) -> Parsed<StatementKind> {
        let start = self.bump().span;
        let temporary = self.eat_word("TEMPORARY");
        self.expect_word("TABLE")?;
        self.create_table(TableWords { temporary, or_replace: false, replace: true }, start)
    }

    /// What follows TABLE in CREATE TABLE and REPLACE TABLE.
    pub(super) fn create_table(&mut self, words: TableWords, start: Span) -> Parsed<StatementKind> {
        let if_not_exists = self.if_not_exists();
        let name = self.object_name("a table")?;
        let elements = self.table_elements()?;
        let mut table = CreateTable {
            temporary: words.temporary,
            or_replace: words.or_replace,
            replace: words.replace,
            if_not_exists,
            name,
            elements,
            comment: self.comment()?,
            distribution: self.distributed()?,
            partitioned_by: self.partitioned_by()?,
            options: self.with_options()?,
            like: None,
            query: None,
        };
        if self.eat_word("LIKE") {
            table.like = Some(self.like_clause()?);
        } else if self.eat_word("AS") {
            table.query = Some(Box::new(self.query()?));
        }
        let span = self.since(start);
        if table.query.is_none() {
            if words.replace || words.or_replace {
                let message = "a table can be replaced only by that of a query";
                return Err(SqlParseError::syntax(span, message)
                    .hint("REPLACE TABLE t WITH (...) AS SELECT ..."));
            }
            if matches!(table.elements, TableElements::Names(_)) {
                let message = "columns without types need a query that gives them";
                return Err(SqlParseError::syntax(table.name.span().to(span), message));
            }
        }
        Ok(StatementKind::CreateTable(Box::new(table)))
    }

    fn like_clause(&mut self) -> Parsed<LikeClause> {
        const MERGING: [(&str, LikeMerging); 3] = [
            ("INCLUDING", LikeMerging::Including),
            ("EXCLUDING", LikeMerging::Excluding),
            ("OVERWRITING", LikeMerging::Overwriting),
        ];
        const FEATURES: [(&str, LikeFeature); 8] = [
            ("ALL", LikeFeature::All),
            ("CONSTRAINTS", LikeFeature::Constraints),
            ("DISTRIBUTION", LikeFeature::Distribution),
            ("GENERATED", LikeFeature::Generated),
            ("METADATA", LikeFeature::Metadata),
            ("OPTIONS", LikeFeature::Options),
            ("PARTITIONS", LikeFeature::Partitions),
            ("WATERMARKS", LikeFeature::Watermarks),
        ];
        let table = self.object_name("a table")?;
        let mut options = Vec::new();
        if self.eat(Symbol::LeftParen) {
            loop {
                let merging = MERGING.iter().find(|(word, _)| self.eat_word(word));
                let Some((_, merging)) = merging else { return Err(self.unexpected()) };
                let at = self.peek().span;
                let feature = FEATURES.iter().find(|(word, _)| self.eat_word(word));
                let Some((_, feature)) = feature else { return Err(self.unexpected()) };
                check_like(*merging, *feature, &options, at)?;
                options.push((*merging, *feature));
                if self.eat(Symbol::RightParen) {
                    break;
                }
            }
        }
        Ok(LikeClause { table, options })
    }

    /// What follows MATERIALIZED TABLE in CREATE.
    pub(super) fn create_materialized_table(&mut self, or_alter: bool) -> Parsed<StatementKind> {
        let name = self.object_name("a table")?;
        let elements = self.table_elements()?;
        let comment = self.comment()?;
        let distribution = self.distributed()?;
        let partitioned_by = self.partitioned_by()?;
        let options = self.with_options()?;
        let freshness = if self.eat_word("FRESHNESS") {
            self.expect(Symbol::Equal)?;
            Some(self.interval_literal()?)
        } else {
            None
        };
        let refresh_mode = if self.eat_word("REFRESH_MODE") {
            self.expect(Symbol::Equal)?;
            Some(self.refresh_mode()?)
        } else {
            None
        };
        self.expect_word("AS")?;
        let query = Box::new(self.query()?);
        Ok(StatementKind::CreateMaterializedTable(Box::new(CreateMaterializedTable {
            or_alter,
            name,
            elements,
            comment,
            distribution,
            partitioned_by,
            options,
            freshness,
            refresh_mode,
            query,
        })))
    }

    pub(super) fn refresh_mode(&mut self) -> Parsed<RefreshMode> {
        if self.eat_word("FULL") {
            return Ok(RefreshMode::Full);
        }
        self.expect_word("CONTINUOUS")?;
        Ok(RefreshMode::Continuous)
    }
}

/// Each feature is named once, and only those that can be merged are overwritten.
fn check_like(
    merging: LikeMerging,
    feature: LikeFeature,
    before: &[(LikeMerging, LikeFeature)],
    at: Span,
) -> Parsed<()> {
    if before.iter().any(|(_, known)| *known == feature) {
        return Err(SqlParseError::invalid(at, "the feature is named twice"));
    }
    let whole = [
        LikeFeature::All,
        LikeFeature::Constraints,
        LikeFeature::Distribution,
        LikeFeature::Partitions,
    ];
    if merging == LikeMerging::Overwriting && whole.contains(&feature) {
        let message = "this feature cannot be overwritten";
        return Err(
            SqlParseError::invalid(at, message).hint("INCLUDING or EXCLUDING it is possible")
        );
    }
    Ok(())
}
