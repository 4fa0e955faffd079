//! Time to live: scripts for what can be seen when, and a naive model under random use, captures
//! and restores.

use std::{collections::BTreeMap, time::Duration};

use hurtig_state_api::{
    AggregateFunction, AggregatingStateDescriptor, ListStateDescriptor, MapStateDescriptor,
    ReducingStateDescriptor, StateTtlConfig, ValueStateDescriptor,
};
use proptest::prelude::*;

use super::*;

const RANGE: KeyGroupRange = KeyGroupRange { start: 0, end: 6 };

fn store(now_ms: i64) -> KeyedStateStore<u8> {
    KeyedStateStore::new(RANGE, 7, now_ms)
}

fn at(store: &mut KeyedStateStore<u8>, key: u8) {
    store.set_current_key(stable_hash(&key).unwrap(), key);
}

fn ttl(ms: u64) -> StateTtlConfig {
    StateTtlConfig::new(Duration::from_millis(ms)).disable_cleanup_in_background()
}

struct Average;

impl AggregateFunction<i64> for Average {
    type Accumulator = (i64, i64);
    type Output = i64;

    fn create_accumulator(&self) -> (i64, i64) {
        (0, 0)
    }

    fn add(&self, (sum, count): &mut (i64, i64), value: &i64) {
        (*sum, *count) = (*sum + value, *count + 1);
    }

    fn result(&self, (sum, count): &(i64, i64)) -> i64 {
        sum / count
    }

    fn merge(&self, into: &mut (i64, i64), other: &(i64, i64)) {
        (into.0, into.1) = (into.0 + other.0, into.1 + other.1);
    }
}

/// One state of each kind.
struct States {
    value: ValueState<i64>,
    list: ListState<i64>,
    map: MapState<u8, i64>,
    sum: ReducingState<i64>,
    average: AggregatingState<i64, Average>,
}

impl States {
    fn register(store: &mut KeyedStateStore<u8>, ttl: StateTtlConfig) -> Self {
        let sum = ReducingStateDescriptor::new("sum", |sum: &mut i64, n| *sum += n);
        let average = AggregatingStateDescriptor::new("average", Average);
        Self {
            value: store
                .value_state(&ValueStateDescriptor::new("value").enable_time_to_live(ttl))
                .unwrap(),
            list: store
                .list_state(&ListStateDescriptor::new("list").enable_time_to_live(ttl))
                .unwrap(),
            map: store.map_state(&MapStateDescriptor::new("map").enable_time_to_live(ttl)).unwrap(),
            sum: store.reducing_state(&sum.enable_time_to_live(ttl)).unwrap(),
            average: store.aggregating_state(&average.enable_time_to_live(ttl)).unwrap(),
        }
    }

    fn write(&self, store: &mut KeyedStateStore<u8>, n: i64) {
        self.value.update(store, n).unwrap();
        self.list.add(store, n).unwrap();
        self.map.put(store, n as u8, n).unwrap();
        self.sum.add(store, n).unwrap();
        self.average.add(store, &n).unwrap();
    }

    /// What can be seen, kind by kind.
    fn read(&self, store: &mut KeyedStateStore<u8>) -> String {
        let value = self.value.get(store).unwrap().copied();
        let list = self.list.get(store).unwrap().to_vec();
        let map: BTreeMap<u8, i64> =
            self.map.entries(store).unwrap().map(|(key, value)| (*key, *value)).collect();
        let sum = self.sum.get(store).unwrap().copied();
        let average = self.average.get(store).unwrap();
        let n = |n: Option<i64>| n.map_or("-".to_owned(), |n| n.to_string());
        format!("{} {list:?} {:?} {} {}", n(value), map.keys(), n(sum), n(average))
    }
}

/// Everything written in pieces, as it would be in a file.
fn capture(store: &mut KeyedStateStore<u8>, since: Option<u32>) -> Vec<(StateMeta, Block)> {
    store.begin_capture(since);
    let mut blocks = Vec::new();
    while let Some((meta, block)) = store.next_block(8).unwrap() {
        blocks.push((meta.clone(), block));
    }
    blocks
}

fn restored(now_ms: i64, blocks: &[(StateMeta, Block)]) -> KeyedStateStore<u8> {
    let mut store = store(now_ms);
    blocks.iter().for_each(|(meta, block)| store.restore(meta, block.clone()));
    store
}

#[test]
fn each_value_element_and_entry_expires_by_itself() {
    let mut store = store(0);
    let states = States::register(&mut store, ttl(10));
    at(&mut store, 1);
    states.write(&mut store, 4);
    store.begin_batch(5, 1);
    states.write(&mut store, 6);
    assert_eq!(states.read(&mut store), "6 [4, 6] [4, 6] 10 5");
    store.begin_batch(9, 1);
    assert_eq!(states.read(&mut store), "6 [4, 6] [4, 6] 10 5");
    // What was written at 0 has expired at 10, to the millisecond.
    store.begin_batch(10, 1);
    assert_eq!(states.read(&mut store), "6 [6] [6] 10 5");
    store.begin_batch(15, 1);
    assert_eq!(states.read(&mut store), "- [] [] - -");
    assert!(store.is_empty(), "what is read and has expired is removed");
    // Something new does not add to something old.
    states.write(&mut store, 2);
    assert_eq!(states.read(&mut store), "2 [2] [2] 2 2");
}

#[test]
fn a_read_prolongs_life_if_it_is_to() {
    let mut store = store(0);
    let states = States::register(&mut store, ttl(10).update_ttl_on_read_and_write());
    at(&mut store, 1);
    states.write(&mut store, 4);
    for now_ms in [9, 18, 27] {
        store.begin_batch(now_ms, 1);
        assert_eq!(states.read(&mut store), "4 [4] [4] 4 4");
        assert!(states.map.contains(&mut store, &4).unwrap());
    }
    store.begin_batch(37, 1);
    assert_eq!(states.read(&mut store), "- [] [] - -");
}

#[test]
fn what_has_expired_can_be_seen_once_if_it_is_to() {
    let mut store = store(0);
    let states = States::register(&mut store, ttl(10).return_expired_if_not_cleaned_up());
    at(&mut store, 1);
    states.write(&mut store, 4);
    store.begin_batch(100, 1);
    assert_eq!(states.map.get(&mut store, &4), Ok(Some(&4)));
    assert_eq!(states.map.get(&mut store, &4), Ok(None));
    assert_eq!(states.read(&mut store), "4 [4] [] 4 4");
    assert_eq!(states.read(&mut store), "- [] [] - -");
    // A write finds it, too, and brings it back to life.
    states.write(&mut store, 4);
    store.begin_batch(200, 1);
    states.sum.add(&mut store, 5).unwrap();
    *states.value.get_mut(&mut store).unwrap().unwrap() += 1;
    store.begin_batch(209, 1);
    assert_eq!(states.sum.get(&mut store), Ok(Some(&9)));
    assert_eq!(states.value.get(&mut store), Ok(Some(&5)));
}

#[test]
fn a_disabled_time_to_live_is_none() {
    let mut store = store(0);
    let disabled = ttl(10).set_update_type(hurtig_state_api::UpdateType::Disabled);
    let states = States::register(&mut store, disabled);
    at(&mut store, 1);
    states.write(&mut store, 4);
    store.begin_batch(1_000, 1);
    assert_eq!(states.read(&mut store), "4 [4] [4] 4 4");
    assert!(store.metas().all(|meta| !meta.has_ttl()));
}

#[test]
fn one_name_has_one_time_to_live() {
    let mut store = store(0);
    let descriptor = ValueStateDescriptor::<u8>::new("s");
    store.value_state(&descriptor.clone().enable_time_to_live(ttl(1))).unwrap();
    store.value_state(&descriptor.clone().enable_time_to_live(ttl(1))).unwrap();
    assert!(store.value_state(&descriptor.clone().enable_time_to_live(ttl(2))).is_err());
    assert!(store.value_state(&descriptor).is_err());
}

/// Values of 200 keys, all expired, and some fresh ones.
fn stale(config: StateTtlConfig) -> (KeyedStateStore<u8>, ValueState<i64>) {
    let mut store = store(0);
    let descriptor = ValueStateDescriptor::new("value").enable_time_to_live(config);
    let value = store.value_state(&descriptor).unwrap();
    for key in 0..200 {
        at(&mut store, key);
        value.update(&mut store, 1).unwrap();
    }
    // Two calls: what these accesses have earned finds nothing yet.
    store.begin_batch(0, 0);
    store.begin_batch(100, 0);
    for key in 200..=255 {
        at(&mut store, key);
        value.update(&mut store, 1).unwrap();
    }
    (store, value)
}

fn entries(store: &mut KeyedStateStore<u8>) -> u32 {
    capture(store, None).iter().map(|(_, block)| block.count).sum()
}

#[test]
fn accesses_and_records_clean_up_little_by_little() {
    let (mut store, _) = stale(ttl(10));
    (0..100).for_each(|_| store.begin_batch(100, 1_000));
    assert_eq!(entries(&mut store), 256, "without clean-up everything stays");

    let (mut store, value) = stale(ttl(10).cleanup_incrementally(1, false));
    store.begin_batch(100, 1_000);
    let left = entries(&mut store);
    assert!((57..256).contains(&left), "56 accesses do not see everything: {left}");
    at(&mut store, 255);
    (0..200).for_each(|_| {
        value.get(&mut store).unwrap();
        store.begin_batch(100, 1_000);
    });
    assert_eq!(entries(&mut store), 56);

    let (mut store, _) = stale(ttl(10).cleanup_incrementally(1, true));
    store.begin_batch(100, 10);
    assert!(entries(&mut store) > 56);
    store.begin_batch(100, 1_000);
    assert_eq!(entries(&mut store), 56, "records count as well");
}

#[test]
fn full_snapshots_leave_out_what_has_expired_if_they_are_to() {
    let (mut store, _) = stale(ttl(10).cleanup_full_snapshot());
    assert_eq!(entries(&mut store), 56);
    let (mut store, _) = stale(ttl(10));
    assert_eq!(entries(&mut store), 256);
    // A restore leaves it out in any case.
    let blocks = capture(&mut store, None);
    let mut store = restored(100, &blocks);
    States::register(&mut store, ttl(10));
    assert_eq!(entries(&mut store), 56);
}

#[test]
fn a_time_to_live_may_come_and_go_with_a_restore() {
    let mut before = store(0);
    let states = States::register(&mut before, ttl(10));
    at(&mut before, 1);
    states.write(&mut before, 4);
    let timed = capture(&mut before, None);
    // Taken away: everything is there again, for ever.
    let plain = ttl(10).set_update_type(hurtig_state_api::UpdateType::Disabled);
    let mut without = restored(100, &timed);
    let states = States::register(&mut without, plain);
    at(&mut without, 1);
    without.begin_batch(1_000, 1);
    assert_eq!(states.read(&mut without), "4 [4] [4] 4 4");
    // Given: it begins with the restore.
    let mut with = restored(2_000, &capture(&mut without, None));
    let states = States::register(&mut with, ttl(10));
    at(&mut with, 1);
    with.begin_batch(2_009, 1);
    assert_eq!(states.read(&mut with), "4 [4] [4] 4 4");
    with.begin_batch(2_010, 1);
    assert_eq!(states.read(&mut with), "- [] [] - -");
}

#[test]
fn a_shorter_time_to_live_counts_from_the_last_use() {
    let mut before = store(0);
    let states = States::register(&mut before, ttl(1_000));
    at(&mut before, 1);
    states.write(&mut before, 4);
    let mut after = restored(50, &capture(&mut before, None));
    let states = States::register(&mut after, ttl(20));
    at(&mut after, 1);
    assert_eq!(states.read(&mut after), "- [] [] - -");
}

/// What a state should hold: each part with the time of its last use.
#[derive(Clone, Debug, Default)]
struct Model {
    value: BTreeMap<u8, (i64, i64)>,
    sum: BTreeMap<u8, (i64, i64)>,
    average: BTreeMap<u8, ((i64, i64), i64)>,
    list: BTreeMap<u8, Vec<(i64, i64)>>,
    map: BTreeMap<(u8, u8), (i64, i64)>,
}

impl Model {
    fn expire(&mut self, horizon_ms: i64) {
        self.value.retain(|_, (_, at)| *at > horizon_ms);
        self.sum.retain(|_, (_, at)| *at > horizon_ms);
        self.average.retain(|_, (_, at)| *at > horizon_ms);
        self.map.retain(|_, (_, at)| *at > horizon_ms);
        for list in self.list.values_mut() {
            list.retain(|(_, at)| *at > horizon_ms);
        }
    }
}

proptest! {
    #[test]
    fn state_with_a_time_to_live_behaves_like_a_model(
        steps in prop::collection::vec((0u8..18, 0u8..12, any::<u8>()), 0..400),
        ttl_ms in 1i64..40,
        on_read in any::<bool>(),
        filtered in any::<bool>(),
        cleanup in 0u32..4,
    ) {
        let mut config = ttl(ttl_ms as u64);
        if on_read {
            config = config.update_ttl_on_read_and_write();
        }
        if filtered {
            config = config.cleanup_full_snapshot();
        }
        if cleanup > 0 {
            config = config.cleanup_incrementally(cleanup, cleanup == 2);
        }
        let (mut now, mut model) = (1_000i64, Model::default());
        let mut store = store(now);
        let mut states = States::register(&mut store, config);
        // The last whole capture and the changes since, and what they amount to.
        let (mut chain, mut saved, mut last) = (Vec::new(), Model::default(), None);
        let mut under_way: Option<(u32, Vec<(StateMeta, Block)>, Model)> = None;
        for (what, key, n) in steps {
            let value = i64::from(n);
            at(&mut store, key);
            model.expire(now - ttl_ms);
            match what {
                0 => {
                    now += value % 12;
                    store.begin_batch(now, usize::from(n % 5));
                }
                1 => {
                    states.value.update(&mut store, value).unwrap();
                    model.value.insert(key, (value, now));
                }
                2 => {
                    *states.value.get_or_insert_with(&mut store, || 7).unwrap() += value;
                    let entry = model.value.entry(key).or_insert((7, now));
                    *entry = (entry.0 + value, now);
                }
                3 => {
                    let seen = model.value.get_mut(&key);
                    prop_assert_eq!(
                        states.value.get(&mut store).unwrap().copied(),
                        seen.as_ref().map(|(value, _)| *value)
                    );
                    if let Some((_, at)) = seen.filter(|_| on_read) {
                        *at = now;
                    }
                }
                4 => prop_assert_eq!(
                    states.value.clear(&mut store).unwrap(),
                    model.value.remove(&key).map(|(value, _)| value)
                ),
                5 => {
                    states.list.add(&mut store, value).unwrap();
                    model.list.entry(key).or_default().push((value, now));
                }
                6 => {
                    let list = model.list.entry(key).or_default();
                    let seen: Vec<i64> = list.iter().map(|(value, _)| *value).collect();
                    prop_assert_eq!(states.list.get(&mut store).unwrap(), seen);
                    list.iter_mut().filter(|_| on_read).for_each(|(_, at)| *at = now);
                }
                7 => {
                    let values = vec![value; usize::from(n % 3)];
                    states.list.update(&mut store, values.clone()).unwrap();
                    let list = values.into_iter().map(|value| (value, now)).collect();
                    model.list.insert(key, list);
                }
                8 => {
                    states.map.put(&mut store, n % 4, value).unwrap();
                    model.map.insert((key, n % 4), (value, now));
                }
                9 => {
                    let seen = model.map.get_mut(&(key, n % 4));
                    prop_assert_eq!(
                        states.map.get(&mut store, &(n % 4)).unwrap().copied(),
                        seen.as_ref().map(|(value, _)| *value)
                    );
                    if let Some((_, at)) = seen.filter(|_| on_read) {
                        *at = now;
                    }
                }
                10 => prop_assert_eq!(
                    states.map.remove(&mut store, &(n % 4)).unwrap(),
                    model.map.remove(&(key, n % 4)).map(|(value, _)| value)
                ),
                11 => {
                    let seen: BTreeMap<u8, i64> = states
                        .map
                        .entries(&mut store)
                        .unwrap()
                        .map(|(key, value)| (*key, *value))
                        .collect();
                    let mut expected = BTreeMap::new();
                    for ((_, user_key), (value, at)) in
                        model.map.iter_mut().filter(|((known, _), _)| *known == key)
                    {
                        expected.insert(*user_key, *value);
                        *at = if on_read { now } else { *at };
                    }
                    prop_assert_eq!(seen, expected);
                }
                12 => {
                    states.sum.add(&mut store, value).unwrap();
                    let entry = model.sum.entry(key).or_insert((0, now));
                    *entry = (entry.0 + value, now);
                    states.average.add(&mut store, &value).unwrap();
                    let ((sum, count), at) = model.average.entry(key).or_insert(((0, 0), now));
                    (*sum, *count, *at) = (*sum + value, *count + 1, now);
                }
                13 => {
                    let seen = model.sum.get_mut(&key);
                    prop_assert_eq!(
                        states.sum.get(&mut store).unwrap().copied(),
                        seen.as_ref().map(|(value, _)| *value)
                    );
                    if let Some((_, at)) = seen.filter(|_| on_read) {
                        *at = now;
                    }
                    let seen = model.average.get_mut(&key);
                    prop_assert_eq!(
                        states.average.get(&mut store).unwrap(),
                        seen.as_ref().map(|((sum, count), _)| sum / count)
                    );
                    if let Some((_, at)) = seen.filter(|_| on_read) {
                        *at = now;
                    }
                }
                14 if under_way.is_none() => {
                    let since = last.filter(|_| n % 4 > 0);
                    let number = store.begin_capture(since);
                    if since.is_none() {
                        under_way = Some((number, Vec::new(), model.clone()));
                    } else {
                        under_way = Some((number, chain.clone(), model.clone()));
                    }
                }
                15 if n % 4 == 0 => {
                    // The program fails and goes on from its last capture.
                    store = restored(now, &chain);
                    states = States::register(&mut store, config);
                    model = saved.clone();
                    (last, under_way) = (None, None);
                }
                _ => {
                    let Some((number, mut blocks, at_begin)) = under_way.take() else { continue };
                    match store.next_block(usize::from(n) + 1).unwrap() {
                        Some((meta, block)) => {
                            blocks.push((meta.clone(), block));
                            under_way = Some((number, blocks, at_begin));
                        }
                        None => {
                            (chain, saved, last) = (blocks, at_begin, Some(number));
                            store.forget_removals_before(number);
                        }
                    }
                }
            }
        }
    }
}
