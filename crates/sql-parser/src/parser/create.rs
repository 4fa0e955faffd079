//! CREATE and DROP.

use super::{Parsed, Parser, table::TableWords};
use crate::{
    ast::{
        CreateFunction, CreateModel, CreateView, DropTarget, FunctionLanguage, ObjectKind,
        ObjectName, Resource, StatementKind,
    },
    error::SqlParseError,
    lexer::Symbol,
};

impl Parser<'_> {
    /// CREATE
    pub(super) fn create(&mut self) -> Parsed<StatementKind> {
        let start = self.bump().span;
        let or_alter = self.eat_words(&["OR", "ALTER"]);
        let or_replace = !or_alter && self.eat_words(&["OR", "REPLACE"]);
        let at = self.peek().span;
        let temporary = self.eat_word("TEMPORARY");
        let refuse = |message: &str| Err(SqlParseError::syntax(start.to(at), message));
        if self.eat_words(&["MATERIALIZED", "TABLE"]) {
            if temporary || or_replace {
                return refuse("a materialized table is neither temporary nor replaced");
            }
            return self.create_materialized_table(or_alter);
        }
        if or_alter {
            self.missed("MATERIALIZED");
            return Err(self.unexpected());
        }
        if self.eat_word("TABLE") {
            return self.create_table(TableWords { temporary, or_replace, replace: false }, start);
        }
        if self.eat_word("VIEW") {
            return self.create_view(temporary, or_replace);
        }
        if or_replace {
            return refuse("only tables and views can be replaced");
        }
        let system = self.is_word("SYSTEM");
        if system {
            self.bump();
            if !temporary {
                return refuse("what belongs to the system is temporary");
            }
        } else {
            self.missed("FUNCTION");
        }
        if self.eat_word("FUNCTION") {
            return self.create_function(temporary, system);
        }
        if self.eat_word("CONNECTION") {
            let if_not_exists = self.if_not_exists();
            let name = self.object_name("a connection")?;
            let comment = self.comment()?;
            self.expect_word("WITH")?;
            let options = self.properties()?;
            return Ok(StatementKind::CreateConnection {
                temporary,
                system,
                if_not_exists,
                name,
                comment,
                options,
            });
        }
        if system {
            return Err(self.unexpected());
        }
        if self.eat_word("MODEL") {
            return self.create_model(temporary);
        }
        if temporary && (self.is_word("CATALOG") || self.is_word("DATABASE")) {
            return refuse("there are no temporary catalogs and databases");
        }
        if self.eat_word("CATALOG") {
            let if_not_exists = self.if_not_exists();
            let name = self.ident("a catalog")?;
            let comment = self.comment()?;
            let options = self.with_options()?;
            return Ok(StatementKind::CreateCatalog { if_not_exists, name, comment, options });
        }
        if self.eat_word("DATABASE") {
            let if_not_exists = self.if_not_exists();
            let name = self.object_name("a database")?;
            let comment = self.comment()?;
            let options = self.with_options()?;
            return Ok(StatementKind::CreateDatabase { if_not_exists, name, comment, options });
        }
        Err(self.unexpected())
    }

    fn create_view(&mut self, temporary: bool, or_replace: bool) -> Parsed<StatementKind> {
        let if_not_exists = self.if_not_exists();
        let name = self.object_name("a view")?;
        let columns = if self.is_symbol(Symbol::LeftParen) {
            self.parenthesized(|parser| parser.ident("a column"))?
        } else {
            Vec::new()
        };
        let comment = self.comment()?;
        self.expect_word("AS")?;
        let query = Box::new(self.query()?);
        Ok(StatementKind::CreateView(CreateView {
            temporary,
            or_replace,
            if_not_exists,
            name,
            columns,
            comment,
            query,
        }))
    }

    fn create_function(&mut self, temporary: bool, system: bool) -> Parsed<StatementKind> {
        let if_not_exists = self.if_not_exists();
        let name = if system {
            ObjectName(vec![self.ident("a function")?])
        } else {
            self.object_name("a function")?
        };
        self.expect_word("AS")?;
        let implementation = self.text()?;
        let language = self.language()?;
        let at = self.peek().span;
        let resources = if self.eat_word("USING") {
            if matches!(language, Some(FunctionLanguage::Sql | FunctionLanguage::Python)) {
                let message = "functions of this language use no jars";
                return Err(SqlParseError::syntax(at, message));
            }
            self.comma_separated(|parser| {
                let start = parser.peek().span;
                parser.expect_word("JAR")?;
                Ok(Resource { jar: parser.text()?, span: parser.since(start) })
            })?
        } else {
            Vec::new()
        };
        let options = self.with_options()?;
        Ok(StatementKind::CreateFunction(CreateFunction {
            temporary,
            system,
            if_not_exists,
            name,
            implementation,
            language,
            resources,
            options,
        }))
    }

    /// `LANGUAGE JAVA`
    pub(super) fn language(&mut self) -> Parsed<Option<FunctionLanguage>> {
        const LANGUAGES: [(&str, FunctionLanguage); 4] = [
            ("JAVA", FunctionLanguage::Java),
            ("SCALA", FunctionLanguage::Scala),
            ("SQL", FunctionLanguage::Sql),
            ("PYTHON", FunctionLanguage::Python),
        ];
        if !self.eat_word("LANGUAGE") {
            return Ok(None);
        }
        let language = LANGUAGES.iter().find(|(word, _)| self.eat_word(word));
        language.map(|(_, language)| Some(*language)).ok_or_else(|| self.unexpected())
    }

    fn create_model(&mut self, temporary: bool) -> Parsed<StatementKind> {
        let if_not_exists = self.if_not_exists();
        let name = self.object_name("a model")?;
        let input = if self.eat_word("INPUT") { Some(self.table_schema()?) } else { None };
        let output = if self.eat_word("OUTPUT") { Some(self.table_schema()?) } else { None };
        let comment = self.comment()?;
        let options = self.with_options()?;
        let query = if self.eat_word("AS") { Some(Box::new(self.query()?)) } else { None };
        Ok(StatementKind::CreateModel(Box::new(CreateModel {
            temporary,
            if_not_exists,
            name,
            input,
            output,
            comment,
            options,
            query,
        })))
    }

    /// DROP
    pub(super) fn drop_object(&mut self) -> Parsed<StatementKind> {
        let start = self.bump().span;
        let temporary = self.eat_word("TEMPORARY");
        let system = self.eat_word("SYSTEM");
        let at = self.peek().span;
        let Some(object) = self.object_kind() else { return Err(self.unexpected()) };
        let refuse = |message: &str| Err(SqlParseError::syntax(start.to(at), message));
        let has_system = matches!(object, ObjectKind::Function | ObjectKind::Connection);
        if system && !(has_system && temporary) {
            return refuse("only temporary functions and connections belong to the system");
        }
        let never_temporary = matches!(
            object,
            ObjectKind::Catalog | ObjectKind::Database | ObjectKind::MaterializedTable
        );
        if temporary && never_temporary {
            return refuse("there are no temporary ones of these");
        }
        let if_exists = self.if_exists();
        let name = self.object_name("a name")?;
        let cascade = if object != ObjectKind::Database {
            None
        } else if self.eat_word("CASCADE") {
            Some(true)
        } else if self.eat_word("RESTRICT") {
            Some(false)
        } else {
            None
        };
        let target = DropTarget { object, temporary, system, if_exists, name, cascade };
        Ok(StatementKind::Drop(target))
    }
}
