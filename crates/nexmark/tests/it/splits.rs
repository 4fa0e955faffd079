//! How the stream is cut into splits, and how a split is resumed.

use hurtig_nexmark::{Event, NexmarkGenerator, SplitError};

fn generator(split: u32, num_splits: u32, max_events: u64) -> NexmarkGenerator {
    NexmarkGenerator::new(split, num_splits, Some(max_events)).unwrap()
}

#[test]
fn splits_partition_the_stream() {
    let whole: Vec<Event> = generator(0, 1, 1003).into_iter().collect();
    assert_eq!(whole.len(), 1003);
    for num_splits in [1, 2, 3, 7, 50, 128, 1003, 2000] {
        let mut parts: Vec<_> = (0..num_splits).map(|k| generator(k, num_splits, 1003)).collect();
        let sizes: usize = parts.iter().map(|part| part.clone().into_iter().count()).sum();
        assert_eq!(sizes, 1003);
        for (index, event) in whole.iter().enumerate() {
            let part = &mut parts[index % num_splits as usize];
            assert_eq!(part.position(), index as u64);
            assert_eq!(part.next_event().as_ref(), Some(event));
        }
        for part in &mut parts {
            assert_eq!((part.remaining(), part.next_event()), (0, None));
        }
    }
}

#[test]
fn fill_gives_what_the_iterator_gives() {
    for (split, num_splits) in [(0, 1), (1, 3), (49, 50)] {
        let expected: Vec<Event> = generator(split, num_splits, 1000).into_iter().collect();
        for max in [1, 7, 64, 5000] {
            let mut filled = Vec::new();
            let mut source = generator(split, num_splits, 1000);
            loop {
                let before = filled.len();
                let count = source.fill(&mut filled, max);
                assert_eq!(filled.len(), before + count);
                if count == 0 {
                    break;
                }
                assert!(count == max || source.remaining() == 0);
            }
            assert_eq!(filled, expected);
        }
    }
}

#[test]
fn seek_to_a_position_resumes_exactly() {
    for (split, num_splits) in [(0, 1), (2, 3), (5, 64)] {
        let mut source = generator(split, num_splits, 700);
        loop {
            let mut resumed = generator(split, num_splits, 700);
            resumed.seek(source.position());
            assert_eq!(resumed.position(), source.position());
            assert!(resumed.into_iter().eq(source.clone()));
            if source.next_event().is_none() {
                break;
            }
        }
    }
}

#[test]
fn seek_elsewhere_stays_in_the_split() {
    let mut source = generator(2, 5, 100);
    for (index, position) in [(0, 2), (2, 2), (3, 7), (7, 7), (11, 12), (98, 102)] {
        source.seek(index);
        assert_eq!(source.position(), position);
    }
    assert_eq!(source.next_event(), None);
}

#[test]
fn the_end_of_all_indices_ends_the_split() {
    for (split, num_splits) in [(0, 1), (3, 7), (u32::MAX - 1, u32::MAX)] {
        let mut source = NexmarkGenerator::new(split, num_splits, None).unwrap();
        source.seek(u64::MAX - u64::from(num_splits) - 1);
        assert!(source.clone().into_iter().take(5).count() <= 2);
        source.fill(&mut Vec::new(), 5);
        assert_eq!((source.next_event(), source.fill(&mut Vec::new(), 10)), (None, 0));
        source.seek(u64::MAX);
        assert_eq!(source.next_event(), None);
    }
}

#[test]
fn a_split_that_does_not_exist_is_refused() {
    for (split, num_splits) in [(0, 0), (1, 1), (7, 3)] {
        let refused = NexmarkGenerator::new(split, num_splits, None).unwrap_err();
        assert_eq!(refused, SplitError { split, num_splits });
    }
}

#[test]
fn an_empty_stream_has_no_events() {
    assert_eq!(generator(0, 1, 0).next_event(), None);
    assert_eq!(generator(0, 1, 0).fill(&mut Vec::new(), 10), 0);
}
