//! Distributions of a few values, computed as they are asked for.

use std::collections::BTreeMap;

use crate::messages::checkpoints::StatsSummaryDto;

/// The value below which a share of sorted values is, between two of them in proportion.
fn percentile(sorted: &[i64], percent: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let position = percent / 100.0 * (sorted.len() + 1) as f64;
    if position < 1.0 {
        return sorted[0] as f64;
    }
    let below = position.floor();
    let index = below as usize - 1;
    if index >= last {
        return sorted[last] as f64;
    }
    let (low, high) = (sorted[index] as f64, sorted[index + 1] as f64);
    low + (position - below) * (high - low)
}

fn sorted(values: impl IntoIterator<Item = i64>) -> Vec<i64> {
    let mut values: Vec<i64> = values.into_iter().collect();
    values.sort_unstable();
    values
}

fn mean(values: &[i64]) -> i64 {
    let sum: i128 = values.iter().map(|value| i128::from(*value)).sum();
    let count = i128::try_from(values.len().max(1)).unwrap_or(1);
    i64::try_from(sum / count).unwrap_or_default()
}

/// A distribution as checkpoints show it; all zero without values.
pub(crate) fn stats(values: impl IntoIterator<Item = i64>) -> StatsSummaryDto {
    let values = sorted(values);
    StatsSummaryDto {
        min: values.first().copied().unwrap_or_default(),
        max: values.last().copied().unwrap_or_default(),
        avg: mean(&values),
        p50: percentile(&values, 50.0),
        p90: percentile(&values, 90.0),
        p95: percentile(&values, 95.0),
        p99: percentile(&values, 99.0),
        p999: percentile(&values, 99.9),
    }
}

/// A distribution as vertices show it.
pub(crate) fn statistics(values: impl IntoIterator<Item = i64>) -> BTreeMap<String, i64> {
    let values = sorted(values);
    let at = |percent| percentile(&values, percent) as i64;
    [
        ("min", values.first().copied().unwrap_or_default()),
        ("max", values.last().copied().unwrap_or_default()),
        ("avg", mean(&values)),
        ("sum", values.iter().fold(0, |sum, value| sum.saturating_add(*value))),
        ("median", at(50.0)),
        ("p25", at(25.0)),
        ("p75", at(75.0)),
        ("p95", at(95.0)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_values() {
        let seen = stats([4, 1, 3, 2]);
        assert_eq!((seen.min, seen.max, seen.avg), (1, 4, 2));
        assert_eq!((seen.p50, seen.p90, seen.p999), (2.5, 4.0, 4.0));
        assert_eq!(stats([]), StatsSummaryDto::default());
        assert_eq!(statistics([7])["p25"], 7);
        assert_eq!(statistics([i64::MAX, i64::MAX])["sum"], i64::MAX);
        assert_eq!(statistics([i64::MAX, i64::MAX])["avg"], i64::MAX);
    }
}
