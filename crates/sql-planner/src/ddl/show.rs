//! SHOW.

use hurtig_sql_parser::ast::{LikeFilter, ObjectKind, ObjectName, ShowTarget};

use super::{Definitions, StatementOutcome};
use crate::{PlanError, PlanResult};

/// Rows of one column.
fn list(title: &str, values: impl IntoIterator<Item = String>) -> StatementOutcome {
    let rows = values.into_iter().map(|value| vec![Some(value)]).collect();
    StatementOutcome::Rows { columns: vec![title.to_owned()], rows }
}

impl Definitions<'_> {
    pub(super) fn show(&self, target: &ShowTarget) -> PlanResult<StatementOutcome> {
        Ok(match target {
            ShowTarget::Catalogs(like) => {
                let names = self.catalogs.names().filter(|name| fits(like.as_ref(), name));
                list("catalog name", names.map(str::to_owned))
            }
            ShowTarget::CurrentCatalog => {
                list("current catalog name", [self.catalogs.current_catalog().to_owned()])
            }
            ShowTarget::CurrentDatabase => {
                list("current database name", [self.catalogs.current_database().to_owned()])
            }
            ShowTarget::Jars => list("jars", []),
            ShowTarget::Procedures { .. } => list("procedure name", []),
            ShowTarget::Modules { full: false } => list("module name", ["core".to_owned()]),
            ShowTarget::Modules { full: true } => StatementOutcome::Rows {
                columns: vec!["module name".to_owned(), "used".to_owned()],
                rows: vec![vec![Some("core".to_owned()), Some("TRUE".to_owned())]],
            },
            ShowTarget::Objects { object, user, from, like } => {
                self.show_objects(*object, *user, from.as_ref(), like.as_ref())?
            }
            ShowTarget::Columns { table, like } => {
                self.columns(table, &|name| fits(like.as_ref(), name))?
            }
            ShowTarget::Create { object, name } => self.show_create(*object, name)?,
            ShowTarget::Partitions { table, .. } => {
                let message = "partitions are known to connectors, not to this catalog";
                return Err(PlanError::at(table.span(), message));
            }
            // The session knows them.
            ShowTarget::Jobs => return Err(PlanError::new("SHOW JOBS is the session's")),
        })
    }

    fn show_objects(
        &self,
        object: ObjectKind,
        user: bool,
        from: Option<&ObjectName>,
        like: Option<&LikeFilter>,
    ) -> PlanResult<StatementOutcome> {
        if object == ObjectKind::Database {
            let catalog = match from {
                Some(name) => name.last(),
                None => self.catalogs.current_catalog(),
            };
            let names = self.catalogs.catalog(catalog)?.databases().into_iter();
            return Ok(list("database name", names.filter(|name| fits(like, name))));
        }
        let (catalog, database) = self.catalogs.database_path(from)?;
        if self.catalogs.catalog(&catalog)?.database(&database).is_none() {
            let message = format!("Database `{catalog}`.`{database}` doesn't exist.");
            return Err(PlanError::new(message));
        }
        Ok(match object {
            ObjectKind::Table => {
                let names = self.catalogs.tables_and_views(&catalog, &database).into_iter();
                list("table name", names.map(|(name, _)| name).filter(|name| fits(like, name)))
            }
            ObjectKind::View => {
                let names = self.catalogs.tables_and_views(&catalog, &database).into_iter();
                let views = names.filter(|(_, is_view)| *is_view).map(|(name, _)| name);
                list("view name", views.filter(|name| fits(like, name)))
            }
            ObjectKind::Function => {
                let mut names = self.catalogs.functions(&catalog, &database);
                if !user {
                    let builtin = self.library.names().into_iter();
                    names.extend(builtin.map(|name| name.to_lowercase()));
                    names.sort();
                    names.dedup();
                }
                list("function name", names.into_iter().filter(|name| fits(like, name)))
            }
            _ => return Err(PlanError::new("this SHOW is not supported")),
        })
    }
}

/// LIKE, where `%` stands for any characters and `_` for one.
fn fits(filter: Option<&LikeFilter>, name: &str) -> bool {
    let Some(filter) = filter else { return true };
    let fold = |text: &str| if filter.ignore_case { text.to_lowercase() } else { text.to_owned() };
    let pattern: Vec<char> = fold(&filter.pattern).chars().collect();
    let name: Vec<char> = fold(name).chars().collect();
    like(&pattern, &name) != filter.negated
}

/// One pass with one place to return to: the last `%`.
fn like(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut back = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('%') => {
                back = Some((p, t));
                p += 1;
            }
            Some('\\') if pattern.get(p + 1) == Some(&text[t]) => {
                p += 2;
                t += 1;
            }
            Some(c) if *c == '_' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match back {
                Some((star, from)) => {
                    back = Some((star, from + 1));
                    (p, t) = (star + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filtered_by_patterns() {
        let filter = |pattern: &str, negated, ignore_case| {
            Some(LikeFilter { negated, ignore_case, pattern: pattern.to_owned() })
        };
        for (pattern, name, fit) in [
            ("or%", "orders", true),
            ("%d%s", "orders", true),
            ("%d%x", "orders", false),
            ("order_", "orders", true),
            ("order\\_", "orders", false),
            ("OR%", "orders", false),
            ("", "", true),
        ] {
            assert_eq!(fits(filter(pattern, false, false).as_ref(), name), fit, "{pattern} {name}");
        }
        assert!(fits(filter("OR%", false, true).as_ref(), "orders"));
        assert!(!fits(filter("or%", true, false).as_ref(), "orders"));
    }
}
