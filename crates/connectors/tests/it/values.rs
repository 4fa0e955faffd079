//! Sources that make their records themselves.

use hurtig_connector_api::{Boundedness, ReadStatus, Sink, Source, SourceOutput};
use hurtig_connectors::{
    BlackHoleSink, CollectionSource, DataGeneratorSource, NexmarkSource, NexmarkViewSource,
    PrintSink, SequenceSource,
};
use hurtig_nexmark::NexmarkGenerator;
use hurtig_types::{Batch, JobId};
use proptest::prelude::*;

use crate::driver::{
    Plan, all_splits, in_runtime, read_all, read_by_reader, reader_context, writer_context,
};

fn plans() -> impl Strategy<Value = Plan> {
    (1u32..5, 1usize..6, 1usize..4).prop_map(|(parallelism, max_records, resume_after)| Plan {
        parallelism,
        max_records,
        resume_after,
    })
}

proptest! {
    #[test]
    fn a_sequence_is_read_once_by_any_number_of_readers(from in -40i64..40, count in 1i64..60, plan in plans()) {
        let to = from + count - 1;
        let values = read_all(&SequenceSource::new(from, to), plan).unwrap();
        prop_assert_eq!(values, (from..=to).collect::<Vec<_>>());
    }

    #[test]
    fn a_collection_keeps_its_order_and_times(rows in prop::collection::vec((".{0,4}", any::<i64>()), 0..40), plan in plans()) {
        let source = CollectionSource::with_timestamps(rows.clone()).unwrap();
        let readers = read_by_reader(&source, plan).unwrap();
        let (values, timestamps): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        prop_assert_eq!(&readers[0].values, &values);
        prop_assert_eq!(&readers[0].timestamps, &timestamps);
        prop_assert!(readers[1..].iter().all(|reader| reader.values.is_empty()));
        let untimed = CollectionSource::new(values.clone()).unwrap();
        prop_assert_eq!(read_all(&untimed, plan).unwrap(), values);
    }

    #[test]
    fn a_generator_covers_its_indices_once(count in 0u64..60, plan in plans()) {
        let source = DataGeneratorSource::new(|i| i * 10, Some(count), None);
        let values = read_all(&source, plan).unwrap();
        prop_assert_eq!(values, (0..count).map(|i| i * 10).collect::<Vec<_>>());
    }

    #[test]
    fn nexmark_splits_are_the_generators(events in 0u64..400, plan in plans()) {
        let readers = read_by_reader(&NexmarkSource::new(Some(events)), plan).unwrap();
        for (reader, split) in readers.iter().zip(0..) {
            let generator = NexmarkGenerator::new(split, plan.parallelism, Some(events)).unwrap();
            let expected: Vec<_> = generator.into_iter().collect();
            let times: Vec<_> = expected.iter().map(|event| event.timestamp()).collect();
            prop_assert_eq!(&reader.values, &expected);
            prop_assert_eq!(&reader.timestamps, &times);
        }
    }

    #[test]
    fn nexmark_views_are_the_events_of_their_kind(events in 0u64..400, plan in plans()) {
        let complete = read_by_reader(&NexmarkSource::new(Some(events)), plan).unwrap();
        let bids = read_by_reader(&NexmarkSource::bids(Some(events)), plan).unwrap();
        let prices = NexmarkViewSource::new(Some(events), |g, i| g.lazy_bid(i).map(|bid| bid.price()));
        let prices = read_by_reader(&prices, plan).unwrap();
        let persons = read_all(&NexmarkSource::persons(Some(events)), plan).unwrap();
        let auctions = read_all(&NexmarkSource::auctions(Some(events)), plan).unwrap();
        prop_assert_eq!(persons.len() as u64, events.div_ceil(50));
        let mut rare = 0;
        for ((complete, bids), prices) in complete.iter().zip(&bids).zip(&prices) {
            let expected: Vec<_> = complete.values.iter().filter_map(|e| e.as_bid()).cloned().collect();
            rare += complete.values.len() - expected.len();
            prop_assert_eq!(&bids.timestamps, &expected.iter().map(|bid| bid.date_time).collect::<Vec<_>>());
            prop_assert_eq!(&prices.values, &expected.iter().map(|bid| bid.price).collect::<Vec<_>>());
            prop_assert_eq!(&bids.values, &expected);
        }
        prop_assert_eq!(rare, persons.len() + auctions.len());
    }
}

#[test]
fn the_widest_sequence_has_both_ends() {
    let source = SequenceSource::new(i64::MIN, i64::MAX);
    in_runtime(|| {
        let mut enumerator = source.create_enumerator(1).unwrap();
        let mut reader = source.create_reader(reader_context(0, 1)).unwrap();
        let splits = all_splits(&mut *enumerator);
        reader.add_splits(splits).unwrap();
        let mut out = SourceOutput::default();
        reader.read(2, &mut out).unwrap();
        assert_eq!(out.values, [i64::MIN, i64::MIN + 1]);
    });
    let ends = SequenceSource::new(i64::MAX - 1, i64::MAX);
    let values = read_all(&ends, Plan::plain(3)).unwrap();
    assert_eq!(values, [i64::MAX - 1, i64::MAX]);
}

#[test]
fn what_is_empty_ends_at_once() {
    assert!(read_all(&SequenceSource::new(2, 1), Plan::plain(2)).unwrap().is_empty());
    assert!(read_all(&CollectionSource::<u8>::empty(), Plan::plain(2)).unwrap().is_empty());
}

#[test]
fn a_rate_must_be_positive() {
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let source = DataGeneratorSource::new(|i| i, Some(1), Some(rate));
        assert!(read_all(&source, Plan::plain(1)).is_err());
    }
}

#[test]
fn endless_sources_are_unbounded() {
    assert_eq!(DataGeneratorSource::new(|i| i, None, None).boundedness(), Boundedness::Unbounded);
    assert_eq!(NexmarkSource::new(None).boundedness(), Boundedness::Unbounded);
}

/// Reads until the reader waits or ends; returns how many records came and the status.
fn read_until_idle(
    reader: &mut dyn hurtig_connector_api::SourceReader<u64, hurtig_connectors::generator::GeneratorSplit>,
) -> (usize, ReadStatus) {
    let mut out = SourceOutput::default();
    loop {
        match reader.read(100, &mut out).unwrap() {
            ReadStatus::More => {}
            status => return (out.values.len(), status),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept_without_sleeping() {
    // 8 per second over 2 readers: one record in 250 ms each.
    let source = DataGeneratorSource::new(|i| i, Some(20_000), Some(8.0));
    let mut enumerator = source.create_enumerator(1).unwrap();
    let context = reader_context(0, 2);
    let clock = context.clock;
    let mut reader = source.create_reader(context).unwrap();
    let splits = all_splits(&mut *enumerator);
    reader.add_splits(splits).unwrap();

    let start_ms = clock.now_ms();
    let wait_until = |ahead_ms| ReadStatus::Wait { until_ms: Some(start_ms + ahead_ms) };
    assert_eq!(read_until_idle(&mut *reader), (1, wait_until(250)));
    assert_eq!(read_until_idle(&mut *reader), (0, wait_until(250)));
    advance(249).await;
    assert_eq!(read_until_idle(&mut *reader), (0, wait_until(250)));
    advance(1).await;
    assert_eq!(read_until_idle(&mut *reader), (1, wait_until(500)));
    // A short delay is made up for.
    advance(600).await;
    assert_eq!(read_until_idle(&mut *reader), (2, wait_until(1000)));
    // A long one is not, beyond a second: five records are due from 99 850 to 100 850.
    advance(100_000).await;
    assert_eq!(read_until_idle(&mut *reader), (5, wait_until(101_100)));
}

async fn advance(ms: u64) {
    tokio::time::advance(std::time::Duration::from_millis(ms)).await;
}

#[test]
fn print_and_black_hole_take_records() {
    in_runtime(|| {
        let context = writer_context(JobId(7), 0, 1, 0);
        let print = PrintSink::display().stderr().identifier("printed by a test");
        let mut writer = print.create_writer(context.clone()).unwrap();
        writer.write(Batch::new(vec![1u8, 2])).unwrap();
        writer.flush(true).unwrap();
        let mut writer = BlackHoleSink::new().create_writer(context).unwrap();
        writer.write(Batch::new(vec![1u8, 2])).unwrap();
        writer.flush(true).unwrap();
        assert!(writer.prepare_commit().unwrap().is_empty());
    });
}
