//! Statements about catalogs: CREATE, ALTER, DROP, USE, SHOW and DESCRIBE.
//!
//! [`apply_ddl`] checks a statement against the catalogs and changes them, all or nothing.

mod alter;
mod create;
mod like;
mod show;
mod show_create;

pub(crate) use create::check as check_table;

use std::sync::Arc;

use hurtig_sql_common::SqlContext;
use hurtig_sql_parser::ast::{
    DropTarget, Ident, InsertStatement, ObjectKind, SqlProperty, SqlStatement, StatementKind,
};
use indexmap::IndexMap;

use crate::{
    PlanError, PlanResult,
    bind::Binder,
    catalog::{CatalogEntry, Catalogs, DatabaseDefinition, FunctionDefinition, ViewDefinition},
    functions::FunctionLibrary,
};

/// What a statement gives.
#[derive(Clone, Debug, PartialEq)]
pub enum DdlOutcome {
    /// It is done.
    Done,
    /// Texts to show.
    Rows {
        /// Names of the columns.
        columns: Vec<String>,
        /// The rows.
        rows: Vec<Vec<Option<String>>>,
    },
    /// CREATE TABLE AS: the table is there, this fills it.
    Insert(Box<InsertStatement>),
}

/// What statements are checked with.
#[derive(Clone)]
pub struct DdlContext<'a> {
    /// The functions of computed columns and views.
    pub library: &'a dyn FunctionLibrary,
    /// The session's settings.
    pub context: Arc<SqlContext>,
}

impl DdlContext<'_> {
    fn binder<'b>(&'b self, catalogs: &'b Catalogs) -> Binder<'b> {
        Binder::new(catalogs, self.library, self.context.clone())
    }
}

/// Applies a statement about catalogs; `None` if it is another statement.
pub fn apply_ddl(
    catalogs: &mut Catalogs,
    context: &DdlContext<'_>,
    statement: &SqlStatement,
) -> PlanResult<Option<DdlOutcome>> {
    if let Some(why) = statement.kind.unsupported() {
        return Err(PlanError::at(statement.span, why));
    }
    let outcome = apply(catalogs, context, statement);
    outcome.map_err(|error| error.within(statement.span))
}

fn apply(
    catalogs: &mut Catalogs,
    context: &DdlContext<'_>,
    statement: &SqlStatement,
) -> PlanResult<Option<DdlOutcome>> {
    match &statement.kind {
        StatementKind::UseCatalog(name) => catalogs.use_catalog(&name.value)?,
        StatementKind::UseDatabase(name) => catalogs.use_database(name)?,
        StatementKind::CreateCatalog { if_not_exists, name, options, .. } => {
            create_catalog(catalogs, *if_not_exists, name, options)?;
        }
        StatementKind::CreateDatabase { if_not_exists, name, comment, options } => {
            let (catalog, database) = catalogs.database_path(Some(name))?;
            let kept = catalogs.catalog(&catalog)?;
            if kept.database(&database)?.is_none() {
                let (comment, options) = (comment.clone(), options_of(options));
                kept.put_database(&database, DatabaseDefinition { comment, options })?;
            } else if !if_not_exists {
                return Err(PlanError::new(format!(
                    "Database {database} already exists in Catalog {catalog}."
                )));
            }
        }
        StatementKind::CreateTable(create) => {
            return create::create_table(catalogs, context, create).map(Some);
        }
        StatementKind::CreateView(view) => {
            let path = catalogs.path(&view.name)?;
            let definition =
                define_view(catalogs, context, &view.query, &view.columns, view.comment.clone())?;
            let entry = CatalogEntry::View(Arc::new(definition));
            if !catalogs.create(&path, entry, view.temporary, view.or_replace)?
                && !view.if_not_exists
            {
                return Err(create::exists(&path, view.temporary));
            }
        }
        StatementKind::CreateFunction(function) => {
            let known = catalogs.function(&function.name)?.is_some();
            if known && !function.if_not_exists {
                return Err(PlanError::new(format!("Function {} already exists.", function.name)));
            }
            if !known {
                let definition = FunctionDefinition {
                    implementation: function.implementation.clone(),
                    language: function.language.map(|one| format!("{one:?}").to_uppercase()),
                };
                let (temporary, system) = (function.temporary, function.system);
                catalogs.put_function(&function.name, Some(definition), temporary, system)?;
            }
        }
        StatementKind::AlterFunction {
            temporary,
            system,
            if_exists,
            name,
            implementation,
            language,
        } => {
            if catalogs.function(name)?.is_some() {
                let definition = FunctionDefinition {
                    implementation: implementation.clone(),
                    language: language.map(|one| format!("{one:?}").to_uppercase()),
                };
                catalogs.put_function(name, Some(definition), *temporary, *system)?;
            } else if !if_exists {
                return Err(PlanError::new(format!("Function {name} does not exist.")));
            }
        }
        StatementKind::AlterTable(table) => alter::alter_table(catalogs, context, table)?,
        StatementKind::Alter { object, if_exists, name, action } => {
            alter::alter_other(catalogs, context, *object, *if_exists, name, action)?;
        }
        StatementKind::Drop(target) => drop_object(catalogs, target)?,
        StatementKind::Show(target) => return show::show(catalogs, context, target),
        StatementKind::Describe { target, .. } => return show::describe(catalogs, target),
        _ => return Ok(None),
    }
    Ok(Some(DdlOutcome::Done))
}

/// Options in the order that they were written; a later one wins.
fn options_of(properties: &[SqlProperty]) -> IndexMap<String, String> {
    properties.iter().map(|one| (one.key.clone(), one.value.clone())).collect()
}

fn create_catalog(
    catalogs: &mut Catalogs,
    if_not_exists: bool,
    name: &Ident,
    options: &[SqlProperty],
) -> PlanResult<()> {
    if if_not_exists && catalogs.names().any(|known| known == name.value) {
        return Ok(());
    }
    let options = options_of(options);
    catalogs.create_catalog(&name.value, &options).map_err(|error| error.within(name.span))
}

/// A view of a query, which is checked.
fn define_view(
    catalogs: &Catalogs,
    context: &DdlContext<'_>,
    query: &hurtig_sql_parser::ast::SqlQuery,
    names: &[Ident],
    comment: Option<String>,
) -> PlanResult<ViewDefinition> {
    let bound = context.binder(catalogs).bind_as_written(query)?;
    if !names.is_empty() && names.len() != bound.columns.len() {
        let message = "VIEW definition and input fields not match: the number of columns differs";
        return Err(PlanError::new(message));
    }
    let mut columns: Vec<(String, _)> = Vec::with_capacity(bound.columns.len());
    for (position, (name, _, data_type)) in bound.columns.into_iter().enumerate() {
        let name = names.get(position).map_or(name, |one| one.value.clone());
        if columns.iter().any(|(known, _)| *known == name) {
            let message = format!("A column with the same name `{name}` has been defined already.");
            return Err(
                PlanError::at(query.span, message).hint("give each column a name of its own")
            );
        }
        columns.push((name, data_type));
    }
    let current = (catalogs.current_catalog().to_owned(), catalogs.current_database().to_owned());
    Ok(ViewDefinition { query: query.clone(), current, columns, comment })
}

fn drop_object(catalogs: &mut Catalogs, target: &DropTarget) -> PlanResult<()> {
    let name = &target.name;
    match target.object {
        ObjectKind::Table | ObjectKind::View => {
            let path = catalogs.path(name)?;
            let is_view = target.object == ObjectKind::View;
            let word = if is_view { "View" } else { "Table" };
            let found = catalogs.entry(&path)?.filter(|(entry, temporary)| {
                matches!(entry, CatalogEntry::View(_)) == is_view
                    && (*temporary || !target.temporary)
            });
            // DROP TABLE of a temporary table must say so, as in Flink.
            let dropped = found.is_some() && catalogs.drop(&path, target.temporary)?;
            if !dropped && !target.if_exists {
                let temporary = if target.temporary { "Temporary " } else { "" };
                return Err(PlanError::new(format!(
                    "{temporary}{word} with identifier '{path}' does not exist."
                )));
            }
        }
        ObjectKind::Database => {
            let (catalog, database) = catalogs.database_path(Some(name))?;
            if catalog == catalogs.current_catalog() && database == catalogs.current_database() {
                return Err(PlanError::new(format!(
                    "Cannot drop a database which is currently in use: {database}"
                )));
            }
            let kept = catalogs.catalog(&catalog)?;
            if kept.database(&database)?.is_none() {
                if target.if_exists {
                    return Ok(());
                }
                return Err(PlanError::new(format!(
                    "Database {database} does not exist in Catalog {catalog}."
                )));
            }
            if target.cascade != Some(true) && !kept.entries(&database)?.is_empty() {
                return Err(PlanError::new(format!(
                    "Database {database} in catalog {catalog} is not empty."
                )));
            }
            kept.remove_database(&database)?;
        }
        ObjectKind::Catalog => catalogs.unregister(name.last(), target.if_exists)?,
        ObjectKind::Function => {
            let existed = catalogs.put_function(name, None, target.temporary, target.system)?;
            if !existed && !target.if_exists {
                return Err(PlanError::new(format!("Function {name} does not exist.")));
            }
        }
        _ => return Err(PlanError::new("such objects are not supported")),
    }
    Ok(())
}
