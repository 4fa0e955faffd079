//! Text that means harm, or nothing: an error or a tree, never a panic, in bounded time and space.

use hurtig_sql_parser::{SqlErrorKind, SqlLimits, SqlParser};
use proptest::prelude::*;

use crate::{oracle::cases, support::round_trip};

fn kind(sql: &str) -> SqlErrorKind {
    SqlParser::default().script(sql).unwrap_err().kind
}

#[test]
fn nesting_of_every_kind_is_bounded() {
    let wrap = |open: &str, inner: &str, close: &str| {
        format!("SELECT {}{inner}{}", open.repeat(50_000), close.repeat(50_000))
    };
    let deep = [
        wrap("(", "1", ")"),
        wrap("f(", "1", ")"),
        wrap("- ", "1", ""),
        wrap("NOT ", "a", ""),
        wrap("CASE WHEN ", "a", " THEN 1 END"),
        wrap("ARRAY[", "1", "]"),
        wrap("(SELECT ", "1", ")"),
        wrap("((SELECT 1) + ", "1", ")"),
        wrap("a IN (", "1", ")"),
        wrap("a[", "1", "]"),
        wrap("EXISTS (SELECT ", "1", ")"),
        wrap("JSON_OBJECT('a' VALUE ", "1", ")"),
        wrap("a BETWEEN ", "1", " AND 1"),
        wrap("* FROM (", "t", ")"),
        wrap("* FROM (SELECT * FROM ", "t", ")"),
        wrap("* FROM (t JOIN ", "t", " ON TRUE)"),
        wrap("CAST(a AS ", "INT", ")").replacen("CAST(a AS ", "CAST(a AS ARRAY<", 1),
        format!("SELECT CAST(a AS {}INT{})", "ARRAY<".repeat(50_000), ">".repeat(50_000)),
        format!("SELECT CAST(a AS {}INT{})", "ROW<a ".repeat(50_000), ">".repeat(50_000)),
        format!("SELECT a FROM t GROUP BY {}a", "GROUPING SETS (".repeat(50_000)),
        format!("SELECT * FROM t MATCH_RECOGNIZE (PATTERN ({}A", "(".repeat(50_000)),
        format!("{}SELECT 1{}", "(".repeat(50_000), ")".repeat(50_000)),
        format!("EXPLAIN {}SELECT 1", "EXECUTE ".repeat(50_000)),
        format!("SELECT * FROM {}", "f(TABLE(".repeat(50_000)),
    ];
    for sql in deep {
        let kind = kind(&sql);
        assert!(
            matches!(kind, SqlErrorKind::Limit | SqlErrorKind::Syntax),
            "{kind:?}: {}",
            &sql[..60]
        );
    }
}

#[test]
fn chains_of_operators_are_bounded() {
    for between in
        ["+", "||", "=", " IS NULL", "[1]", ".b", " INT ARRAY", " UNION SELECT 1 EXCEPT SELECT "]
    {
        let tail = between.repeat(20_000);
        let sql = match between {
            "+" | "||" | "=" => format!("SELECT {}", vec!["1"; 20_000].join(between)),
            " INT ARRAY" => format!("SELECT CAST(a AS INT{})", " ARRAY".repeat(20_000)),
            " UNION SELECT 1 EXCEPT SELECT " => {
                format!("SELECT 1{}1", tail.replace("SELECT  ", "SELECT 1 "))
            }
            _ => format!("SELECT f(a){tail}"),
        };
        let error = SqlParser::default().script(&sql).unwrap_err();
        assert!(
            matches!(error.kind, SqlErrorKind::Limit | SqlErrorKind::Syntax),
            "{between}: {error}"
        );
    }
}

#[test]
fn what_is_as_deep_as_allowed_can_be_walked() {
    let limits = SqlLimits::DEFAULT;
    let nesting = limits.nesting as usize / 2 - 5;
    let deep = format!("SELECT {}1{}", "f(".repeat(nesting), ")".repeat(nesting));
    let tall = format!("SELECT {}", vec!["1"; limits.tree_height as usize - 20].join(" + "));
    for sql in [deep, tall] {
        let statement = SqlParser::default().statement(&sql).unwrap();
        assert_eq!(statement.clone(), statement);
        assert!(!format!("{statement:?}").is_empty());
        assert_eq!(SqlParser::default().statement(&statement.to_string()), Ok(statement));
    }
}

#[test]
fn sizes_are_bounded() {
    let limits = SqlLimits { script_bytes: 1_000, statement_bytes: 100, ..SqlLimits::DEFAULT };
    let parser = SqlParser::with_limits(limits);
    let limit = |sql: &str| parser.script(sql).unwrap_err().kind;
    assert_eq!(limit(&"SELECT 1;".repeat(200)), SqlErrorKind::Limit);
    assert_eq!(limit(&format!("SELECT '{}'", "x".repeat(200))), SqlErrorKind::Limit);
    assert_eq!(limit(&format!("SELECT 1{}", " ".repeat(2_000))), SqlErrorKind::Limit);
    let long = "x".repeat(257);
    assert_eq!(kind(&format!("SELECT {long}")), SqlErrorKind::Limit);
    assert!(SqlParser::default().script(&format!("SELECT {}", &long[1..])).is_ok());
    let list = vec!["1"; 600_000].join(",");
    assert_eq!(kind(&format!("SELECT a IN ({list})")), SqlErrorKind::Limit);
    let list = vec!["1"; 200_000].join(",");
    assert!(SqlParser::default().statement(&format!("SELECT a IN ({list})")).is_ok());
    let digits = "9".repeat(1_000_000);
    assert!(SqlParser::default().statement(&format!("SELECT {digits}")).is_ok());
    assert_eq!(
        kind(&format!("SELECT 1 LIMIT {digits}; SELECT CHAR({digits}")),
        SqlErrorKind::Syntax
    );
}

#[test]
fn ends_in_the_middle_are_errors_or_incomplete() {
    for case in cases().into_iter().filter(|case| !case.negative).step_by(7) {
        for end in 0..case.script.len() {
            if let Some(head) = case.script.get(..end).filter(|_| end % 3 == 0)
                && let Err(error) = SqlParser::default().script(head)
            {
                assert!(!error.render(head).is_empty());
            }
        }
    }
}

/// Words and symbols of the dialect, and some that are none.
fn tokens() -> impl Strategy<Value = String> {
    const WORDS: &str = "SELECT FROM WHERE GROUP BY ORDER HAVING QUALIFY WINDOW OVER PARTITION ROWS RANGE \
        BETWEEN AND OR NOT NULL IS IN LIKE EXISTS CASE WHEN THEN ELSE END CAST AS INT ROW ARRAY MAP TABLE \
        TUMBLE DESCRIPTOR INTERVAL '5' MINUTE DAY TO SECOND JOIN LEFT ON USING LATERAL UNNEST VALUES WITH \
        UNION ALL EXCEPT INTERSECT DISTINCT FILTER WITHIN JSON_VALUE JSON_OBJECT KEY VALUE RETURNING FLOOR \
        EXTRACT TRIM POSITION MATCH_RECOGNIZE PATTERN DEFINE MEASURES CREATE VIEW INSERT INTO EXPLAIN SET \
        WATERMARK FOR PRIMARY SYSTEM_TIME OF LIMIT OFFSET FETCH ALTER DROP SHOW FINAL LAST EXECUTE STATEMENT \
        BEGIN ( ) ( ) [ ] , , ; . * + - / || = <> < >= => /*+ */ { } ? a b t.x `q` 'text' U&'\\00' x'0' \
        1 2.5 1e3 \" \u{0} é ' ` -- /*";
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    prop::collection::vec(prop::sample::select(words), 0..40).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn soup_of_words_gives_a_tree_or_an_error(soup in tokens()) {
        for text in [soup.clone(), format!("SELECT {soup}"), format!("SELECT a FROM {soup}")] {
            match SqlParser::default().script(&text) {
                Ok(_) => {
                    round_trip(&text);
                }
                Err(error) => prop_assert!(error.render(&text).contains("error: ")),
            }
        }
    }

    #[test]
    fn any_text_gives_a_tree_or_an_error(text in any::<String>()) {
        if let Err(error) = SqlParser::default().script(&text) {
            prop_assert!(error.render(&text).contains("error: "));
        }
    }

    #[test]
    fn changed_scripts_give_a_tree_or_an_error(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        length in 0_usize..12,
        put in prop_oneof![tokens(), "[ -~]{0,6}"],
    ) {
        let scripts = &*SCRIPTS;
        let script = which.get(scripts);
        let boundary = |mut byte: usize| {
            while !script.is_char_boundary(byte) {
                byte -= 1;
            }
            byte
        };
        let start = boundary(at.index(script.len()));
        let end = boundary((start + length).min(script.len())).max(start);
        let changed = format!("{}{put}{}", &script[..start], &script[end..]);
        if let Err(error) = SqlParser::default().script(&changed) {
            prop_assert!(error.render(&changed).contains("error: "));
        } else {
            round_trip(&changed);
        }
    }
}

static SCRIPTS: std::sync::LazyLock<Vec<String>> =
    std::sync::LazyLock::new(|| cases().into_iter().map(|case| case.script).collect());
