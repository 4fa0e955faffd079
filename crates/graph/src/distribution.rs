//! Which subtasks exchange records over an edge, and through which channels.
//!
//! - All to all: a producer has one subpartition per consumer.
//! - Pointwise: with fewer producers than consumers each consumer reads from one producer and the
//!   consumers are spread evenly; with more, each consumer reads from an even share of the
//!   producers. As Flink 2.3's pointwise pattern.

use crate::job_graph::DistributionPattern;

/// The consumers of one producer subtask: its subpartitions, in order.
pub fn consumers_of(
    pattern: DistributionPattern,
    producers: u32,
    consumers: u32,
    producer: u32,
) -> std::ops::Range<u32> {
    match pattern {
        DistributionPattern::AllToAll => 0..consumers,
        DistributionPattern::Pointwise if producers >= consumers => {
            let consumer = share_of(producer, producers, consumers);
            consumer..consumer + 1
        }
        DistributionPattern::Pointwise => share(producer, producers, consumers),
    }
}

/// The channels of one consumer subtask: producer subtask and subpartition of each.
pub fn channels_of(
    pattern: DistributionPattern,
    producers: u32,
    consumers: u32,
    consumer: u32,
) -> Vec<(u32, u32)> {
    match pattern {
        DistributionPattern::AllToAll => (0..producers).map(|p| (p, consumer)).collect(),
        DistributionPattern::Pointwise if producers >= consumers => {
            share(consumer, consumers, producers).map(|p| (p, 0)).collect()
        }
        DistributionPattern::Pointwise => {
            let producer = share_of(consumer, consumers, producers);
            vec![(producer, consumer - share(producer, producers, consumers).start)]
        }
    }
}

/// The range of `many` things that belong to number `index` of `few` owners.
fn share(index: u32, few: u32, many: u32) -> std::ops::Range<u32> {
    let first = |i: u32| (u64::from(i) * u64::from(many) / u64::from(few)) as u32;
    first(index)..first(index + 1)
}

/// The owner, of `few`, of thing number `index` of `many`.
fn share_of(index: u32, many: u32, few: u32) -> u32 {
    (((u64::from(index) + 1) * u64::from(few)).div_ceil(u64::from(many)) - 1) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_ends_agree_and_everybody_is_connected(p in 1u32..40, c in 1u32..40, all: bool) {
            let pattern =
                if all { DistributionPattern::AllToAll } else { DistributionPattern::Pointwise };
            let mut from_producers = Vec::new();
            for producer in 0..p {
                let consumers = consumers_of(pattern, p, c, producer);
                prop_assert!(!consumers.is_empty());
                for (subpartition, consumer) in consumers.enumerate() {
                    from_producers.push((producer, subpartition as u32, consumer));
                }
            }
            let mut from_consumers = Vec::new();
            for consumer in 0..c {
                let channels = channels_of(pattern, p, c, consumer);
                prop_assert!(!channels.is_empty());
                let per_consumer = (p as usize).div_ceil(c as usize);
                prop_assert!(all || channels.len() <= per_consumer);
                for (producer, subpartition) in channels {
                    from_consumers.push((producer, subpartition, consumer));
                }
            }
            from_producers.sort_unstable();
            from_consumers.sort_unstable();
            prop_assert_eq!(from_producers, from_consumers);
        }
    }
}
