//! Statements.

use std::fmt;

use super::{
    TextLiteral, commas,
    table::{write_comment, write_options},
    word,
};
use crate::ast::{
    ConflictAction, ExplainDetail, ExplainMode, ExplainStatement, InsertStatement, SqlStatement,
    StatementKind,
};

impl fmt::Display for SqlStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Display for StatementKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(query) => query.fmt(f),
            Self::Insert(insert) => insert.fmt(f),
            Self::StatementSet(inserts) => {
                f.write_str("STATEMENT SET BEGIN")?;
                for insert in inserts {
                    write!(f, " {insert};")?;
                }
                f.write_str(" END")
            }
            Self::Execute(statement) => write!(f, "EXECUTE {statement}"),
            Self::BeginStatementSet => f.write_str("BEGIN STATEMENT SET"),
            Self::EndStatementSet => f.write_str("END"),
            Self::Explain(explain) => explain.fmt(f),
            Self::Delete { table, alias, filter } => {
                write!(f, "DELETE FROM {table}")?;
                if let Some(alias) = alias {
                    write!(f, " AS {alias}")?;
                }
                filter.as_ref().map_or(Ok(()), |filter| write!(f, " WHERE {filter}"))
            }
            Self::Update { table, alias, assignments, filter } => {
                write!(f, "UPDATE {table}")?;
                if let Some(alias) = alias {
                    write!(f, " AS {alias}")?;
                }
                for (index, (column, value)) in assignments.iter().enumerate() {
                    let before = if index == 0 { " SET" } else { "," };
                    write!(f, "{before} {column} = {value}")?;
                }
                filter.as_ref().map_or(Ok(()), |filter| write!(f, " WHERE {filter}"))
            }
            Self::Truncate(table) => write!(f, "TRUNCATE TABLE {table}"),
            Self::Call(call) => write!(f, "CALL {call}"),
            Self::Analyze { table, partition, columns } => {
                write!(f, "ANALYZE TABLE {table}")?;
                if let Some(partition) = partition {
                    write!(f, " PARTITION {partition}")?;
                }
                f.write_str(" COMPUTE STATISTICS")?;
                match columns.as_deref() {
                    None => Ok(()),
                    Some([]) => f.write_str(" FOR ALL COLUMNS"),
                    Some(columns) => write!(f, " FOR COLUMNS {}", commas(columns)),
                }
            }
            Self::Set(None) => f.write_str("SET"),
            Self::Set(Some(property)) => write!(f, "SET {property}"),
            Self::Reset(None) => f.write_str("RESET"),
            Self::Reset(Some(key)) => write!(f, "RESET {}", TextLiteral(key)),
            Self::UseCatalog(name) => write!(f, "USE CATALOG {name}"),
            Self::UseDatabase(name) => write!(f, "USE {name}"),
            Self::UseModules(names) => write!(f, "USE MODULES {}", commas(names)),
            Self::LoadModule { name, options } => {
                write!(f, "LOAD MODULE {name}")?;
                write_options(f, options)
            }
            Self::UnloadModule(name) => write!(f, "UNLOAD MODULE {name}"),
            Self::AddJar(path) => write!(f, "ADD JAR {}", TextLiteral(path)),
            Self::RemoveJar(path) => write!(f, "REMOVE JAR {}", TextLiteral(path)),
            Self::Show(target) => target.fmt(f),
            Self::Describe { target, extended } => target.write(f, *extended),
            Self::StopJob { job, savepoint, drain } => {
                let savepoint = word(*savepoint, " WITH SAVEPOINT");
                write!(f, "STOP JOB {}{savepoint}{}", TextLiteral(job), word(*drain, " WITH DRAIN"))
            }
            Self::CompilePlan { path, if_not_exists, execute, statement } => {
                let (execute, path) = (word(*execute, "AND EXECUTE "), TextLiteral(path));
                let guard = word(*if_not_exists, "IF NOT EXISTS ");
                write!(f, "COMPILE {execute}PLAN {path} {guard}FOR {statement}")
            }
            Self::ExecutePlan(path) => write!(f, "EXECUTE PLAN {}", TextLiteral(path)),
            Self::CreateCatalog { if_not_exists, name, comment, options } => {
                write!(f, "CREATE CATALOG {}{name}", word(*if_not_exists, "IF NOT EXISTS "))?;
                write_comment(f, comment.as_ref())?;
                write_options(f, options)
            }
            Self::CreateDatabase { if_not_exists, name, comment, options } => {
                write!(f, "CREATE DATABASE {}{name}", word(*if_not_exists, "IF NOT EXISTS "))?;
                write_comment(f, comment.as_ref())?;
                write_options(f, options)
            }
            Self::CreateTable(table) => table.fmt(f),
            Self::CreateMaterializedTable(table) => table.fmt(f),
            Self::CreateView(view) => view.fmt(f),
            Self::CreateFunction(function) => function.fmt(f),
            Self::CreateModel(model) => model.fmt(f),
            Self::CreateConnection { temporary, system, if_not_exists, name, comment, options } => {
                let (temporary, system) =
                    (word(*temporary, "TEMPORARY "), word(*system, "SYSTEM "));
                let guard = word(*if_not_exists, "IF NOT EXISTS ");
                write!(f, "CREATE {temporary}{system}CONNECTION {guard}{name}")?;
                write_comment(f, comment.as_ref())?;
                write!(f, " WITH ({})", commas(options))
            }
            Self::AlterTable(alter) => alter.fmt(f),
            Self::Alter { object, if_exists, name, action } => {
                write!(f, "ALTER {object} {}{name} {action}", word(*if_exists, "IF EXISTS "))
            }
            Self::AlterFunction {
                temporary,
                system,
                if_exists,
                name,
                implementation,
                language,
            } => {
                let (temporary, system) =
                    (word(*temporary, "TEMPORARY "), word(*system, "SYSTEM "));
                let guard = word(*if_exists, "IF EXISTS ");
                let implementation = TextLiteral(implementation);
                write!(f, "ALTER {temporary}{system}FUNCTION {guard}{name} AS {implementation}")?;
                language.map_or(Ok(()), |language| write!(f, " LANGUAGE {language}"))
            }
            Self::Drop(target) => target.fmt(f),
        }
    }
}

impl fmt::Display for InsertStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.upsert { "UPSERT" } else { "INSERT" };
        let into = if self.overwrite { "OVERWRITE" } else { "INTO" };
        write!(f, "{verb} {into} {}", self.table)?;
        if !self.hints.is_empty() {
            write!(f, " /*+ {} */", commas(&self.hints))?;
        }
        if let Some(partition) = &self.partition {
            write!(f, " PARTITION {partition}")?;
        }
        if !self.columns.is_empty() {
            write!(f, " ({})", commas(&self.columns))?;
        }
        write!(f, " {}", self.query)?;
        f.write_str(match self.on_conflict {
            Some(ConflictAction::Error) => " ON CONFLICT DO ERROR",
            Some(ConflictAction::Nothing) => " ON CONFLICT DO NOTHING",
            Some(ConflictAction::Deduplicate) => " ON CONFLICT DO DEDUPLICATE",
            None => "",
        })
    }
}

impl fmt::Display for ExplainStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EXPLAIN ")?;
        if self.mode == ExplainMode::PlanFor {
            f.write_str("PLAN FOR ")?;
        }
        if !self.details.is_empty() {
            write!(f, "{} ", commas(&self.details))?;
        }
        self.statement.fmt(f)
    }
}

impl fmt::Display for ExplainDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EstimatedCost => "ESTIMATED_COST",
            Self::ChangelogMode => "CHANGELOG_MODE",
            Self::JsonExecutionPlan => "JSON_EXECUTION_PLAN",
            Self::PlanAdvice => "PLAN_ADVICE",
        })
    }
}
