//! SHOW and DESCRIBE.

use hurtig_sql_parser::{
    ast::{DescribeTarget, LikeFilter, ObjectKind, ObjectName, ShowTarget},
    types::SqlDataType,
};

use super::{DdlContext, DdlOutcome, show_create};
use crate::{
    PlanError, PlanResult,
    catalog::{CatalogEntry, Catalogs, ColumnDefinitionKind, TableColumn, TableDefinition},
};

fn one_column(name: &str, rows: impl IntoIterator<Item = String>) -> DdlOutcome {
    let rows = rows.into_iter().map(|row| vec![Some(row)]).collect();
    DdlOutcome::Rows { columns: vec![name.to_owned()], rows }
}

pub(super) fn show(
    catalogs: &Catalogs,
    context: &DdlContext<'_>,
    target: &ShowTarget,
) -> PlanResult<Option<DdlOutcome>> {
    Ok(Some(match target {
        ShowTarget::Catalogs(like) => {
            one_column("catalog name", matching(catalogs.names().map(str::to_owned), like.as_ref()))
        }
        ShowTarget::CurrentCatalog => {
            one_column("current catalog name", [catalogs.current_catalog().to_owned()])
        }
        ShowTarget::CurrentDatabase => {
            one_column("current database name", [catalogs.current_database().to_owned()])
        }
        ShowTarget::Modules { .. } => one_column("module name", ["core".to_owned()]),
        ShowTarget::Objects { object, user, from, like } => {
            return objects(catalogs, context, *object, *user, from.as_ref(), like.as_ref())
                .map(Some);
        }
        ShowTarget::Columns { table, like } => {
            let DdlOutcome::Rows { columns, mut rows } = columns_of(catalogs, table)? else {
                return Ok(None);
            };
            rows.retain(|row| {
                row[0]
                    .as_ref()
                    .is_some_and(|name| like.as_ref().is_none_or(|like| matches(name, like)))
            });
            DdlOutcome::Rows { columns, rows }
        }
        ShowTarget::Create { object, name } => {
            let path = catalogs.path(name)?;
            let Some((entry, temporary)) = catalogs.entry(&path)? else {
                return catalogs.lookup(name).map(|_| None);
            };
            let text = match (entry, object) {
                (CatalogEntry::Table(table), ObjectKind::Table) => {
                    show_create::table(&path, &table, temporary)
                }
                (CatalogEntry::View(view), ObjectKind::View) => {
                    show_create::view(&path, &view, temporary)
                }
                (CatalogEntry::View(_), _) => {
                    let message = format!(
                        "SHOW CREATE TABLE is only supported for tables, but {path} is a view. Please use SHOW CREATE VIEW instead."
                    );
                    return Err(PlanError::at(name.span(), message));
                }
                (CatalogEntry::Table(_), _) => {
                    let message = format!(
                        "SHOW CREATE VIEW is only supported for views, but {path} is a table. Please use SHOW CREATE TABLE instead."
                    );
                    return Err(PlanError::at(name.span(), message));
                }
            };
            one_column("result", [text])
        }
        ShowTarget::Jars
        | ShowTarget::Jobs
        | ShowTarget::Procedures { .. }
        | ShowTarget::Partitions { .. } => return Ok(None),
    }))
}

fn objects(
    catalogs: &Catalogs,
    context: &DdlContext<'_>,
    object: ObjectKind,
    user: bool,
    from: Option<&ObjectName>,
    like: Option<&LikeFilter>,
) -> PlanResult<DdlOutcome> {
    if object == ObjectKind::Database {
        let catalog = from.map_or(catalogs.current_catalog(), ObjectName::last);
        return Ok(one_column(
            "database name",
            matching(catalogs.catalog(catalog)?.databases()?, like),
        ));
    }
    let (catalog, database) = catalogs.database_path(from)?;
    if catalogs.catalog(&catalog)?.database(&database)?.is_none() {
        return Err(PlanError::new(format!("Database '{catalog}'.'{database}' doesn't exist.")));
    }
    let tables = catalogs.tables_and_views(&catalog, &database)?;
    let of_kind = |view: bool| {
        tables.into_iter().filter(move |(_, is_view)| !view || *is_view).map(|(name, _)| name)
    };
    Ok(match object {
        ObjectKind::Table => one_column("table name", matching(of_kind(false), like)),
        ObjectKind::View => one_column("view name", matching(of_kind(true), like)),
        ObjectKind::Function => {
            let mut names = catalogs.functions(&catalog, &database)?;
            if !user {
                names.extend(context.library.names().into_iter().map(|name| name.to_lowercase()));
            }
            names.sort();
            names.dedup();
            one_column("function name", matching(names, like))
        }
        _ => one_column("name", []),
    })
}

fn matching(names: impl IntoIterator<Item = String>, like: Option<&LikeFilter>) -> Vec<String> {
    names.into_iter().filter(|name| like.is_none_or(|like| matches(name, like))).collect()
}

fn matches(name: &str, like: &LikeFilter) -> bool {
    let found = if like.ignore_case {
        is_like(&name.to_lowercase(), &like.pattern.to_lowercase())
    } else {
        is_like(name, &like.pattern)
    };
    found != like.negated
}

/// LIKE of short texts: `%` and `_`. Each `%` is tried again only as the last one met, so that time
/// is at most the product of both lengths.
fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) =
        (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut in_pattern) = (0, 0);
    let mut again: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(in_pattern) {
            Some('%') => {
                again = Some((at, in_pattern));
                in_pattern += 1;
            }
            Some(c) if *c == '_' || *c == text[at] => {
                at += 1;
                in_pattern += 1;
            }
            _ => match again {
                Some((from, percent)) => {
                    again = Some((from + 1, percent));
                    (at, in_pattern) = (from + 1, percent + 1);
                }
                None => return false,
            },
        }
    }
    pattern[in_pattern..].iter().all(|c| *c == '%')
}

pub(super) fn describe(
    catalogs: &Catalogs,
    target: &DescribeTarget,
) -> PlanResult<Option<DdlOutcome>> {
    let DescribeTarget::Object { object, name } = target else { return Ok(None) };
    Ok(Some(match object {
        ObjectKind::Table | ObjectKind::View => columns_of(catalogs, name)?,
        ObjectKind::Database => {
            let (catalog, database) = catalogs.database_path(Some(name))?;
            let definition = catalogs.catalog(&catalog)?.database(&database)?.ok_or_else(|| {
                PlanError::at(name.span(), format!("A database with name [{database}] does not exist in the catalog: [{catalog}]."))
            })?;
            let row = |key: &str, value: String| vec![Some(key.to_owned()), Some(value)];
            let rows = vec![
                row("Name", database),
                row("Catalog", catalog),
                row("Comment", definition.comment.unwrap_or_default()),
            ];
            DdlOutcome::Rows {
                columns: vec!["info name".to_owned(), "info value".to_owned()],
                rows,
            }
        }
        _ => return Ok(None),
    }))
}

fn columns_of(catalogs: &Catalogs, name: &ObjectName) -> PlanResult<DdlOutcome> {
    let (_, entry) = catalogs.lookup(name)?;
    let mut columns =
        ["name", "type", "null", "key", "extras", "watermark"].map(str::to_owned).to_vec();
    let rows = match entry {
        CatalogEntry::Table(table) => {
            let comments = table.columns.iter().any(|column| column.comment.is_some());
            if comments {
                columns.push("comment".to_owned());
            }
            let row = |column| {
                let mut row = table_row(&table, column);
                row.extend(comments.then(|| column.comment.clone()));
                row
            };
            table.columns.iter().map(row).collect()
        }
        CatalogEntry::View(view) => {
            let row = |(name, data_type): &(String, SqlDataType)| {
                let shown = SqlDataType::nullable(data_type.kind.clone()).to_string();
                let null = truth(data_type.nullable);
                vec![Some(name.clone()), Some(shown), Some(null), None, None, None]
            };
            view.columns.iter().map(row).collect()
        }
    };
    Ok(DdlOutcome::Rows { columns, rows })
}

fn truth(value: bool) -> String {
    if value { "TRUE" } else { "FALSE" }.to_owned()
}

fn table_row(table: &TableDefinition, column: &TableColumn) -> Vec<Option<String>> {
    let mut shown = SqlDataType::nullable(column.data_type.kind.clone()).to_string();
    let watermark = table.watermark.as_ref().filter(|one| one.column == column.name);
    if watermark.is_some() {
        shown.push_str(" *ROWTIME*");
    }
    let key = table.primary_key.as_ref().filter(|key| key.columns.contains(&column.name));
    let extras = match &column.kind {
        ColumnDefinitionKind::Physical => None,
        ColumnDefinitionKind::Computed(expr) => Some(format!("AS {expr}")),
        ColumnDefinitionKind::Metadata { key, is_virtual } => {
            let from = key.as_ref().map_or(String::new(), |key| format!(" FROM '{key}'"));
            Some(format!("METADATA{from}{}", if *is_virtual { " VIRTUAL" } else { "" }))
        }
    };
    vec![
        Some(column.name.clone()),
        Some(shown),
        Some(truth(column.data_type.nullable)),
        key.map(|key| format!("PRI({})", key.columns.join(", "))),
        extras,
        watermark.map(|one| one.expression.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn patterns_are_those_of_like() {
        assert!(is_like("orders", "o%s") && is_like("orders", "%") && is_like("orders", "_rders"));
        assert!(!is_like("orders", "o") && !is_like("orders", "%x%") && is_like("", "%"));
        assert!(is_like("aaab", "%a%b") && !is_like("aaac", "%a%b"));
    }
}
