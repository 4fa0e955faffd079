//! Tables: queries that were not run.

use hurtig::DataStream;
use hurtig_sql_parser::{ast::SqlQuery, types::SqlDataType};
use hurtig_sql_planner::catalog::{CatalogEntry, ViewDefinition};
use hurtig_types::Record;
use std::sync::Arc;

use super::{StreamTableEnvironment, object_name};
use crate::{Schema, Session, SqlError};

/// A query and its columns. It is checked, and runs when something is made of it.
#[derive(Clone, Debug)]
pub struct Table {
    view: Arc<ViewDefinition>,
}

impl Table {
    pub(super) fn of_query(session: &Session, query: SqlQuery) -> Result<Self, SqlError> {
        let columns = session.columns_of(&query)?;
        let catalogs = session.catalogs();
        let current =
            (catalogs.current_catalog().to_owned(), catalogs.current_database().to_owned());
        let view = ViewDefinition { query, current, columns, comment: None };
        Ok(Self { view: Arc::new(view) })
    }

    /// The names and types of the columns.
    #[must_use]
    pub fn columns(&self) -> &[(String, SqlDataType)] {
        &self.view.columns
    }

    pub(super) fn view(&self) -> &ViewDefinition {
        &self.view
    }
}

/// What a view can be made of.
pub trait ViewSource {
    /// Makes it a view under that name.
    ///
    /// # Errors
    /// If the name is taken, or it is no table.
    fn create_view(&self, tables: &mut StreamTableEnvironment, path: &str) -> Result<(), SqlError>;
}

impl ViewSource for Table {
    fn create_view(&self, tables: &mut StreamTableEnvironment, path: &str) -> Result<(), SqlError> {
        let catalogs = &mut tables.session.catalogs;
        let path = catalogs.path(&object_name(path)?)?;
        let entry = CatalogEntry::View(self.view.clone());
        if !catalogs.create(&path, entry, true, false)? {
            let text = format!("Temporary view '{path}' already exists");
            return Err(SqlError::invalid(text, None));
        }
        Ok(())
    }
}

impl<T: Record> ViewSource for DataStream<T> {
    fn create_view(&self, tables: &mut StreamTableEnvironment, path: &str) -> Result<(), SqlError> {
        tables.create_temporary_view_with(path, self, &Schema::default())
    }
}
