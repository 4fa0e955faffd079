//! Statements that change or show catalogs.
//!
//! - [`table`]: CREATE TABLE, and [`like`] what it takes over; [`alter`]: ALTER TABLE.
//! - [`show`]: SHOW; [`describe`]: DESCRIBE, SHOW COLUMNS, SHOW CREATE.
//!
//! Definitions are checked when they are made: types of computed columns and views, the watermark,
//! the keys. What a connector says of its options is known when the table is used.

mod alter;
mod describe;
mod like;
mod show;
mod table;

use std::sync::Arc;

use hurtig_sql_common::SqlContext;
use hurtig_sql_parser::{
    Span,
    ast::{
        AlterAction, CreateFunction, CreateView, DropTarget, Ident, InsertStatement, ObjectKind,
        ObjectName, SqlProperty, SqlStatement, StatementKind,
    },
};
use indexmap::IndexMap;

use crate::{
    PlanError, PlanResult,
    bind::Binder,
    catalog::{
        CatalogEntry, Catalogs, DatabaseDefinition, FunctionDefinition, MemoryCatalog,
        ViewDefinition,
    },
    functions::FunctionLibrary,
};

/// What a statement gives.
#[derive(Clone, Debug, PartialEq)]
pub enum StatementOutcome {
    /// It is done.
    Done,
    /// Rows of text that describe.
    Rows {
        /// Names of the columns.
        columns: Vec<String>,
        /// The rows.
        rows: Vec<Vec<Option<String>>>,
    },
    /// CREATE TABLE AS: the table is there, this fills it.
    Insert(Box<InsertStatement>),
}

/// Runs statements of one session against its catalogs.
pub struct Definitions<'a> {
    /// The catalogs.
    pub catalogs: &'a mut Catalogs,
    /// The functions.
    pub library: &'a dyn FunctionLibrary,
    /// For constants in definitions.
    pub context: Arc<SqlContext>,
}

impl Definitions<'_> {
    /// Runs a statement that is none of queries, jobs or settings.
    ///
    /// # Errors
    /// If it is wrong, or not one of catalogs.
    pub fn execute(&mut self, statement: &SqlStatement) -> PlanResult<StatementOutcome> {
        self.kind(&statement.kind, statement.span).map_err(|error| error.within(statement.span))
    }

    fn kind(&mut self, kind: &StatementKind, span: Span) -> PlanResult<StatementOutcome> {
        let done = |()| StatementOutcome::Done;
        match kind {
            StatementKind::UseCatalog(name) => self.catalogs.use_catalog(&name.value).map(done),
            StatementKind::UseDatabase(name) => self.catalogs.use_database(name).map(done),
            StatementKind::UseModules(modules) => only_core(modules).map(done),
            StatementKind::CreateCatalog { if_not_exists, name, options, .. } => {
                self.create_catalog(*if_not_exists, name, options).map(done)
            }
            StatementKind::CreateDatabase { if_not_exists, name, comment, options } => {
                let definition =
                    DatabaseDefinition { comment: comment.clone(), options: options_of(options)? };
                self.create_database(*if_not_exists, name, definition).map(done)
            }
            StatementKind::CreateTable(create) => self.create_table(create, span),
            StatementKind::CreateView(view) => self.create_view(view).map(done),
            StatementKind::CreateFunction(function) => self.create_function(function).map(done),
            StatementKind::AlterTable(alter) => self.alter_table(alter).map(done),
            StatementKind::Alter { object, if_exists, name, action } => {
                self.alter(*object, *if_exists, name, action).map(done)
            }
            StatementKind::AlterFunction { name, system, temporary, if_exists, implementation, language } => {
                if self.catalogs.function(name).is_none() {
                    return if *if_exists {
                        Ok(StatementOutcome::Done)
                    } else {
                        Err(PlanError::at(name.span(), format!("Function {name} does not exist.")))
                    };
                }
                let language = language.map(|language| language.to_string());
                let function = FunctionDefinition { implementation: implementation.clone(), language };
                self.catalogs.put_function(name, Some(function), *temporary, *system)?;
                Ok(StatementOutcome::Done)
            }
            StatementKind::Drop(target) => self.drop_object(target).map(done),
            StatementKind::Show(target) => self.show(target),
            StatementKind::Describe { target, .. } => self.describe(target),
            _ => Err(PlanError::at(span, "this statement is not supported")),
        }
    }

    fn binder(&self) -> Binder<'_> {
        Binder::new(self.catalogs, self.library, self.context.clone())
    }

    fn create_catalog(
        &mut self,
        if_not_exists: bool,
        name: &Ident,
        options: &[SqlProperty],
    ) -> PlanResult<()> {
        if if_not_exists && self.catalogs.names().any(|known| known == name.value) {
            return Ok(());
        }
        let mut options = options_of(options)?;
        match options.shift_remove("type").as_deref() {
            Some("generic_in_memory") => {}
            Some(other) => {
                let message = format!("there is no catalog of type '{other}'");
                return Err(PlanError::at(name.span, message).hint("known: generic_in_memory"));
            }
            None => return Err(PlanError::at(name.span, "the option 'type' is missing")),
        }
        let database = options.shift_remove("default-database");
        if let Some(key) = options.keys().next() {
            let message = format!("a catalog of type 'generic_in_memory' has no option '{key}'");
            return Err(PlanError::at(name.span, message).hint("known: default-database"));
        }
        let catalog = MemoryCatalog::with_database(database.as_deref().unwrap_or("default"));
        self.catalogs.register(&name.value, Arc::new(catalog))
    }

    fn create_database(
        &mut self,
        if_not_exists: bool,
        name: &ObjectName,
        definition: DatabaseDefinition,
    ) -> PlanResult<()> {
        let (catalog, database) = self.catalogs.database_path(Some(name))?;
        let kept = self.catalogs.catalog(&catalog)?;
        if kept.database(&database).is_none() {
            return kept.put_database(&database, definition);
        }
        if if_not_exists {
            return Ok(());
        }
        let message = format!("Database {database} already exists in catalog {catalog}.");
        Err(PlanError::at(name.span(), message))
    }

    fn create_view(&mut self, view: &CreateView) -> PlanResult<()> {
        let definition = self.view(&view.name, &view.query, &view.columns)?;
        let definition = ViewDefinition { comment: view.comment.clone(), ..definition };
        let path = self.catalogs.path(&view.name)?;
        let entry = CatalogEntry::View(Arc::new(definition));
        let made = self.catalogs.create(&path, entry, view.temporary, view.or_replace)?;
        exists_unless(made || view.if_not_exists, "View", &path.to_string(), &view.name)
    }

    /// A view's definition, its query bound once to know the columns.
    fn view(
        &self,
        name: &ObjectName,
        query: &hurtig_sql_parser::ast::SqlQuery,
        names: &[Ident],
    ) -> PlanResult<ViewDefinition> {
        let bound = self.binder().bind_query(query)?;
        if !names.is_empty() && names.len() != bound.columns.len() {
            let message = format!(
                "the view names {} columns, its query gives {}",
                names.len(),
                bound.columns.len()
            );
            return Err(PlanError::at(name.span(), message));
        }
        let columns = bound.columns.into_iter().enumerate();
        let columns = columns.map(|(position, (own, _, data_type))| {
            let given = names.get(position).map(|given| given.value.clone());
            (given.unwrap_or(own), data_type)
        });
        let columns: Vec<_> = columns.collect();
        for (position, (column, _)) in columns.iter().enumerate() {
            if columns[..position].iter().any(|(other, _)| other == column) {
                let message = format!("the view has two columns '{column}'");
                return Err(PlanError::at(name.span(), message).hint("name the columns"));
            }
        }
        let current =
            (self.catalogs.current_catalog().to_owned(), self.catalogs.current_database().to_owned());
        Ok(ViewDefinition { query: query.clone(), current, columns, comment: None })
    }

    fn create_function(&mut self, function: &CreateFunction) -> PlanResult<()> {
        let definition = FunctionDefinition {
            implementation: function.implementation.clone(),
            language: function.language.map(|language| language.to_string()),
        };
        if self.catalogs.function(&function.name).is_some() {
            let name = function.name.to_string();
            return exists_unless(function.if_not_exists, "Function", &name, &function.name);
        }
        let implementation = definition.implementation.to_uppercase();
        let known = self.library.scalar(&implementation).is_some()
            || self.library.aggregate(&implementation).is_some();
        if !known {
            let message = format!("no function '{}' is registered", definition.implementation);
            return Err(PlanError::at(function.name.span(), message).hint(
                "functions are written in Rust and registered by the program that makes the session",
            ));
        }
        let (temporary, system) = (function.temporary, function.system);
        self.catalogs.put_function(&function.name, Some(definition), temporary, system)?;
        Ok(())
    }

    fn alter(
        &mut self,
        object: ObjectKind,
        if_exists: bool,
        name: &ObjectName,
        action: &AlterAction,
    ) -> PlanResult<()> {
        match (object, action) {
            (ObjectKind::Database, AlterAction::SetOptions(options)) => {
                let (catalog, database) = self.catalogs.database_path(Some(name))?;
                let kept = self.catalogs.catalog(&catalog)?.clone();
                let Some(mut definition) = kept.database(&database) else {
                    let message = format!("Database {database} does not exist in Catalog {catalog}.");
                    return Err(PlanError::at(name.span(), message));
                };
                definition.options.extend(options_of(options)?);
                kept.put_database(&database, definition)
            }
            (ObjectKind::View, AlterAction::Rename(to)) => self.rename(if_exists, name, to),
            (ObjectKind::View, AlterAction::Query(query)) => {
                let (path, entry) = self.catalogs.lookup(name)?;
                let CatalogEntry::View(old) = entry else {
                    return Err(PlanError::at(name.span(), format!("'{path}' is not a view")));
                };
                let view = ViewDefinition { comment: old.comment.clone(), ..self.view(name, query, &[])? };
                self.catalogs.replace(&path, CatalogEntry::View(Arc::new(view)))
            }
            _ => Err(PlanError::at(name.span(), "this ALTER is not supported")),
        }
    }

    fn drop_object(&mut self, target: &DropTarget) -> PlanResult<()> {
        let name = &target.name;
        match target.object {
            ObjectKind::Catalog => self.catalogs.unregister(name.last(), target.if_exists),
            ObjectKind::Database => self.drop_database(target),
            ObjectKind::Table | ObjectKind::View => {
                let path = self.catalogs.path(name)?;
                let wanted = target.object == ObjectKind::View;
                let noun = if wanted { "View" } else { "Table" };
                if let Some((entry, _)) = self.catalogs.entry(&path)
                    && matches!(entry, CatalogEntry::View(_)) != wanted
                {
                    let message = format!("{noun} with identifier '{path}' does not exist.");
                    return Err(PlanError::at(name.span(), message));
                }
                let dropped = self.catalogs.drop(&path, target.temporary)?;
                if dropped || target.if_exists {
                    return Ok(());
                }
                let adjective = if target.temporary { "Temporary table" } else { noun };
                let message = format!("{adjective} with identifier '{path}' does not exist.");
                Err(PlanError::at(name.span(), message))
            }
            ObjectKind::Function => {
                let existed =
                    self.catalogs.put_function(name, None, target.temporary, target.system)?;
                if existed || target.if_exists {
                    return Ok(());
                }
                Err(PlanError::at(name.span(), format!("Function {name} does not exist.")))
            }
            _ => Err(PlanError::at(name.span(), "this DROP is not supported")),
        }
    }

    fn drop_database(&mut self, target: &DropTarget) -> PlanResult<()> {
        let name = &target.name;
        let (catalog, database) = self.catalogs.database_path(Some(name))?;
        let kept = self.catalogs.catalog(&catalog)?.clone();
        if kept.database(&database).is_none() {
            if target.if_exists {
                return Ok(());
            }
            let message = format!("Database {database} does not exist in Catalog {catalog}.");
            return Err(PlanError::at(name.span(), message));
        }
        let current = (self.catalogs.current_catalog(), self.catalogs.current_database());
        if current == (&*catalog, &*database) {
            let message = format!("Cannot drop a database which is currently in use: {database}");
            return Err(PlanError::at(name.span(), message));
        }
        let full = !kept.entries(&database).is_empty() || !kept.functions(&database).is_empty();
        if full && target.cascade != Some(true) {
            let message = format!("Database {database} in catalog {catalog} is not empty.");
            return Err(PlanError::at(name.span(), message).hint("DROP DATABASE ... CASCADE"));
        }
        kept.remove_database(&database)
    }
}

/// An error for what exists, unless that is fine.
fn exists_unless(fine: bool, noun: &str, path: &str, name: &ObjectName) -> PlanResult<()> {
    if fine {
        return Ok(());
    }
    Err(PlanError::at(name.span(), format!("{noun} '{path}' already exists.")))
}

/// Options by key; a key may stand there once.
fn options_of(options: &[SqlProperty]) -> PlanResult<IndexMap<String, String>> {
    let mut all = IndexMap::new();
    for option in options {
        if all.insert(option.key.clone(), option.value.clone()).is_some() {
            let message = format!("the option '{}' is given twice", option.key);
            return Err(PlanError::at(option.span, message));
        }
    }
    Ok(all)
}

fn only_core(modules: &[Ident]) -> PlanResult<()> {
    match modules.iter().find(|module| module.value != "core") {
        None => Ok(()),
        Some(other) => {
            let message = format!("No module with name '{}' exists", other.value);
            Err(PlanError::at(other.span, message).hint("there is one module: core"))
        }
    }
}
