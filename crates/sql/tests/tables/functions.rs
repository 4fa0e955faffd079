//! Functions of users.

use hurtig::prelude::*;
use hurtig_sql::{
    StreamTableEnvironment,
    functions::{UserAggregateFunction, UserFunction},
    values::Timestamp,
};

use super::{changes, error, rows};

fn tables() -> StreamTableEnvironment {
    StreamTableEnvironment::create(&StreamExecutionEnvironment::new())
}

const NAMES: &str = "(VALUES (1, 'tea'), (2, CAST(NULL AS STRING)), (3, 'ink')) AS t(id, name)";

#[test]
fn a_closure_is_a_scalar_function() {
    let mut tables = tables();
    let shout = UserFunction::scalar(|name: String| format!("{}!", name.to_uppercase()));
    tables.create_temporary_system_function("shout", shout).unwrap();
    let found = changes(&mut tables, &format!("SELECT id, Shout(name) FROM {NAMES}"));
    assert_eq!(found, ["+I[1, TEA!]", "+I[2, NULL]", "+I[3, INK!]"], "NULL is not passed");
    let or = UserFunction::scalar(|name: Option<String>, n: i64| {
        name.unwrap_or_else(|| "nothing".repeat(n as usize))
    });
    tables.create_temporary_system_function("or_nothing", or).unwrap();
    let found = changes(&mut tables, &format!("SELECT or_nothing(name, id) FROM {NAMES}"));
    assert_eq!(found, ["+I[tea]", "+I[nothingnothing]", "+I[ink]"], "an INT is cast to BIGINT");
    let listed = rows(tables.execute_sql("SHOW USER FUNCTIONS").unwrap());
    assert_eq!(listed, ["or_nothing", "shout"]);
    assert!(tables.drop_temporary_system_function("shout").unwrap());
    let text = error(tables.sql_query("SELECT shout('a')"));
    assert!(text.contains("No match found for function signature SHOUT"), "{text}");
}

#[test]
fn nested_and_temporal_types_go_both_ways() {
    let mut tables = tables();
    let later = UserFunction::scalar(|at: Timestamp, tags: Vec<Option<String>>| {
        let at = Timestamp::from_millis(at.millis() + 1500);
        (at, tags.into_iter().flatten().collect::<Vec<String>>())
    });
    tables.create_temporary_system_function("later", later).unwrap();
    let query = "SELECT r.f0, r.f1 FROM (SELECT later(TIMESTAMP '2024-01-01 00:00:00', \
                 ARRAY['a', NULL, 'b']) AS r)";
    assert_eq!(changes(&mut tables, query), ["+I[2024-01-01 00:00:01.500, [a, b]]"]);
}

#[test]
fn what_fails_in_a_function_fails_the_job_with_its_words() {
    let mut tables = tables();
    let parse = UserFunction::try_scalar(|text: String| text.parse::<i32>());
    tables.create_temporary_system_function("parse", parse).unwrap();
    let query = "SELECT parse(v) FROM (VALUES ('1'), ('x')) AS t(v)";
    let result = tables.execute_sql(query).unwrap();
    let hurtig_sql::StatementResult::Query(mut result) = result else { panic!("no query") };
    let failed = loop {
        match result.next(super::SOON) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the job has not failed"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(failed.contains("invalid digit found in string"), "{failed}");
}

#[test]
fn wrong_calls_and_types_are_told() {
    let mut tables = tables();
    let twice = UserFunction::scalar(|n: i32| n * 2);
    tables.create_temporary_system_function("twice", twice).unwrap();
    let text = error(tables.sql_query("SELECT twice('a')"));
    assert!(text.contains("Invalid function call: TWICE(CHAR(1) NOT NULL)"), "{text}");
    assert!(text.contains("declared as TWICE(INT NOT NULL)"), "{text}");
    let text = error(tables.sql_query("SELECT twice(1, 2)"));
    assert!(text.contains("Invalid function call"), "{text}");
    let wide = UserFunction::scalar(|n: u128| n);
    let text = error(tables.create_temporary_system_function("wide", wide));
    assert!(text.contains("function WIDE") && text.contains("u128 is too large"), "{text}");
}

#[test]
fn columns_can_be_computed_at_once() {
    use arrow_array::{ArrayRef, Int64Array, cast::AsArray, types::Int64Type};
    let mut tables = tables();
    let square = UserFunction::vectorized(&["BIGINT"], "BIGINT", |columns, _| {
        let column = columns[0].as_primitive::<Int64Type>();
        let squares: Int64Array = column.iter().map(|n| n.map(|n| n * n)).collect();
        assert_eq!(squares.len(), column.len());
        Ok(std::sync::Arc::new(squares) as ArrayRef)
    });
    tables.create_temporary_system_function("square", square).unwrap();
    let query = "SELECT square(n), square(4) FROM (VALUES (2), (3)) AS t(n)";
    assert_eq!(changes(&mut tables, query), ["+I[4, 16]", "+I[9, 16]"]);
}

#[derive(Serialize, Deserialize)]
struct Word {
    word: String,
    length: i32,
}

fn split(text: String) -> Vec<Word> {
    let word = |word: &str| Word { word: word.to_owned(), length: word.len() as i32 };
    text.split_whitespace().map(word).collect()
}

#[test]
fn a_table_function_joins_each_row_with_what_it_makes() {
    let mut tables = tables();
    tables.create_temporary_system_function("split", UserFunction::table(split)).unwrap();
    let from = "(VALUES (1, 'to be'), (2, ''), (3, CAST(NULL AS STRING))) AS t(id, line)";
    let query = format!("SELECT id, word, length FROM {from}, LATERAL TABLE(split(line))");
    assert_eq!(changes(&mut tables, &query), ["+I[1, to, 2]", "+I[1, be, 2]"]);
    let query =
        format!("SELECT id, w FROM {from} LEFT JOIN LATERAL TABLE(split(line)) AS s(w, n) ON TRUE");
    assert_eq!(
        changes(&mut tables, &query),
        ["+I[1, to]", "+I[1, be]", "+I[2, NULL]", "+I[3, NULL]"]
    );
    let found = changes(&mut tables, "SELECT length FROM TABLE(split('a bcd'))");
    assert_eq!(found, ["+I[1]", "+I[3]"]);
    let text = error(tables.sql_query("SELECT split('a')"));
    assert!(text.contains("No match found for function signature SPLIT"), "{text}");
}

/// The largest of what there is; what leaves is counted.
struct Longest;

impl UserAggregateFunction for Longest {
    type Input = (String,);
    type Accumulator = Vec<String>;
    type Output = Option<String>;
    const CAN_RETRACT: bool = true;
    const CAN_MERGE: bool = true;

    fn create_accumulator(&self) -> Vec<String> {
        Vec::new()
    }

    fn accumulate(&self, into: &mut Vec<String>, (row,): (String,)) {
        into.push(row);
    }

    fn retract(&self, from: &mut Vec<String>, (row,): (String,)) {
        let place = from.iter().position(|one| *one == row).unwrap();
        from.remove(place);
    }

    fn merge(&self, into: &mut Vec<String>, other: Vec<String>) {
        into.extend(other);
    }

    fn get_value(&self, of: &Vec<String>) -> Option<String> {
        of.iter().max_by_key(|one| one.len()).cloned()
    }
}

/// Counts, and can nothing else.
struct Plain;

impl UserAggregateFunction for Plain {
    type Input = (Option<i32>,);
    type Accumulator = i64;
    type Output = i64;

    fn create_accumulator(&self) -> i64 {
        0
    }

    fn accumulate(&self, into: &mut i64, _: (Option<i32>,)) {
        *into += 1;
    }

    fn get_value(&self, of: &i64) -> i64 {
        *of
    }
}

#[test]
fn an_aggregate_function_follows_changes() {
    let mut tables = tables();
    tables.create_temporary_system_function("longest", UserFunction::aggregate(Longest)).unwrap();
    tables.create_temporary_system_function("rows_of", UserFunction::aggregate(Plain)).unwrap();
    let from = "(VALUES (1, 'a'), (1, 'bcd'), (2, CAST(NULL AS STRING)), (1, 'ef')) AS t(k, v)";
    let query = format!("SELECT k, longest(v), rows_of(k) FROM {from} GROUP BY k");
    let last = changes(&mut tables, &query);
    assert!(last.contains(&"+I[2, NULL, 1]".to_owned()), "{last:?}");
    assert!(last.iter().any(|one| one.ends_with("[1, bcd, 3]")), "{last:?}");
    // The inner rows change, so the outer function takes some away again.
    let changing = format!("SELECT longest(m) FROM (SELECT MAX(v) AS m FROM {from} GROUP BY k)");
    let last = changes(&mut tables, &changing);
    assert!(last.last().unwrap().ends_with("[ef]"), "{last:?}");
    let changing = format!(
        "SELECT rows_of(n) FROM (SELECT CAST(COUNT(*) AS INT) AS n FROM {from} GROUP BY k)"
    );
    let text = error(tables.execute_sql(&changing));
    assert!(text.contains("ROWS_OF does not implement retract()"), "{text}");
}

#[test]
fn create_function_gives_an_implementation_another_name() {
    let mut tables = tables();
    let shout = UserFunction::scalar(|name: String| name.to_uppercase());
    tables.session().register_function("my_job::Shout", &shout).unwrap();
    tables.execute_sql("CREATE FUNCTION loud AS 'my_job::Shout'").unwrap();
    assert_eq!(changes(&mut tables, "SELECT loud('a')"), ["+I[A]"]);
    tables.execute_sql("CREATE TEMPORARY FUNCTION lacking AS 'my_job::Missing'").unwrap();
    let text = error(tables.sql_query("SELECT lacking('a')"));
    assert!(text.contains("MY_JOB::MISSING"), "{text}");
}
