//! EXPLAIN, EXECUTE, statement sets, plans; DELETE, UPDATE, ANALYZE.

use super::{Parsed, Parser};
use crate::{
    ast::{ExplainDetail, ExplainMode, ExplainStatement, Ident, SqlStatement, StatementKind},
    error::SqlParseError,
    lexer::Symbol,
};

impl Parser<'_> {
    /// EXPLAIN
    pub(super) fn explain(&mut self) -> Parsed<StatementKind> {
        self.bump();
        let mut details = Vec::new();
        let mode = if self.eat_words(&["PLAN", "FOR"]) {
            ExplainMode::PlanFor
        } else {
            while let Some(detail) = self.explain_detail()? {
                if details.contains(&detail) {
                    let message = "the detail is asked for twice";
                    return Err(SqlParseError::syntax(self.last_span(), message));
                }
                details.push(detail);
                if !self.eat(Symbol::Comma) {
                    break;
                }
            }
            ExplainMode::Plain
        };
        let start = self.peek().span;
        let kind = match &*self.upper() {
            "STATEMENT" => self.statement_set()?,
            "EXECUTE" => self.execute()?,
            "INSERT" | "UPSERT" => StatementKind::Insert(Box::new(self.insert()?)),
            "CREATE" => self.create()?,
            "REPLACE" => self.replace_table()?,
            _ => StatementKind::Query(Box::new(self.query()?)),
        };
        let span = self.since(start);
        let explainable = match &kind {
            StatementKind::CreateTable(table) => table.query.is_some(),
            StatementKind::Query(_)
            | StatementKind::Insert(_)
            | StatementKind::StatementSet(_)
            | StatementKind::Execute(_) => true,
            _ => false,
        };
        if !explainable {
            let message = "of CREATE, only CREATE TABLE ... AS can be explained";
            return Err(SqlParseError::syntax(span, message));
        }
        let statement = Box::new(SqlStatement { kind, span });
        Ok(StatementKind::Explain(ExplainStatement { mode, details, statement }))
    }

    fn explain_detail(&mut self) -> Parsed<Option<ExplainDetail>> {
        const DETAILS: [(&str, ExplainDetail); 4] = [
            ("ESTIMATED_COST", ExplainDetail::EstimatedCost),
            ("CHANGELOG_MODE", ExplainDetail::ChangelogMode),
            ("JSON_EXECUTION_PLAN", ExplainDetail::JsonExecutionPlan),
            ("PLAN_ADVICE", ExplainDetail::PlanAdvice),
        ];
        Ok(DETAILS.into_iter().find(|(word, _)| self.eat_word(word)).map(|(_, detail)| detail))
    }

    /// EXECUTE of a statement set, a query, an INSERT or a plan.
    pub(super) fn execute(&mut self) -> Parsed<StatementKind> {
        self.bump();
        if self.eat_word("PLAN") {
            return Ok(StatementKind::ExecutePlan(self.text()?));
        }
        let start = self.peek().span;
        let kind = self.set_insert_or_query(true)?;
        let statement = SqlStatement { kind, span: self.since(start) };
        Ok(StatementKind::Execute(Box::new(statement)))
    }

    fn set_insert_or_query(&mut self, query: bool) -> Parsed<StatementKind> {
        self.missed("STATEMENT");
        self.missed("INSERT");
        match &*self.upper() {
            "STATEMENT" => self.statement_set(),
            "INSERT" | "UPSERT" => Ok(StatementKind::Insert(Box::new(self.insert()?))),
            _ if query => Ok(StatementKind::Query(Box::new(self.query()?))),
            _ => Err(self.unexpected()),
        }
    }

    /// `STATEMENT SET BEGIN INSERT ...; END`
    fn statement_set(&mut self) -> Parsed<StatementKind> {
        self.expect_words(&["STATEMENT", "SET", "BEGIN"])?;
        let mut inserts = Vec::new();
        loop {
            inserts.push(self.insert()?);
            self.expect(Symbol::Semicolon)?;
            if self.eat_word("END") {
                return Ok(StatementKind::StatementSet(inserts));
            }
        }
    }

    /// COMPILE PLAN and COMPILE AND EXECUTE PLAN
    pub(super) fn compile_plan(&mut self) -> Parsed<StatementKind> {
        self.bump();
        let execute = self.eat_words(&["AND", "EXECUTE"]);
        self.expect_word("PLAN")?;
        let path = self.text()?;
        let if_not_exists = !execute && self.if_not_exists();
        self.expect_word("FOR")?;
        let start = self.peek().span;
        let kind = self.set_insert_or_query(false)?;
        let statement = Box::new(SqlStatement { kind, span: self.since(start) });
        Ok(StatementKind::CompilePlan { path, if_not_exists, execute, statement })
    }

    fn table_name_alias(&mut self) -> Parsed<Option<Ident>> {
        let named = self.eat_word("AS");
        if named || self.is_ident_at(0) { Ok(Some(self.ident("a name")?)) } else { Ok(None) }
    }

    /// DELETE
    pub(super) fn delete(&mut self) -> Parsed<StatementKind> {
        self.bump();
        self.expect_word("FROM")?;
        let table = self.object_name("a table")?;
        let alias = self.table_name_alias()?;
        let filter = if self.eat_word("WHERE") { Some(self.expr()?) } else { None };
        Ok(StatementKind::Delete { table, alias, filter })
    }

    /// UPDATE
    pub(super) fn update(&mut self) -> Parsed<StatementKind> {
        self.bump();
        let table = self.object_name("a table")?;
        let alias = self.table_name_alias()?;
        self.expect_word("SET")?;
        let assignments = self.comma_separated(|parser| {
            let column = parser.object_name("a column")?;
            parser.expect(Symbol::Equal)?;
            Ok((column, parser.expr()?))
        })?;
        let filter = if self.eat_word("WHERE") { Some(self.expr()?) } else { None };
        Ok(StatementKind::Update { table, alias, assignments, filter })
    }

    /// ANALYZE TABLE
    pub(super) fn analyze(&mut self) -> Parsed<StatementKind> {
        self.bump();
        self.expect_word("TABLE")?;
        let table = self.object_name("a table")?;
        let partition =
            if self.eat_word("PARTITION") { Some(self.partition_spec(false)?) } else { None };
        self.expect_words(&["COMPUTE", "STATISTICS"])?;
        let columns = if !self.eat_word("FOR") {
            None
        } else if self.eat_words(&["ALL", "COLUMNS"]) {
            Some(Vec::new())
        } else {
            self.expect_word("COLUMNS")?;
            Some(self.comma_separated(|parser| parser.ident("a column"))?)
        };
        Ok(StatementKind::Analyze { table, partition, columns })
    }
}
