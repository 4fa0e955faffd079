//! Aggregate functions.
//!
//! The state of a group is the accumulator in the record codec. In a batch each group's is read once and
//! written once.

use std::{fmt, sync::Arc};

use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_schema::DataType;
use hurtig_sql_common::{EvalError, columns::arrow_type};
use hurtig_sql_functions::api::{
    AggregateKernel, AggregateState, CallArgument, CallError, ResolvedAggregate,
    SqlAggregateFunction,
};
use hurtig_sql_parser::types::SqlDataType;
use hurtig_types::codec;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    arguments::{ArgumentColumn, Arguments},
    casts, value_error,
};
use crate::values::{ColumnReader, ColumnWriter, RowValueError, data_type_of};

/// A function of many rows' values.
///
/// ```
/// use hurtig_sql::functions::UserAggregateFunction;
///
/// /// The average of prices, by weight.
/// struct WeightedAverage;
///
/// impl UserAggregateFunction for WeightedAverage {
///     type Input = (f64, i32);
///     type Accumulator = (f64, i64);
///     type Output = Option<f64>;
///     const CAN_RETRACT: bool = true;
///     const CAN_MERGE: bool = true;
///
///     fn create_accumulator(&self) -> Self::Accumulator {
///         (0.0, 0)
///     }
///
///     fn accumulate(&self, into: &mut Self::Accumulator, (value, weight): Self::Input) {
///         into.0 += value * f64::from(weight);
///         into.1 += i64::from(weight);
///     }
///
///     fn retract(&self, from: &mut Self::Accumulator, (value, weight): Self::Input) {
///         from.0 -= value * f64::from(weight);
///         from.1 -= i64::from(weight);
///     }
///
///     fn merge(&self, into: &mut Self::Accumulator, other: Self::Accumulator) {
///         into.0 += other.0;
///         into.1 += other.1;
///     }
///
///     fn get_value(&self, of: &Self::Accumulator) -> Self::Output {
///         (of.1 != 0).then(|| of.0 / of.1 as f64)
///     }
/// }
/// ```
pub trait UserAggregateFunction: Send + Sync + 'static {
    /// The arguments, as a tuple.
    type Input: Arguments;
    /// What is kept of a group. Part of the job's state.
    type Accumulator: Serialize + DeserializeOwned + 'static;
    /// The result; with `Option` it may be NULL.
    type Output: Serialize + DeserializeOwned + 'static;
    /// Whether [`UserAggregateFunction::retract`] is there: needed where rows change.
    const CAN_RETRACT: bool = false;
    /// Whether [`UserAggregateFunction::merge`] is there: needed by windows that overlap or merge, and by
    /// aggregates in two phases.
    const CAN_MERGE: bool = false;

    /// The accumulator of a group without rows.
    fn create_accumulator(&self) -> Self::Accumulator;
    /// Adds a row.
    fn accumulate(&self, into: &mut Self::Accumulator, row: Self::Input);
    /// Takes a row away.
    fn retract(&self, from: &mut Self::Accumulator, row: Self::Input) {
        let _ = (from, row);
    }
    /// Adds another accumulator.
    fn merge(&self, into: &mut Self::Accumulator, other: Self::Accumulator) {
        let _ = (into, other);
    }
    /// The result.
    fn get_value(&self, of: &Self::Accumulator) -> Self::Output;
}

/// A kernel under a name.
type MakeKernel = dyn Fn(&str) -> Arc<dyn AggregateKernel> + Send + Sync;

#[derive(Clone)]
pub(super) struct AggregateDefinition {
    parameters: Vec<SqlDataType>,
    result: SqlDataType,
    can_retract: bool,
    kernel: Arc<MakeKernel>,
}

impl AggregateDefinition {
    pub(super) fn new<F: UserAggregateFunction>(function: F) -> Result<Self, RowValueError> {
        let parameters = F::Input::types()?;
        let result = data_type_of::<F::Output>()?;
        let column = arrow_type(&result).map_err(|error| RowValueError(error.to_string()))?;
        let nullable: Arc<[bool]> = parameters.iter().map(|one| one.nullable).collect();
        let function = Arc::new(function);
        let kernel = move |name: &str| -> Arc<dyn AggregateKernel> {
            Arc::new(AccumulatorKernel {
                name: name.into(),
                function: function.clone(),
                nullable: nullable.clone(),
                column: column.clone(),
            })
        };
        let can_retract = F::CAN_RETRACT;
        Ok(Self { parameters, result, can_retract, kernel: Arc::new(kernel) })
    }

    pub(super) fn named(&self, name: &str) -> NamedAggregate {
        NamedAggregate { name: name.into(), definition: self.clone() }
    }
}

pub(super) struct NamedAggregate {
    name: Arc<str>,
    definition: AggregateDefinition,
}

impl SqlAggregateFunction for NamedAggregate {
    fn name(&self) -> &str {
        &self.name
    }

    fn resolve(
        &self,
        arguments: &[CallArgument],
        retracts: bool,
    ) -> Result<ResolvedAggregate, CallError> {
        let AggregateDefinition { parameters, result, can_retract, kernel } = &self.definition;
        if retracts && !can_retract {
            let name = &self.name;
            return Err(CallError(format!(
                "Function {name} does not implement retract(), which it needs here: rows that it has \
                 seen change or leave"
            )));
        }
        Ok(ResolvedAggregate {
            arguments: casts(&self.name, arguments, parameters)?,
            result: result.clone(),
            kernel: kernel(&self.name),
        })
    }
}

struct AccumulatorKernel<F> {
    name: Arc<str>,
    function: Arc<F>,
    nullable: Arc<[bool]>,
    column: DataType,
}

impl<F> fmt::Debug for AccumulatorKernel<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccumulatorKernel({})", self.name)
    }
}

impl<F: UserAggregateFunction> AccumulatorKernel<F> {
    fn read(&self, state: &AggregateState) -> Result<F::Accumulator, EvalError> {
        match state {
            AggregateState::Empty => Ok(self.function.create_accumulator()),
            AggregateState::Value(bytes) => codec::decode(bytes).map_err(|error| {
                EvalError::Value(format!("{}: its accumulator cannot be read: {error}", self.name))
            }),
            _ => Err(EvalError::Internal(format!("{}: the state of another function", self.name))),
        }
    }

    fn written(&self, accumulator: &F::Accumulator) -> Result<AggregateState, EvalError> {
        let bytes = codec::encode(accumulator).map_err(|error| {
            EvalError::Value(format!("{}: its accumulator cannot be kept: {error}", self.name))
        })?;
        Ok(AggregateState::Value(bytes.into()))
    }
}

impl<F: UserAggregateFunction> AggregateKernel for AccumulatorKernel<F> {
    fn empty(&self) -> AggregateState {
        AggregateState::Empty
    }

    fn update(
        &self,
        states: &mut [&mut AggregateState],
        groups: &[u32],
        arguments: &[ArrayRef],
        counts: Option<&BooleanArray>,
        retracts: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        let wrong = |error: RowValueError| value_error(&self.name, &error);
        if arguments.len() != self.nullable.len() {
            let name = &self.name;
            return Err(EvalError::Internal(format!("{name} has another number of arguments")));
        }
        let columns = arguments.iter().zip(self.nullable.iter()).map(|(values, nullable)| {
            Ok(ArgumentColumn::new(ColumnReader::of(values)?, false, *nullable))
        });
        let columns = columns.collect::<Result<Vec<_>, RowValueError>>().map_err(wrong)?;
        // The accumulators that the batch has touched.
        let mut touched: Vec<Option<F::Accumulator>> = (0..states.len()).map(|_| None).collect();
        for (row, group) in groups.iter().enumerate() {
            let counted = counts.is_none_or(|counts| counts.is_valid(row) && counts.value(row));
            if !counted || columns.iter().any(|column| column.forbids(row)) {
                continue;
            }
            let group = *group as usize;
            let accumulator = match &mut touched[group] {
                Some(known) => known,
                unread => unread.insert(self.read(states[group])?),
            };
            let input = F::Input::read(&columns, row).map_err(wrong)?;
            if retracts.is_some_and(|retracts| retracts[row]) {
                self.function.retract(accumulator, input);
            } else {
                self.function.accumulate(accumulator, input);
            }
        }
        for (state, accumulator) in states.iter_mut().zip(&touched) {
            if let Some(accumulator) = accumulator {
                **state = self.written(accumulator)?;
            }
        }
        Ok(())
    }

    fn can_merge(&self) -> bool {
        F::CAN_MERGE
    }

    fn merge(&self, into: &mut AggregateState, other: &AggregateState) -> Result<(), EvalError> {
        if *other == AggregateState::Empty {
            return Ok(());
        }
        if *into == AggregateState::Empty {
            *into = other.clone();
            return Ok(());
        }
        if !F::CAN_MERGE {
            let name = &self.name;
            return Err(EvalError::Value(format!(
                "Function {name} does not implement merge(), which it needs here: its groups are put \
                 together of parts"
            )));
        }
        let mut whole = self.read(into)?;
        self.function.merge(&mut whole, self.read(other)?);
        *into = self.written(&whole)?;
        Ok(())
    }

    fn results(&self, states: &[&AggregateState]) -> Result<ArrayRef, EvalError> {
        let wrong = |error: RowValueError| value_error(&self.name, &error);
        let mut writer = ColumnWriter::new(&self.column).map_err(wrong)?;
        for state in states {
            writer.write(&self.function.get_value(&self.read(state)?)).map_err(wrong)?;
        }
        writer.finish().map_err(wrong)
    }
}
