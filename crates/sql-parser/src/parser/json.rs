//! The functions of JSON.

use super::{Parsed, Parser};
use crate::{
    ast::{
        BuiltinCall, JsonBehavior, JsonEmptyOrError, JsonEntry, JsonNullClause, JsonPathInput,
        JsonWrapper,
    },
    lexer::Symbol,
    types::SqlDataType,
};

impl Parser<'_> {
    /// A call of a JSON function, if the current word begins one.
    pub(super) fn json_call(&mut self, word: &str) -> Parsed<Option<BuiltinCall>> {
        let call = match word {
            "JSON_EXISTS" => {
                self.open();
                let input = self.json_input()?;
                let on_error = self.exists_behavior()?;
                BuiltinCall::JsonExists { input, on_error }
            }
            "JSON_VALUE" => {
                self.open();
                let input = self.json_input()?;
                let returning = self.returning()?;
                let behaviors = self.behaviors(false)?;
                BuiltinCall::JsonValue { input, returning, behaviors }
            }
            "JSON_QUERY" => {
                self.open();
                let input = self.json_input()?;
                let returning = self.returning()?;
                let wrapper = self.wrapper()?;
                let behaviors = self.behaviors(true)?;
                BuiltinCall::JsonQuery { input, returning, wrapper, behaviors }
            }
            "JSON_OBJECT" => {
                self.open();
                let entries = if self.is_symbol(Symbol::RightParen) || self.at_null_clause() {
                    Vec::new()
                } else {
                    self.comma_separated(Self::json_entry)?
                };
                BuiltinCall::JsonObject { entries, on_null: self.null_clause()? }
            }
            "JSON_ARRAY" => {
                self.open();
                let elements = if self.is_symbol(Symbol::RightParen) || self.at_null_clause() {
                    Vec::new()
                } else {
                    self.expr_list()?
                };
                BuiltinCall::JsonArray { elements, on_null: self.null_clause()? }
            }
            "JSON_OBJECTAGG" => {
                self.open();
                let entry = self.json_entry()?;
                let on_null = self.null_clause()?;
                self.expect(Symbol::RightParen)?;
                let filter = self.filter_clause()?;
                return Ok(Some(BuiltinCall::JsonObjectAgg { entry, on_null, filter }));
            }
            "JSON_ARRAYAGG" => {
                self.open();
                let element = self.expr()?;
                let mut order_by =
                    if self.is_word("ORDER") { self.order_by()? } else { Vec::new() };
                let on_null = self.null_clause()?;
                self.expect(Symbol::RightParen)?;
                if order_by.is_empty() && self.eat_words(&["WITHIN", "GROUP"]) {
                    self.expect(Symbol::LeftParen)?;
                    order_by = self.order_by()?;
                    self.expect(Symbol::RightParen)?;
                }
                let filter = self.filter_clause()?;
                let call = BuiltinCall::JsonArrayAgg { element, order_by, on_null, filter };
                return Ok(Some(call));
            }
            _ => return Ok(None),
        };
        self.expect(Symbol::RightParen)?;
        Ok(Some(call))
    }

    fn json_input(&mut self) -> Parsed<JsonPathInput> {
        let document = self.expr()?;
        self.expect(Symbol::Comma)?;
        let path = self.expr()?;
        let passing = if self.eat_word("PASSING") {
            self.comma_separated(|parser| {
                let value = parser.expr()?;
                parser.expect_word("AS")?;
                Ok((value, parser.ident("a variable")?))
            })?
        } else {
            Vec::new()
        };
        Ok(JsonPathInput { document, path, passing })
    }

    fn returning(&mut self) -> Parsed<Option<SqlDataType>> {
        Ok(if self.eat_word("RETURNING") { Some(self.data_type()?) } else { None })
    }

    fn wrapper(&mut self) -> Parsed<Option<JsonWrapper>> {
        let wrapper = if self.eat_word("WITHOUT") {
            JsonWrapper::Without
        } else if self.eat_word("WITH") {
            if self.eat_word("CONDITIONAL") {
                JsonWrapper::Conditional
            } else {
                self.eat_word("UNCONDITIONAL");
                JsonWrapper::Unconditional
            }
        } else {
            return Ok(None);
        };
        self.eat_word("ARRAY");
        self.expect_word("WRAPPER")?;
        Ok(Some(wrapper))
    }

    fn exists_behavior(&mut self) -> Parsed<Option<JsonBehavior>> {
        let behavior = if self.eat_word("TRUE") {
            JsonBehavior::True
        } else if self.eat_word("FALSE") {
            JsonBehavior::False
        } else if self.eat_word("UNKNOWN") {
            JsonBehavior::Unknown
        } else if self.eat_word("ERROR") {
            JsonBehavior::Error
        } else {
            return Ok(None);
        };
        self.expect_words(&["ON", "ERROR"])?;
        Ok(Some(behavior))
    }

    fn behaviors(&mut self, query: bool) -> Parsed<Vec<(JsonBehavior, JsonEmptyOrError)>> {
        let mut behaviors = Vec::new();
        loop {
            let behavior = if self.eat_word("ERROR") {
                JsonBehavior::Error
            } else if self.eat_word("NULL") {
                JsonBehavior::Null
            } else if !query && self.eat_word("DEFAULT") {
                JsonBehavior::Default(self.expr()?)
            } else if query && self.eat_words(&["EMPTY", "ARRAY"]) {
                JsonBehavior::EmptyArray
            } else if query && self.eat_words(&["EMPTY", "OBJECT"]) {
                JsonBehavior::EmptyObject
            } else {
                return Ok(behaviors);
            };
            self.expect_word("ON")?;
            let when = if self.eat_word("EMPTY") {
                JsonEmptyOrError::Empty
            } else {
                self.expect_word("ERROR")?;
                JsonEmptyOrError::Error
            };
            behaviors.push((behavior, when));
        }
    }

    /// `KEY a VALUE b`, `a VALUE b` or `a : b`.
    fn json_entry(&mut self) -> Parsed<JsonEntry> {
        // KEY is a name, too: it is one if VALUE or a colon follows it.
        let named = self.is_word_at(1, "VALUE") || self.is_symbol_at(1, Symbol::Colon);
        let keyed = !named && self.eat_word("KEY");
        let key = self.expr()?;
        if keyed || !self.eat(Symbol::Colon) {
            self.expect_word("VALUE")?;
        }
        Ok(JsonEntry { key, value: self.expr()? })
    }

    fn at_null_clause(&self) -> bool {
        self.is_words(&["NULL", "ON", "NULL"]) || self.is_words(&["ABSENT", "ON", "NULL"])
    }

    fn null_clause(&mut self) -> Parsed<Option<JsonNullClause>> {
        let clause = if self.eat_word("NULL") {
            JsonNullClause::Null
        } else if self.eat_word("ABSENT") {
            JsonNullClause::Absent
        } else {
            return Ok(None);
        };
        self.expect_words(&["ON", "NULL"])?;
        Ok(Some(clause))
    }
}
