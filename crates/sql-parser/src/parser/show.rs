//! SHOW and DESCRIBE.

use super::{Parsed, Parser};
use crate::{
    ast::{DescribeTarget, LikeFilter, ObjectKind, ObjectName, ShowTarget, StatementKind},
    error::SqlParseError,
};

impl Parser<'_> {
    /// SHOW
    pub(super) fn show(&mut self) -> Parsed<StatementKind> {
        self.bump();
        Ok(StatementKind::Show(self.show_target()?))
    }

    fn show_target(&mut self) -> Parsed<ShowTarget> {
        const OBJECTS: [(&str, ObjectKind, bool); 6] = [
            ("DATABASES", ObjectKind::Database, true),
            ("TABLES", ObjectKind::Table, false),
            ("VIEWS", ObjectKind::View, false),
            ("FUNCTIONS", ObjectKind::Function, true),
            ("MODELS", ObjectKind::Model, false),
            ("CONNECTIONS", ObjectKind::Connection, false),
        ];
        let user = self.is_words(&["USER", "FUNCTIONS"]);
        if user {
            self.bump();
        }
        let materialized = self.eat_word("MATERIALIZED");
        for (word, object, ilike) in OBJECTS {
            if materialized && object != ObjectKind::Table {
                continue;
            }
            if self.eat_word(word) {
                let object = if materialized { ObjectKind::MaterializedTable } else { object };
                let from = self.database_filter()?;
                let like = self.like_filter(ilike)?;
                return Ok(ShowTarget::Objects { object, user, from, like });
            }
        }
        if materialized {
            return Err(self.unexpected());
        }
        if self.eat_word("CATALOGS") {
            return Ok(ShowTarget::Catalogs(self.like_filter(true)?));
        }
        if self.eat_word("CURRENT") {
            if self.eat_word("CATALOG") {
                return Ok(ShowTarget::CurrentCatalog);
            }
            self.expect_word("DATABASE")?;
            return Ok(ShowTarget::CurrentDatabase);
        }
        if self.eat_word("JARS") {
            return Ok(ShowTarget::Jars);
        }
        if self.eat_word("JOBS") {
            return Ok(ShowTarget::Jobs);
        }
        if self.is_words(&["FULL", "MODULES"]) {
            self.bump();
            self.bump();
            return Ok(ShowTarget::Modules { full: true });
        }
        if self.eat_word("MODULES") {
            return Ok(ShowTarget::Modules { full: false });
        }
        if self.eat_word("PROCEDURES") {
            let from = self.database_filter()?;
            return Ok(ShowTarget::Procedures { from, like: self.like_filter(true)? });
        }
        if self.eat_word("COLUMNS") {
            if !self.eat_word("FROM") {
                self.expect_word("IN")?;
            }
            let table = self.object_name("a table")?;
            return Ok(ShowTarget::Columns { table, like: self.like_filter(false)? });
        }
        if self.eat_word("PARTITIONS") {
            let table = self.object_name("a table")?;
            let partition =
                if self.eat_word("PARTITION") { Some(self.partition_spec(true)?) } else { None };
            return Ok(ShowTarget::Partitions { table, partition });
        }
        if self.eat_word("CREATE") {
            let at = self.peek().span;
            let Some(object) = self.object_kind() else { return Err(self.unexpected()) };
            if matches!(object, ObjectKind::Database | ObjectKind::Function) {
                let message = "there is no SHOW CREATE for these";
                return Err(SqlParseError::syntax(self.since(at), message));
            }
            let name = if object == ObjectKind::Catalog {
                ObjectName(vec![self.ident("a catalog")?])
            } else {
                self.object_name("a name")?
            };
            return Ok(ShowTarget::Create { object, name });
        }
        Err(self.unexpected())
    }

    fn database_filter(&mut self) -> Parsed<Option<ObjectName>> {
        if self.eat_word("FROM") || self.eat_word("IN") {
            return Ok(Some(self.object_name("a database")?));
        }
        Ok(None)
    }

    fn like_filter(&mut self, ilike: bool) -> Parsed<Option<LikeFilter>> {
        let negated = self.eat_word("NOT");
        let ignore_case = ilike && self.eat_word("ILIKE");
        if !ignore_case && !self.eat_word("LIKE") {
            return if negated { Err(self.unexpected()) } else { Ok(None) };
        }
        Ok(Some(LikeFilter { negated, ignore_case, pattern: self.text()? }))
    }

    /// DESCRIBE
    pub(super) fn describe(&mut self) -> Parsed<StatementKind> {
        self.bump();
        if self.is_word("JOB") && !self.is_ident_at(1) {
            self.bump();
            let target = DescribeTarget::Job(self.text()?);
            return Ok(StatementKind::Describe { target, extended: false });
        }
        // These words are names, too: of tables, if nothing that is named follows.
        let kinds = [
            ("CATALOG", ObjectKind::Catalog),
            ("DATABASE", ObjectKind::Database),
            ("FUNCTION", ObjectKind::Function),
            ("MODEL", ObjectKind::Model),
            ("CONNECTION", ObjectKind::Connection),
        ];
        let follows = self.is_ident_at(1) || self.is_word_at(1, "EXTENDED");
        let named = kinds.iter().find(|(word, _)| follows && self.is_word(word));
        let object = match named {
            Some((_, object)) => {
                self.bump();
                *object
            }
            None => ObjectKind::Table,
        };
        let extended = self.eat_word("EXTENDED");
        let name = self.object_name("a name")?;
        let target = DescribeTarget::Object { object, name };
        Ok(StatementKind::Describe { target, extended })
    }
}
