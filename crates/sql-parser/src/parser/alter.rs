//! ALTER.

use super::{Parsed, Parser};
use crate::{
    ast::{
        AlterAction, AlterTable, ColumnPosition, ColumnPositionSpec, ObjectKind, ObjectName,
        SchemaChange, StatementKind,
    },
    error::SqlParseError,
    lexer::Symbol,
};

impl Parser<'_> {
    /// ALTER
    pub(super) fn alter(&mut self) -> Parsed<StatementKind> {
        self.bump();
        let temporary = self.eat_word("TEMPORARY");
        let system = temporary && self.eat_word("SYSTEM");
        if temporary || self.is_word("FUNCTION") {
            return self.alter_function(temporary, system);
        }
        let at = self.peek().span;
        let Some(object) = self.object_kind() else { return Err(self.unexpected()) };
        match object {
            ObjectKind::Table => {
                let if_exists = self.if_exists();
                let name = self.object_name("a table")?;
                let action = self.alter_table()?;
                Ok(StatementKind::AlterTable(Box::new(AlterTable { if_exists, name, action })))
            }
            ObjectKind::Function => Err(SqlParseError::syntax(at, "unexpected FUNCTION")),
            _ => {
                let optional = matches!(object, ObjectKind::Model | ObjectKind::Connection);
                let if_exists = optional && self.if_exists();
                let name = if object == ObjectKind::Catalog {
                    ObjectName(vec![self.ident("a catalog")?])
                } else {
                    self.object_name("a name")?
                };
                let action = Box::new(self.alter_other(object)?);
                Ok(StatementKind::Alter { object, if_exists, name, action })
            }
        }
    }

    fn alter_function(&mut self, temporary: bool, system: bool) -> Parsed<StatementKind> {
        self.expect_word("FUNCTION")?;
        let if_exists = self.if_exists();
        let name = self.object_name("a function")?;
        self.expect_word("AS")?;
        let implementation = self.text()?;
        let language = self.language()?;
        Ok(StatementKind::AlterFunction {
            temporary,
            system,
            if_exists,
            name,
            implementation,
            language,
        })
    }

    fn alter_other(&mut self, object: ObjectKind) -> Parsed<AlterAction> {
        let is = |kinds: &[ObjectKind]| kinds.contains(&object);
        let renamed = is(&[ObjectKind::View, ObjectKind::Model, ObjectKind::Connection]);
        if renamed && self.eat_word("RENAME") {
            self.expect_word("TO")?;
            return Ok(AlterAction::Rename(self.object_name("a name")?));
        }
        if is(&[ObjectKind::View]) {
            self.expect_word("AS")?;
            return Ok(AlterAction::Query(Box::new(self.query()?)));
        }
        if is(&[ObjectKind::MaterializedTable]) {
            return self.alter_materialized_table();
        }
        if self.eat_word("SET") {
            return Ok(AlterAction::SetOptions(self.properties()?));
        }
        if !is(&[ObjectKind::Database]) && self.eat_word("RESET") {
            return Ok(AlterAction::ResetOptions(self.property_keys()?));
        }
        if is(&[ObjectKind::Catalog])
            && let Some(comment) = self.comment()?
        {
            return Ok(AlterAction::Comment(comment));
        }
        Err(self.unexpected())
    }

    fn alter_materialized_table(&mut self) -> Parsed<AlterAction> {
        if self.eat_word("SUSPEND") {
            return Ok(AlterAction::Suspend);
        }
        if self.eat_word("RESUME") {
            return Ok(AlterAction::Resume(self.with_options()?));
        }
        if self.eat_word("REFRESH") {
            let partition =
                if self.eat_word("PARTITION") { Some(self.partition_spec(true)?) } else { None };
            return Ok(AlterAction::Refresh(partition));
        }
        if self.eat_word("AS") {
            return Ok(AlterAction::Query(Box::new(self.query()?)));
        }
        if self.eat_words(&["SET", "FRESHNESS"]) {
            self.expect(Symbol::Equal)?;
            return Ok(AlterAction::SetFreshness(self.interval_literal()?));
        }
        if self.eat_words(&["SET", "REFRESH_MODE"]) {
            self.expect(Symbol::Equal)?;
            return Ok(AlterAction::SetRefreshMode(self.refresh_mode()?));
        }
        self.alter_definition()
    }

    fn alter_table(&mut self) -> Parsed<AlterAction> {
        if self.eat_word("RENAME") {
            if self.eat_word("TO") {
                return Ok(AlterAction::Rename(self.object_name("a table")?));
            }
            let from = self.object_name("a column")?;
            self.expect_word("TO")?;
            return Ok(AlterAction::RenameColumn { from, to: self.object_name("a column")? });
        }
        if self.is_words(&["ADD", "PARTITION"]) || self.is_words(&["ADD", "IF"]) {
            self.bump();
            let if_not_exists = self.if_not_exists();
            let mut partitions = Vec::new();
            self.expect_word("PARTITION")?;
            loop {
                let partition = self.partition_spec(true)?;
                partitions.push((partition, self.with_options()?));
                if !self.eat_word("PARTITION") {
                    return Ok(AlterAction::AddPartitions { if_not_exists, partitions });
                }
            }
        }
        if self.is_words(&["DROP", "PARTITION"]) || self.is_words(&["DROP", "IF", "EXISTS"]) {
            self.bump();
            let if_exists = self.if_exists();
            let partitions = self.comma_separated(|parser| {
                parser.expect_word("PARTITION")?;
                parser.partition_spec(true)
            })?;
            return Ok(AlterAction::DropPartitions { if_exists, partitions });
        }
        self.alter_definition()
    }

    /// What tables and materialized tables have in common.
    fn alter_definition(&mut self) -> Parsed<AlterAction> {
        if self.eat_word("SET") {
            return Ok(AlterAction::SetOptions(self.properties()?));
        }
        if self.eat_word("RESET") {
            return Ok(AlterAction::ResetOptions(self.property_keys()?));
        }
        if self.eat_word("ADD") {
            if self.eat_word("DISTRIBUTION") {
                return Ok(AlterAction::AddDistribution(self.distribution()?));
            }
            return Ok(AlterAction::Add(self.schema_change()?));
        }
        if self.eat_word("MODIFY") {
            if self.eat_word("DISTRIBUTION") {
                return Ok(AlterAction::ModifyDistribution(self.distribution()?));
            }
            return Ok(AlterAction::Modify(self.schema_change()?));
        }
        self.expect_word("DROP")?;
        if self.eat_word("DISTRIBUTION") {
            return Ok(AlterAction::DropDistribution);
        }
        if self.eat_word("PRIMARY") {
            self.expect_word("KEY")?;
            return Ok(AlterAction::DropPrimaryKey);
        }
        if self.eat_word("CONSTRAINT") {
            return Ok(AlterAction::DropConstraint(self.ident("a constraint")?));
        }
        if self.eat_word("WATERMARK") {
            return Ok(AlterAction::DropWatermark);
        }
        if self.is_symbol(Symbol::LeftParen) {
            let columns = self.parenthesized(|parser| parser.object_name("a column"))?;
            return Ok(AlterAction::DropColumns(columns));
        }
        Ok(AlterAction::DropColumns(vec![self.object_name("a column")?]))
    }

    fn schema_change(&mut self) -> Parsed<SchemaChange> {
        let mut change = SchemaChange::default();
        if self.eat(Symbol::LeftParen) {
            loop {
                self.change_element(&mut change)?;
                if !self.eat(Symbol::Comma) {
                    break;
                }
            }
            self.expect(Symbol::RightParen)?;
        } else {
            self.change_element(&mut change)?;
        }
        Ok(change)
    }

    fn change_element(&mut self, change: &mut SchemaChange) -> Parsed<()> {
        if let Some(constraint) = self.table_constraint()? {
            change.constraints.push(constraint);
            return Ok(());
        }
        if let Some(watermark) = self.watermark()? {
            if change.watermark.is_some() {
                return Err(SqlParseError::invalid(watermark.span, "there are two watermarks"));
            }
            change.watermark = Some(watermark);
            return Ok(());
        }
        let column = self.column(&mut change.constraints)?;
        let position = if self.eat_word("FIRST") {
            Some(ColumnPosition::First)
        } else if self.eat_word("AFTER") {
            Some(ColumnPosition::After(self.object_name("a column")?))
        } else {
            None
        };
        change.columns.push(ColumnPositionSpec { column, position });
        Ok(())
    }
}
