//! What the tests share.

use hurtig_sql_parser::{SqlParser, ast::SqlStatement};

/// The statement that a text is.
pub fn parse(sql: &str) -> SqlStatement {
    match SqlParser::default().statement(sql) {
        Ok(statement) => statement,
        Err(error) => panic!("{}", error.render(sql)),
    }
}

/// The statements of a script, printed, one per line, each parsed again and found equal.
pub fn round_trip(script: &str) -> String {
    let statements = match SqlParser::default().script(script) {
        Ok(statements) => statements,
        Err(error) => panic!("{}", error.render(script)),
    };
    let mut printed = String::new();
    for statement in statements {
        let text = statement.to_string();
        let again = match SqlParser::default().statement(&text) {
            Ok(again) => again,
            Err(error) => panic!("what was printed: {}", error.render(&text)),
        };
        assert_eq!(again, statement, "{text}");
        assert_eq!(again.to_string(), text);
        printed.push_str(&text);
        printed.push('\n');
    }
    printed
}

/// The error of a text, rendered.
pub fn error(sql: &str) -> String {
    match SqlParser::default().script(sql) {
        Ok(statements) => panic!("parsed as {statements:?}"),
        Err(error) => error.render(sql),
    }
}
