//! Columns, constraints and watermarks.

use super::{Parsed, Parser};
use crate::{
    ast::{
        ColumnDefinition, ColumnKind, DistributionKind, DistributionSpec, Ident, TableConstraint,
        TableElements, TableSchema, WatermarkSpec,
    },
    error::SqlParseError,
    lexer::Symbol,
    span::Span,
};

impl Parser<'_> {
    /// What stands in the parentheses behind a table's name, if there are any.
    pub(super) fn table_elements(&mut self) -> Parsed<TableElements> {
        if !self.is_symbol(Symbol::LeftParen) {
            return Ok(TableElements::None);
        }
        let mut ahead = 1;
        while self.is_ident_at(ahead) && self.is_symbol_at(ahead + 1, Symbol::Dot) {
            ahead += 2;
        }
        let names = self.is_ident_at(ahead)
            && (self.is_symbol_at(ahead + 1, Symbol::Comma)
                || self.is_symbol_at(ahead + 1, Symbol::RightParen));
        if names {
            let names = self.parenthesized(|parser| parser.object_name("a column"))?;
            return Ok(TableElements::Names(names));
        }
        Ok(TableElements::Schema(self.table_schema()?))
    }

    /// Columns, constraints and a watermark in parentheses.
    pub(super) fn table_schema(&mut self) -> Parsed<TableSchema> {
        let start = self.peek().span;
        let mut schema = TableSchema::default();
        self.expect(Symbol::LeftParen)?;
        loop {
            self.schema_element(&mut schema)?;
            if !self.eat(Symbol::Comma) {
                break;
            }
        }
        self.expect(Symbol::RightParen)?;
        schema.span = self.since(start);
        self.check_schema(&schema)?;
        Ok(schema)
    }

    /// What can be said without knowing anything else: names are unique, there is one primary key.
    fn check_schema(&self, schema: &TableSchema) -> Parsed<()> {
        let mut names = std::collections::HashSet::new();
        for column in &schema.columns {
            if !names.insert(column.name.last()) {
                let message = format!("the column `{}` is there twice", column.name.last());
                return Err(SqlParseError::invalid(column.name.span(), message));
            }
        }
        let mut keys = schema.constraints.iter().filter(|constraint| constraint.primary_key);
        if let Some(second) = keys.nth(1) {
            return Err(SqlParseError::invalid(second.span, "there are two primary keys"));
        }
        Ok(())
    }

    fn schema_element(&mut self, schema: &mut TableSchema) -> Parsed<()> {
        if let Some(constraint) = self.table_constraint()? {
            schema.constraints.push(constraint);
            return Ok(());
        }
        if let Some(watermark) = self.watermark()? {
            if schema.watermark.is_some() {
                let message = "there are two watermarks";
                return Err(SqlParseError::invalid(watermark.span, message));
            }
            schema.watermark = Some(watermark);
            return Ok(());
        }
        let column = self.column(&mut schema.constraints)?;
        schema.columns.push(column);
        Ok(())
    }

    /// `WATERMARK FOR a AS ...`, if that is what comes.
    pub(super) fn watermark(&mut self) -> Parsed<Option<WatermarkSpec>> {
        let start = self.peek().span;
        if !self.eat_word("WATERMARK") {
            return Ok(None);
        }
        self.expect_word("FOR")?;
        let column = self.object_name("a column")?;
        self.expect_word("AS")?;
        let expr = self.expr()?;
        Ok(Some(WatermarkSpec { column, expr, span: self.since(start) }))
    }

    /// A constraint of the table, if that is what comes.
    pub(super) fn table_constraint(&mut self) -> Parsed<Option<TableConstraint>> {
        let at = ["CONSTRAINT", "PRIMARY", "UNIQUE"].iter().any(|word| self.is_word(word));
        if !at {
            return Ok(None);
        }
        let start = self.peek().span;
        let (name, primary_key) = self.constraint_head()?;
        let columns = self.parenthesized(|parser| parser.ident("a column"))?;
        Ok(Some(self.constraint_end(name, primary_key, columns, start)?))
    }

    fn constraint_head(&mut self) -> Parsed<(Option<Ident>, bool)> {
        let name = if self.eat_word("CONSTRAINT") { Some(self.ident("a name")?) } else { None };
        if self.eat_word("UNIQUE") {
            return Ok((name, false));
        }
        self.expect_words(&["PRIMARY", "KEY"])?;
        Ok((name, true))
    }

    fn constraint_end(
        &mut self,
        name: Option<Ident>,
        primary_key: bool,
        columns: Vec<Ident>,
        start: Span,
    ) -> Parsed<TableConstraint> {
        let enforced = if self.eat_word("ENFORCED") {
            Some(true)
        } else if self.eat_words(&["NOT", "ENFORCED"]) {
            Some(false)
        } else {
            None
        };
        Ok(TableConstraint { name, primary_key, columns, enforced, span: self.since(start) })
    }

    /// A column. Its constraint joins those of the table.
    pub(super) fn column(
        &mut self,
        constraints: &mut Vec<TableConstraint>,
    ) -> Parsed<ColumnDefinition> {
        let start = self.peek().span;
        let name = self.object_name("a column")?;
        if self.eat_word("AS") {
            let kind = ColumnKind::Computed(self.expr()?);
            let comment = self.comment()?;
            return Ok(ColumnDefinition { name, kind, comment, span: self.since(start) });
        }
        let data_type = self.data_type()?;
        let kind = if self.eat_word("METADATA") {
            let key = if self.eat_word("FROM") { Some(self.text()?) } else { None };
            let is_virtual = self.eat_word("VIRTUAL");
            ColumnKind::Metadata { data_type, key, is_virtual }
        } else {
            let at = self.peek().span;
            let constrained = ["CONSTRAINT", "PRIMARY", "UNIQUE"];
            if constrained.iter().any(|word| self.is_word(word)) {
                let (constraint, primary_key) = self.constraint_head()?;
                let columns: Vec<Ident> = name.0.last().cloned().into_iter().collect();
                constraints.push(self.constraint_end(constraint, primary_key, columns, at)?);
            } else {
                self.missed("PRIMARY");
                self.missed("METADATA");
            }
            ColumnKind::Physical(data_type)
        };
        let comment = self.comment()?;
        Ok(ColumnDefinition { name, kind, comment, span: self.since(start) })
    }

    /// What follows DISTRIBUTED or DISTRIBUTION.
    pub(super) fn distribution(&mut self) -> Parsed<DistributionSpec> {
        let start = self.peek().span;
        let (mut kind, mut columns) = (None, Vec::new());
        let by = self.eat_word("BY");
        if by {
            kind = if self.eat_word("HASH") {
                Some(DistributionKind::Hash)
            } else if self.eat_word("RANGE") {
                Some(DistributionKind::Range)
            } else {
                None
            };
            columns = self.parenthesized(|parser| parser.ident("a column"))?;
        }
        let buckets = if self.eat_word("INTO") {
            let buckets = self.unsigned_integer("a number of buckets")?;
            if buckets == 0 {
                let message = "a number of buckets is positive";
                return Err(SqlParseError::invalid(self.last_span(), message));
            }
            self.expect_word("BUCKETS")?;
            Some(buckets)
        } else if by {
            None
        } else {
            return Err(self.unexpected());
        };
        Ok(DistributionSpec { kind, columns, buckets, span: self.since(start) })
    }

    /// `DISTRIBUTED ...`
    pub(super) fn distributed(&mut self) -> Parsed<Option<DistributionSpec>> {
        Ok(if self.eat_word("DISTRIBUTED") { Some(self.distribution()?) } else { None })
    }

    /// `PARTITIONED BY (...)`
    pub(super) fn partitioned_by(&mut self) -> Parsed<Vec<Ident>> {
        if !self.eat_word("PARTITIONED") {
            return Ok(Vec::new());
        }
        self.expect_word("BY")?;
        self.parenthesized(|parser| parser.ident("a column"))
    }
}
