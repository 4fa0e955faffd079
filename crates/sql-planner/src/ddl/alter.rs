//! ALTER TABLE.

use std::sync::Arc;

use hurtig_sql_parser::ast::{
    AlterAction, AlterTable, ColumnPosition, ColumnPositionSpec, ObjectName, SchemaChange,
};

use super::{
    Definitions, options_of,
    table::{Draft, DraftColumn, draft_column, draft_of, simple},
};
use crate::{PlanError, PlanResult, catalog::CatalogEntry};

impl Definitions<'_> {
    pub(super) fn alter_table(&mut self, alter: &AlterTable) -> PlanResult<()> {
        if let AlterAction::Rename(to) = &alter.action {
            return self.rename(alter.if_exists, &alter.name, to);
        }
        let path = self.catalogs.path(&alter.name)?;
        if alter.if_exists && self.catalogs.entry(&path).is_none() {
            return Ok(());
        }
        let (path, entry) = self.catalogs.lookup(&alter.name)?;
        let CatalogEntry::Table(table) = entry else {
            let message = format!("ALTER TABLE for a view is not allowed: '{path}'");
            return Err(PlanError::at(alter.name.span(), message));
        };
        let mut draft = draft_of(&table);
        draft.alter(&alter.action, &alter.name)?;
        let table = self.finish(draft, alter.name.span())?;
        self.catalogs.replace(&path, CatalogEntry::Table(Arc::new(table)))
    }

    /// Renames a table or view within its database.
    pub(super) fn rename(
        &mut self,
        if_exists: bool,
        from: &ObjectName,
        to: &ObjectName,
    ) -> PlanResult<()> {
        let path = self.catalogs.path(from)?;
        let Some((entry, temporary)) = self.catalogs.entry(&path) else {
            if if_exists {
                return Ok(());
            }
            return self.catalogs.lookup(from).map(|_| ());
        };
        let mut target = path.clone();
        to.last().clone_into(&mut target.name);
        if !self.catalogs.create(&target, entry, temporary, false)? {
            let message = format!("'{target}' already exists.");
            return Err(PlanError::at(to.span(), message));
        }
        self.catalogs.drop(&path, temporary).map(|_| ())
    }
}

impl Draft {
    fn alter(&mut self, action: &AlterAction, table: &ObjectName) -> PlanResult<()> {
        let unsupported = || Err(PlanError::at(table.span(), "this ALTER TABLE is not supported"));
        match action {
            AlterAction::SetOptions(options) => self.options.extend(options_of(options)?),
            AlterAction::ResetOptions(keys) => {
                if keys.iter().any(|key| key == "connector") {
                    let message = "ALTER TABLE RESET does not support changing 'connector'";
                    return Err(PlanError::at(table.span(), message));
                }
                self.options.retain(|key, _| !keys.contains(key));
            }
            AlterAction::Comment(comment) => self.comment = Some(comment.clone()),
            AlterAction::RenameColumn { from, to } => self.rename_column(from, to)?,
            AlterAction::Add(change) => self.change(change, true)?,
            AlterAction::Modify(change) => self.change(change, false)?,
            AlterAction::DropColumns(names) => {
                names.iter().try_for_each(|name| self.drop_column(name))?;
            }
            AlterAction::DropPrimaryKey | AlterAction::DropConstraint(_) => {
                let Some(key) = self.primary_key.take() else {
                    let message = "The base table does not define any primary key.";
                    return Err(PlanError::at(table.span(), message));
                };
                if let AlterAction::DropConstraint(name) = action
                    && name.value != key.name
                {
                    let message = format!(
                        "The base table does not define a primary key constraint named '{}'.",
                        name.value
                    );
                    return Err(PlanError::at(name.span, message)
                        .hint(format!("it is named '{}'", key.name)));
                }
            }
            AlterAction::DropWatermark => {
                if self.watermark.take().is_none() {
                    let message = "The base table does not define any watermark strategy.";
                    return Err(PlanError::at(table.span(), message));
                }
            }
            AlterAction::AddDistribution(distribution)
            | AlterAction::ModifyDistribution(distribution) => {
                self.distribution = Some(distribution.clone());
            }
            AlterAction::DropDistribution => self.distribution = None,
            _ => return unsupported(),
        }
        Ok(())
    }

    fn place(&self, name: &ObjectName) -> PlanResult<usize> {
        let wanted = simple(name)?;
        let place = self.columns.iter().position(|column| column.name == wanted);
        place.ok_or_else(|| {
            let message = format!("The column '{wanted}' does not exist in the base table.");
            let names = self.columns.iter().map(|column| column.name.as_str());
            PlanError::at(name.span(), message).nearest(&wanted, names)
        })
    }

    /// Who else needs a column, for messages.
    fn user_of(&self, name: &str) -> Option<&'static str> {
        let key = self.primary_key.as_ref();
        if key.is_some_and(|key| key.columns.iter().any(|column| column == name)) {
            return Some("the primary key");
        }
        if self.partition_keys.iter().any(|key| key == name) {
            return Some("the partition keys");
        }
        let watermark = self.watermark.as_ref();
        watermark.is_some_and(|one| one.column.last() == name).then_some("the watermark")
    }

    fn drop_column(&mut self, name: &ObjectName) -> PlanResult<()> {
        let place = self.place(name)?;
        if let Some(user) = self.user_of(&self.columns[place].name) {
            let message = format!("The column '{}' is used by {user}.", self.columns[place].name);
            return Err(PlanError::at(name.span(), message));
        }
        // A computed column that needs it is found when the table is checked.
        self.columns.remove(place);
        Ok(())
    }

    fn rename_column(&mut self, from: &ObjectName, to: &ObjectName) -> PlanResult<()> {
        let place = self.place(from)?;
        let new = simple(to)?;
        if self.columns.iter().any(|column| column.name == new) {
            let message = format!("The column '{new}' already existed in table schema.");
            return Err(PlanError::at(to.span(), message));
        }
        let old = std::mem::replace(&mut self.columns[place].name, new.clone());
        if self.watermark.as_ref().is_some_and(|one| one.column.last() == old) {
            let message = format!("The column '{old}' is used by the watermark.");
            return Err(PlanError::at(from.span(), message));
        }
        let keys = self.primary_key.iter_mut().flat_map(|key| &mut key.columns);
        for name in keys.chain(&mut self.partition_keys).filter(|name| **name == old) {
            name.clone_from(&new);
        }
        Ok(())
    }

    fn change(&mut self, change: &SchemaChange, add: bool) -> PlanResult<()> {
        for spec in &change.columns {
            self.change_column(spec, add)?;
        }
        for constraint in &change.constraints {
            if !add {
                self.primary_key = None;
            }
            self.add_constraint(constraint)?;
        }
        if let Some(watermark) = &change.watermark {
            if add && self.watermark.is_some() {
                let message = "The base table has already defined a watermark strategy.";
                return Err(PlanError::at(watermark.span, message).hint("MODIFY changes it"));
            }
            self.watermark = Some(watermark.clone());
        }
        Ok(())
    }

    fn change_column(&mut self, spec: &ColumnPositionSpec, add: bool) -> PlanResult<()> {
        let column: DraftColumn = draft_column(&spec.column)?;
        let known = self.columns.iter().position(|one| one.name == column.name);
        let mut place = match (known, add) {
            (Some(_), true) => {
                let message = format!("Try to add a column '{}' which already exists in the table.", column.name);
                return Err(PlanError::at(column.span, message));
            }
            (None, false) => {
                let message = format!("Try to modify a column '{}' which does not exist in the table.", column.name);
                let names = self.columns.iter().map(|one| one.name.as_str());
                return Err(PlanError::at(column.span, message).nearest(&column.name, names));
            }
            (Some(place), false) => {
                self.columns.remove(place);
                place
            }
            (None, true) => self.columns.len(),
        };
        match &spec.position {
            None => {}
            Some(ColumnPosition::First) => place = 0,
            Some(ColumnPosition::After(name)) => place = self.place(name)? + 1,
        }
        self.columns.insert(place, column);
        Ok(())
    }
}
