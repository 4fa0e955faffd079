//! Functions of one's own in SQL: a scalar, a table and an aggregate function.
//!
//!     cargo run --release -p hurtig-sql --example user_functions

use hurtig::prelude::*;
use hurtig_sql::{
    RowKind, SqlError, StatementResult, StreamTableEnvironment,
    functions::{UserAggregateFunction, UserFunction},
};

#[derive(Serialize, Deserialize)]
struct Word {
    word: String,
    length: i32,
}

/// Table functions make any number of rows; the fields of a struct are their columns.
fn split(line: String) -> Vec<Word> {
    let word = |word: &str| Word { word: word.to_owned(), length: word.chars().count() as i32 };
    line.split_whitespace().map(word).collect()
}

/// The geometric mean: what is kept of a group is the sum of logarithms and a count.
struct GeometricMean;

impl UserAggregateFunction for GeometricMean {
    type Input = (f64,);
    type Accumulator = (f64, i64);
    type Output = Option<f64>;
    const CAN_RETRACT: bool = true;
    const CAN_MERGE: bool = true;

    fn create_accumulator(&self) -> (f64, i64) {
        (0.0, 0)
    }

    fn accumulate(&self, into: &mut (f64, i64), (value,): (f64,)) {
        *into = (into.0 + value.ln(), into.1 + 1);
    }

    fn retract(&self, from: &mut (f64, i64), (value,): (f64,)) {
        *from = (from.0 - value.ln(), from.1 - 1);
    }

    fn merge(&self, into: &mut (f64, i64), other: (f64, i64)) {
        *into = (into.0 + other.0, into.1 + other.1);
    }

    fn get_value(&self, of: &(f64, i64)) -> Option<f64> {
        (of.1 > 0).then(|| (of.0 / of.1 as f64).exp())
    }
}

fn main() -> Result<(), SqlError> {
    let env = StreamExecutionEnvironment::new();
    let mut tables = StreamTableEnvironment::create(&env);
    let initial = UserFunction::scalar(|word: String| word.chars().next().map(String::from));
    tables.create_temporary_system_function("initial", initial)?;
    tables.create_temporary_system_function("split", UserFunction::table(split))?;
    let mean = UserFunction::aggregate(GeometricMean);
    tables.create_temporary_system_function("geometric_mean", mean)?;
    let result = tables.execute_sql(
        "SELECT initial(word), geometric_mean(length)
         FROM (VALUES ('the tea is in the tin'), ('tomorrow is another day')) AS t(line),
              LATERAL TABLE(split(line))
         GROUP BY initial(word)",
    )?;
    let StatementResult::Query(mut rows) = result else { return Ok(()) };
    while let Some(changes) = rows.next(Duration::from_secs(1))? {
        for (kind, row) in changes.iter().filter(|(kind, _)| *kind != RowKind::UpdateBefore) {
            println!("{} {row:?}", kind.short());
        }
    }
    Ok(())
}
