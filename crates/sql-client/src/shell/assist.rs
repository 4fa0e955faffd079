//! What helps while a statement is written.

use std::borrow::Cow;

use hurtig_sql_parser::{
    SqlErrorKind, SqlParser,
    highlight::{TextClass, classify},
    keywords::RESERVED,
};
use rustyline::{
    Context, Helper,
    completion::{Completer, Pair},
    highlight::{CmdKind, Highlighter},
    hint::Hinter,
    validate::{ValidationContext, ValidationResult, Validator},
};

use super::own_command;

/// Names that can be completed, beside the dialect's own words.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    /// Catalogs, databases, tables, views, columns.
    pub names: Vec<String>,
    /// Functions.
    pub functions: Vec<String>,
    /// Keys of settings, for SET.
    pub settings: Vec<String>,
}

/// Words that begin or join statements, and are not reserved.
const STATEMENT_WORDS: &[&str] = &[
    "CATALOG",
    "COMMENT",
    "DATABASE",
    "EXECUTE",
    "FORMAT",
    "IF",
    "JOBS",
    "KEY",
    "MODULES",
    "OPTIONS",
    "OVERWRITE",
    "PARTITIONED",
    "STATEMENT",
    "TABLES",
    "TEMPORARY",
    "USE",
    "VIEW",
    "VIEWS",
    "WATERMARK",
];

#[derive(Default)]
pub(super) struct Assistant {
    pub vocabulary: Vocabulary,
}

impl Helper for Assistant {}

impl Hinter for Assistant {
    type Hint = String;
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let whole = is_whole(context.input());
        Ok(if whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

/// Whether the text can be run. One that cannot be read can: the error tells more than silence.
fn is_whole(text: &str) -> bool {
    if text.trim().is_empty() || own_command(text).is_some() {
        return true;
    }
    match SqlParser::default().split(text) {
        Ok(parts) => parts.last().is_some_and(|last| last.terminated),
        Err(error) => error.kind != SqlErrorKind::Incomplete,
    }
}

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        let mut out = String::with_capacity(line.len() * 2);
        let mut done = 0;
        for (span, class) in classify(line) {
            let (start, end) = (span.start as usize, span.end as usize);
            out.push_str(&line[done..start]);
            let colour = match class {
                TextClass::Keyword => "\x1b[1;34m",
                TextClass::Text => "\x1b[32m",
                TextClass::Number => "\x1b[36m",
                TextClass::QuotedName => "\x1b[35m",
                TextClass::Comment => "\x1b[2m",
                TextClass::Word | TextClass::Other => "",
            };
            out.push_str(colour);
            out.push_str(&line[start..end]);
            if !colour.is_empty() {
                out.push_str("\x1b[0m");
            }
            done = end;
        }
        out.push_str(&line[done..]);
        Cow::Owned(out)
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        kind != CmdKind::MoveCursor
    }
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        Ok(complete(&self.vocabulary, line, position))
    }
}

/// Candidates for the word before the cursor, and where it begins.
fn complete(vocabulary: &Vocabulary, line: &str, position: usize) -> (usize, Vec<Pair>) {
    let before = &line[..position];
    let setting = before.rfind('\'').filter(|quote| {
        let head = before[..*quote].trim().to_ascii_uppercase();
        head == "SET" || head == "RESET"
    });
    let start = match setting {
        Some(quote) => quote + 1,
        None => {
            let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || c == '`';
            before
                .rfind(|c| !word(c))
                .map_or(0, |last| last + before[last..].chars().next().map_or(1, char::len_utf8))
        }
    };
    let typed = &before[start..];
    let fits =
        |name: &str| name.get(..typed.len()).is_some_and(|head| head.eq_ignore_ascii_case(typed));
    let mut found: Vec<String> = Vec::new();
    if setting.is_some() {
        found.extend(vocabulary.settings.iter().filter(|key| fits(key)).cloned());
    } else if !typed.is_empty() {
        found.extend(vocabulary.names.iter().filter(|name| fits(name)).cloned());
        let words = RESERVED.iter().chain(STATEMENT_WORDS).copied();
        let words = words.chain(vocabulary.functions.iter().map(String::as_str));
        let lower = typed.chars().all(|c| !c.is_uppercase());
        let cased =
            |word: &str| if lower { word.to_ascii_lowercase() } else { word.to_ascii_uppercase() };
        found.extend(words.filter(|word| fits(word)).map(cased));
    }
    found.sort();
    found.dedup();
    let pairs = found.into_iter();
    (start, pairs.map(|text| Pair { display: text.clone(), replacement: text }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_whole_with_its_semicolon() {
        for whole in ["SELECT 1;", "quit", " EXIT; ", "SELECT ';' ;", ""] {
            assert!(is_whole(whole), "{whole}");
        }
        for part in ["SELECT 1", "SELECT ';'", "SELECT 1; SELECT", "SELECT 'a;", "/* ;"] {
            assert!(!is_whole(part), "{part}");
        }
        let set = "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1;";
        assert!(!is_whole(set));
        assert!(is_whole(&format!("{set} END;")));
    }

    #[test]
    fn words_are_completed_as_they_were_begun() {
        let vocabulary = Vocabulary {
            names: vec!["orders".to_owned(), "Orders2".to_owned()],
            functions: vec!["ORD_FUNCTION".to_owned()],
            settings: vec!["parallelism.default".to_owned()],
        };
        let of = |line: &str| {
            let (start, pairs) = complete(&vocabulary, line, line.len());
            let texts = pairs.into_iter().map(|pair| pair.replacement);
            (start, texts.collect::<Vec<_>>().join(" "))
        };
        let found = |start: usize, text: &str| (start, text.to_owned());
        assert_eq!(of("select * from ord"), found(14, "Orders2 ord_function order orders ordinal"));
        assert_eq!(of("SELECT ORDE"), found(7, "ORDER Orders2 orders"));
        assert_eq!(of("SET 'para"), found(5, "parallelism.default"));
        assert_eq!(of("SELECT é.pass"), found(10, ""));
        assert_eq!(of("SELECT "), found(7, ""));
    }
}
