//! Calls and their results, as Flink gives them. A line of a table is a call: its name, its
//! arguments as `value:TYPE` (constants in quotes keep their blanks), and what is expected: the
//! value's text and the type.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, StringArray};
use hurtig_env::Clock;
use hurtig_sql_common::SqlContext;
use hurtig_sql_parser::{SqlParser, types::SqlDataType};

use crate::{
    api::{AggregateState, CallArgument, Operand},
    cast, lookup_aggregate, lookup_scalar, print_column,
    types::STRING,
};

mod aggregates;
mod calls;

fn context() -> SqlContext {
    SqlContext::new(Clock::starting_at(1_700_000_000_000))
}

fn data_type(text: &str) -> SqlDataType {
    SqlParser::default().data_type(text).unwrap()
}

/// A column of values by their texts.
fn column(texts: &[Option<&str>], to: &SqlDataType) -> ArrayRef {
    let array: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    let kernel = cast(&SqlDataType::nullable(STRING), to, false).unwrap();
    kernel.evaluate(&[Operand::Column(array)], texts.len(), &context()).unwrap()
}

fn argument(text: &str) -> (CallArgument, ArrayRef) {
    let (value, kind) = text.rsplit_once(':').unwrap();
    let data_type = data_type(kind);
    let value = value.trim_matches('\'');
    let array = column(&[(value != "NULL").then_some(value)], &data_type);
    (CallArgument { data_type, literal: Some(array.clone()) }, array)
}

/// The result of a call as text and type, once with constants and once with columns.
fn evaluate(name: &str, arguments: &[&str]) -> String {
    let given: Vec<_> = arguments.iter().map(|one| argument(one)).collect();
    let (arguments, arrays): (Vec<_>, Vec<_>) = given.into_iter().unzip();
    let Some(function) = lookup_scalar(name) else { return "no such function".to_owned() };
    let call = match function.resolve(&arguments) {
        Ok(call) => call,
        Err(error) => return error.0,
    };
    let cast_to = |(index, array): (usize, &ArrayRef)| {
        let kernel = cast(&arguments[index].data_type, &call.arguments[index], false).unwrap();
        kernel.evaluate(&[Operand::Column(array.clone())], 1, &context()).unwrap()
    };
    let arrays: Vec<_> = arrays.iter().enumerate().map(cast_to).collect();
    let results = [Operand::Constant as fn(ArrayRef) -> Operand, Operand::Column].map(|operand| {
        let operands: Vec<_> = arrays.iter().cloned().map(operand).collect();
        match call.kernel.evaluate(&operands, 1, &context()) {
            Err(error) => error.to_string(),
            Ok(array) => {
                let wanted = hurtig_sql_common::columns::arrow_type(&call.result).unwrap();
                assert_eq!(*array.data_type(), wanted, "{name}");
                let printed = print_column(&array, &call.result, &context()).unwrap();
                let text = if printed.is_null(0) { "NULL" } else { printed.value(0) };
                format!("{text} {}", call.result)
            }
        }
    });
    assert_eq!(results[0], results[1], "{name}: constants and columns");
    results[0].clone()
}

/// Checks a table of `NAME | argument | argument | result`.
fn check(table: &str) {
    let mut wrong = Vec::new();
    for line in table.trim().lines() {
        let mut parts: Vec<_> = line.split(" | ").map(str::trim).collect();
        let expected = parts.pop().unwrap();
        let found = evaluate(parts[0], &parts[1..]);
        if found != expected {
            wrong.push(format!("{line}\n    found {found}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The result of an aggregate over `value` or `-value` (retracted), separated by blanks.
fn aggregate(name: &str, kind: &str, values: &str) -> String {
    let argument_type = data_type(kind);
    let mut retracts = Vec::new();
    let texts = values.split(' ').map(|value| {
        let (retract, value) = match value.strip_prefix('~') {
            Some(value) => (true, value),
            None => (false, value),
        };
        retracts.push(retract);
        (value != "NULL").then_some(value)
    });
    let texts: Vec<_> = texts.collect();
    let given = column(&texts, &argument_type);
    let argument = CallArgument { data_type: argument_type.clone(), literal: None };
    let retracting = retracts.contains(&true);
    let function = lookup_aggregate(name).unwrap();
    let call = match function.resolve(&[argument], retracting) {
        Ok(call) => call,
        Err(error) => return error.0,
    };
    let kernel = cast(&argument_type, &call.arguments[0], false).unwrap();
    let given = kernel.evaluate(&[Operand::Column(given)], texts.len(), &context()).unwrap();
    let mut states = [call.kernel.empty(), call.kernel.empty()];
    // Half of the rows go to each state, which are merged, so that merging is tested, too.
    let groups: Vec<u32> = (0..texts.len()).map(|row| u32::from(row * 2 >= texts.len())).collect();
    let counts = BooleanArray::from(vec![true; texts.len()]);
    let [first, second] = &mut states;
    let mut both: [&mut AggregateState; 2] = [first, second];
    let retracts = retracting.then_some(retracts.as_slice());
    call.kernel.update(&mut both, &groups, &[given], Some(&counts), retracts).unwrap();
    let [mut first, second] = states;
    call.kernel.merge(&mut first, &second).unwrap();
    match call.kernel.results(&[&first]) {
        Err(error) => error.to_string(),
        Ok(array) => {
            let printed = print_column(&array, &call.result, &context()).unwrap();
            let text = if printed.is_null(0) { "NULL" } else { printed.value(0) };
            format!("{text} {}", call.result)
        }
    }
}
