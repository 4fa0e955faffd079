//! Which statement begins with which word, and the short ones.

use super::{Parsed, Parser};
use crate::{
    ast::{ObjectKind, SqlProperty, SqlStatement, StatementKind},
    error::SqlParseError,
    lexer::Symbol,
};

impl Parser<'_> {
    /// The statement that the tokens are, all of them. A semicolon may end it.
    pub fn statement(mut self) -> Parsed<SqlStatement> {
        let statement = self.nested(Self::any_statement)?;
        self.eat(Symbol::Semicolon);
        if self.is_end() { Ok(statement) } else { Err(self.unexpected()) }
    }

    /// All of the tokens, as one piece of the grammar.
    pub fn whole<T>(mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let piece = read(&mut self)?;
        if self.is_end() { Ok(piece) } else { Err(self.unexpected()) }
    }

    fn any_statement(&mut self) -> Parsed<SqlStatement> {
        let start = self.peek().span;
        let kind = self.statement_kind()?;
        Ok(SqlStatement { kind, span: self.since(start) })
    }

    fn statement_kind(&mut self) -> Parsed<StatementKind> {
        if self.at_query() || self.is_symbol(Symbol::LeftParen) {
            return Ok(StatementKind::Query(Box::new(self.query()?)));
        }
        match &*self.upper() {
            "INSERT" | "UPSERT" => Ok(StatementKind::Insert(Box::new(self.insert()?))),
            "CREATE" => self.create(),
            "REPLACE" => self.replace_table(),
            "ALTER" => self.alter(),
            "DROP" => self.drop_object(),
            "SHOW" => self.show(),
            "DESCRIBE" | "DESC" => self.describe(),
            "EXPLAIN" => self.explain(),
            "EXECUTE" => self.execute(),
            "BEGIN" => {
                self.bump();
                self.expect_words(&["STATEMENT", "SET"])?;
                Ok(StatementKind::BeginStatementSet)
            }
            "END" => {
                self.bump();
                Ok(StatementKind::EndStatementSet)
            }
            "SET" => self.set(),
            "RESET" => {
                self.bump();
                Ok(StatementKind::Reset(if self.is_end_of_statement() {
                    None
                } else {
                    Some(self.option_name()?)
                }))
            }
            "USE" => self.use_object(),
            "LOAD" => {
                self.bump();
                self.expect_word("MODULE")?;
                let name = self.ident("a module")?;
                let options = self.with_options()?;
                Ok(StatementKind::LoadModule { name, options })
            }
            "UNLOAD" => {
                self.bump();
                self.expect_word("MODULE")?;
                Ok(StatementKind::UnloadModule(self.ident("a module")?))
            }
            "ADD" => {
                self.bump();
                self.expect_word("JAR")?;
                Ok(StatementKind::AddJar(self.text()?))
            }
            "REMOVE" => {
                self.bump();
                self.expect_word("JAR")?;
                Ok(StatementKind::RemoveJar(self.text()?))
            }
            "STOP" => self.stop_job(),
            "COMPILE" => self.compile_plan(),
            "TRUNCATE" => {
                self.bump();
                self.expect_word("TABLE")?;
                Ok(StatementKind::Truncate(self.object_name("a table")?))
            }
            "ANALYZE" => self.analyze(),
            "CALL" => {
                self.bump();
                Ok(StatementKind::Call(Box::new(self.named_call()?)))
            }
            "DELETE" => self.delete(),
            "UPDATE" => self.update(),
            _ => {
                for word in STATEMENTS {
                    self.missed(word);
                }
                Err(if self.is_end() {
                    SqlParseError::syntax(self.peek().span, "there is no statement")
                } else {
                    self.unexpected()
                })
            }
        }
    }

    pub(super) fn is_end_of_statement(&self) -> bool {
        self.is_end() || self.is_symbol(Symbol::Semicolon)
    }

    fn set(&mut self) -> Parsed<StatementKind> {
        let start = self.bump().span;
        if self.is_end_of_statement() {
            return Ok(StatementKind::Set(None));
        }
        let key = self.option_name()?;
        self.expect(Symbol::Equal)?;
        let value = self.option_name()?;
        Ok(StatementKind::Set(Some(SqlProperty { key, value, span: self.since(start) })))
    }

    /// The key of an option, or its value: a text.
    fn option_name(&mut self) -> Parsed<String> {
        if self.is_text() {
            return self.text();
        }
        self.missed("a string");
        Err(self.unexpected().hint("keys and values of options are quoted: SET 'key' = 'value'"))
    }

    fn use_object(&mut self) -> Parsed<StatementKind> {
        self.bump();
        if self.is_word("CATALOG") && self.is_ident_at(1) {
            self.bump();
            return Ok(StatementKind::UseCatalog(self.ident("a catalog")?));
        }
        if self.eat_word("MODULES") {
            let modules = self.comma_separated(|parser| parser.ident("a module"))?;
            return Ok(StatementKind::UseModules(modules));
        }
        Ok(StatementKind::UseDatabase(self.object_name("a database")?))
    }

    fn stop_job(&mut self) -> Parsed<StatementKind> {
        self.bump();
        self.expect_word("JOB")?;
        let job = self.text()?;
        let savepoint = self.eat_words(&["WITH", "SAVEPOINT"]);
        let at = self.peek().span;
        let drain = self.eat_words(&["WITH", "DRAIN"]);
        if drain && !savepoint {
            let message = "only what stops with a savepoint can drain";
            return Err(SqlParseError::syntax(at, message).hint("write WITH SAVEPOINT WITH DRAIN"));
        }
        Ok(StatementKind::StopJob { job, savepoint, drain })
    }

    /// `IF NOT EXISTS`
    pub(super) fn if_not_exists(&mut self) -> bool {
        self.eat_words(&["IF", "NOT", "EXISTS"])
    }

    /// `IF EXISTS`
    pub(super) fn if_exists(&mut self) -> bool {
        self.eat_words(&["IF", "EXISTS"])
    }

    /// `COMMENT '...'`
    pub(super) fn comment(&mut self) -> Parsed<Option<String>> {
        Ok(if self.eat_word("COMMENT") { Some(self.text()?) } else { None })
    }

    /// `WITH ('key' = 'value')`
    pub(super) fn with_options(&mut self) -> Parsed<Vec<SqlProperty>> {
        if self.eat_word("WITH") { self.properties() } else { Ok(Vec::new()) }
    }

    /// `('key' = 'value')`
    pub(super) fn properties(&mut self) -> Parsed<Vec<SqlProperty>> {
        if self.is_symbol(Symbol::LeftParen) && self.is_symbol_at(1, Symbol::RightParen) {
            self.bump();
            self.bump();
            return Ok(Vec::new());
        }
        self.parenthesized(|parser| {
            let start = parser.peek().span;
            let key = parser.option_text()?;
            parser.expect(Symbol::Equal)?;
            let value = parser.option_text()?;
            Ok(SqlProperty { key, value, span: parser.since(start) })
        })
    }

    /// `('key', 'key')`
    pub(super) fn property_keys(&mut self) -> Parsed<Vec<String>> {
        if self.is_symbol(Symbol::LeftParen) && self.is_symbol_at(1, Symbol::RightParen) {
            self.bump();
            self.bump();
            return Ok(Vec::new());
        }
        self.parenthesized(Self::option_text)
    }

    fn option_text(&mut self) -> Parsed<String> {
        if self.is_text() {
            return self.text();
        }
        self.missed("a string");
        Err(self.unexpected().hint("keys and values of options are quoted: 'key' = 'value'"))
    }

    /// What kind of object a word names, for statements that take all kinds.
    pub(super) fn object_kind(&mut self) -> Option<ObjectKind> {
        const KINDS: [(&str, ObjectKind); 7] = [
            ("TABLE", ObjectKind::Table),
            ("VIEW", ObjectKind::View),
            ("DATABASE", ObjectKind::Database),
            ("CATALOG", ObjectKind::Catalog),
            ("FUNCTION", ObjectKind::Function),
            ("MODEL", ObjectKind::Model),
            ("CONNECTION", ObjectKind::Connection),
        ];
        if self.eat_words(&["MATERIALIZED", "TABLE"]) {
            return Some(ObjectKind::MaterializedTable);
        }
        KINDS.into_iter().find(|(word, _)| self.eat_word(word)).map(|(_, kind)| kind)
    }
}

/// First words of statements, for errors.
const STATEMENTS: [&str; 27] = [
    "SELECT", "WITH", "VALUES", "INSERT", "CREATE", "REPLACE", "ALTER", "DROP", "SHOW", "DESCRIBE",
    "EXPLAIN", "EXECUTE", "BEGIN", "END", "SET", "RESET", "USE", "LOAD", "UNLOAD", "REMOVE",
    "STOP", "COMPILE", "TRUNCATE", "ANALYZE", "CALL", "DELETE", "UPDATE",
];
