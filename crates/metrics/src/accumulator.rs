//! Accumulators: values that user code adds up in each subtask and that are merged over all of them
//! in the job's result, as Flink's.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// One accumulator's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AccumulatorValue {
    /// A sum of integers; saturates.
    Long(i64),
    /// A sum of floating-point numbers.
    Double(f64),
    /// The smallest number.
    Min(f64),
    /// The largest number.
    Max(f64),
    /// A mean.
    Average {
        /// Number of samples.
        count: u64,
        /// Their sum.
        sum: f64,
    },
    /// How often each value was seen.
    Histogram(BTreeMap<i64, u64>),
}

/// Two accumulators of the same name are of different kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccumulatorMismatch {
    /// The name.
    pub name: String,
}

impl std::fmt::Display for AccumulatorMismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "accumulator {:?} is used with two different kinds", self.name)
    }
}

impl std::error::Error for AccumulatorMismatch {}

impl AccumulatorValue {
    /// Adds `other` to this one; false if they are of different kinds.
    #[must_use]
    pub fn merge(&mut self, other: &AccumulatorValue) -> bool {
        use AccumulatorValue::*;
        match (self, other) {
            (Long(a), Long(b)) => *a = a.saturating_add(*b),
            (Double(a), Double(b)) => *a += b,
            (Min(a), Min(b)) => *a = a.min(*b),
            (Max(a), Max(b)) => *a = a.max(*b),
            (Average { count, sum }, Average { count: more, sum: plus }) => {
                *count += more;
                *sum += plus;
            }
            (Histogram(a), Histogram(b)) => {
                for (value, times) in b {
                    *a.entry(*value).or_default() += times;
                }
            }
            _ => return false,
        }
        true
    }
}

/// A set of accumulators by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Accumulators(pub BTreeMap<String, AccumulatorValue>);

impl Accumulators {
    /// Adds a value to the accumulator of that name.
    pub fn add(&mut self, name: &str, value: &AccumulatorValue) -> Result<(), AccumulatorMismatch> {
        let Some(known) = self.0.get_mut(name) else {
            self.0.insert(name.to_owned(), value.clone());
            return Ok(());
        };
        if known.merge(value) { Ok(()) } else { Err(AccumulatorMismatch { name: name.to_owned() }) }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Accumulators) -> Result<(), AccumulatorMismatch> {
        other.0.iter().try_for_each(|(name, value)| self.add(name, value))
    }
}

/// The accumulators of one subtask, shared between its operators and whoever reports them.
#[derive(Clone, Debug, Default)]
pub struct SharedAccumulators(Arc<Mutex<Accumulators>>);

impl SharedAccumulators {
    /// Adds to a sum of integers.
    pub fn add_long(&self, name: &str, n: i64) -> Result<(), AccumulatorMismatch> {
        self.add(name, AccumulatorValue::Long(n))
    }

    /// Adds to a sum of floating-point numbers.
    pub fn add_double(&self, name: &str, n: f64) -> Result<(), AccumulatorMismatch> {
        self.add(name, AccumulatorValue::Double(n))
    }

    /// Adds a value.
    pub fn add(&self, name: &str, value: AccumulatorValue) -> Result<(), AccumulatorMismatch> {
        self.0.lock().add(name, &value)
    }

    /// All values now.
    pub fn snapshot(&self) -> Accumulators {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accumulators_merge_by_kind() {
        let one = SharedAccumulators::default();
        one.add_long("n", 2).unwrap();
        one.add_long("n", 3).unwrap();
        assert!(one.add_double("n", 1.0).is_err());
        let mut all = one.snapshot();
        all.merge(&one.snapshot()).unwrap();
        assert_eq!(all.0["n"], AccumulatorValue::Long(10));
    }
}
