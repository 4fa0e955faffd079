//! State of user functions: time to live under the wall clock, operator state, changed types.

use std::time::Duration;

use expect_test::expect;
use hurtig_operator_api::Operator;
use hurtig_operators::{
    Collector, KeySelector,
    checkpointed::{FunctionInitializationContext, FunctionSnapshotContext},
    keyed::{KeyedContext, KeyedProcessFunction, KeyedProcessOperator, OpenContext},
    stateless::{MapFunction, MapFunctionOperator},
};
use hurtig_state_api::{
    AggregateFunction, AggregatingStateDescriptor, ListStateDescriptor, MapStateDescriptor,
    ReducingStateDescriptor, StateTtlConfig, ValueStateDescriptor,
};
use hurtig_state_heap::{
    AggregatingState, ListState, MapState, OperatorListState, ReducingState, ValueState,
};
use hurtig_types::BoxError;

use crate::harness::{Event, Harness};

fn by_key() -> KeySelector<Event, String> {
    KeySelector::new(|(key, _): &Event| key.clone())
}

#[derive(Clone)]
struct Count;

impl AggregateFunction<i64> for Count {
    type Accumulator = u32;
    type Output = u32;

    fn create_accumulator(&self) -> u32 {
        0
    }

    fn add(&self, count: &mut u32, _: &i64) {
        *count += 1;
    }

    fn result(&self, count: &u32) -> u32 {
        *count
    }

    fn merge(&self, count: &mut u32, other: &u32) {
        *count += other;
    }
}

/// Writes positive numbers to a state of each kind, and tells what it holds.
#[derive(Clone)]
struct EveryKind {
    ttl: Option<StateTtlConfig>,
    value: Option<ValueState<i64>>,
    list: Option<ListState<i64>>,
    map: Option<MapState<i64, i64>>,
    sum: Option<ReducingState<i64>>,
    count: Option<AggregatingState<i64, Count>>,
}

impl KeyedProcessFunction<String, Event, String> for EveryKind {
    fn open(&mut self, context: &mut OpenContext<'_, String>) -> Result<(), BoxError> {
        let mut value = ValueStateDescriptor::new("value");
        let mut list = ListStateDescriptor::new("list");
        let mut map = MapStateDescriptor::new("map");
        let mut sum = ReducingStateDescriptor::new("sum", |sum: &mut i64, n| *sum += n);
        let mut count = AggregatingStateDescriptor::new("count", Count);
        if let Some(ttl) = self.ttl {
            value = value.enable_time_to_live(ttl);
            list = list.enable_time_to_live(ttl);
            map = map.enable_time_to_live(ttl);
            sum = sum.enable_time_to_live(ttl);
            count = count.enable_time_to_live(ttl);
        }
        let state = &mut *context.state;
        self.value = Some(state.value_state(&value)?);
        self.list = Some(state.list_state(&list)?);
        self.map = Some(state.map_state(&map)?);
        self.sum = Some(state.reducing_state(&sum)?);
        self.count = Some(state.aggregating_state(&count)?);
        Ok(())
    }

    fn process(
        &mut self,
        (_, n): Event,
        context: &mut KeyedContext<'_, String>,
        out: &mut Collector<'_, String>,
    ) -> Result<(), BoxError> {
        let (value, list) = (self.value.ok_or("open")?, self.list.ok_or("open")?);
        let map = self.map.ok_or("open")?;
        let sum = self.sum.as_ref().ok_or("open")?;
        let count = self.count.as_ref().ok_or("open")?;
        if n > 0 {
            value.update(context.state, n)?;
            list.add(context.state, n)?;
            map.put(context.state, n, n)?;
            sum.add(context.state, n)?;
            count.add(context.state, &n)?;
        }
        let value = value.get(context.state)?.copied();
        let list = list.get(context.state)?.to_vec();
        let mut keys: Vec<i64> = map.entries(context.state)?.map(|(key, _)| *key).collect();
        keys.sort_unstable();
        let sum = sum.get(context.state)?.copied();
        let count = count.get(context.state)?;
        out.collect(format!("{value:?} {list:?} {keys:?} {sum:?} {count:?}"));
        Ok(())
    }
}

fn every_kind(ttl: Option<StateTtlConfig>) -> impl Operator {
    let function = EveryKind { ttl, value: None, list: None, map: None, sum: None, count: None };
    KeyedProcessOperator::new(by_key(), function)
}

fn ttl() -> StateTtlConfig {
    StateTtlConfig::new(Duration::from_millis(10))
}

#[test]
fn state_expires_by_the_wall_clock() {
    expect![[r#"
        a:1
          Some(1) [1] [1] Some(1) Some(1)
        pt 9
        a:2
          Some(2) [1, 2] [1, 2] Some(3) Some(2)
        pt 10
        a:0 b:3
          Some(2) [2] [2] Some(3) Some(2)
          Some(3) [3] [3] Some(3) Some(1)
        pt 19
        a:0 b:0
          None [] [] None None
          Some(3) [3] [3] Some(3) Some(1)
    "#]]
    .assert_eq(
        &Harness::open(every_kind(Some(ttl())))
            .run("a:1\npt 9\na:2\npt 10\na:0 b:3\npt 19\na:0 b:0"),
    );
}

#[test]
fn reads_prolong_life_if_they_are_to() {
    expect![[r#"
        a:1
          Some(1) [1] [1] Some(1) Some(1)
        pt 9
        a:0
          Some(1) [1] [1] Some(1) Some(1)
        pt 18
        a:0
          Some(1) [1] [1] Some(1) Some(1)
        pt 28
        a:0
          None [] [] None None
    "#]]
    .assert_eq(
        &Harness::open(every_kind(Some(ttl().update_ttl_on_read_and_write())))
            .run("a:1\npt 9\na:0\npt 18\na:0\npt 28\na:0"),
    );
}

#[test]
fn a_restore_keeps_the_times_and_drops_what_has_expired() {
    let mut before = Harness::open(every_kind(Some(ttl())));
    before.run("a:1\npt 6\na:2 b:3");
    let saved = before.snapshot();
    let mut after = Harness::try_open(every_kind(Some(ttl())), Some(saved.clone()), 12).unwrap();
    expect![[r#"
        a:0 b:0
          Some(2) [2] [2] Some(3) Some(2)
          Some(3) [3] [3] Some(3) Some(1)
        pt 16
        a:0 b:0
          None [] [] None None
          None [] [] None None
    "#]]
    .assert_eq(&after.run("a:0 b:0\npt 16\na:0 b:0"));
    // Without a time to live nothing is lost that was there.
    let mut without = Harness::try_open(every_kind(None), Some(saved), 100).unwrap();
    assert_eq!(without.run("a:0"), "a:0\n  Some(2) [1, 2] [1, 2] Some(3) Some(2)\n");
    let saved = without.snapshot();
    let mut with = Harness::try_open(every_kind(Some(ttl())), Some(saved), 200).unwrap();
    expect![[r#"
        pt 209
        a:0
          Some(2) [1, 2] [1, 2] Some(3) Some(2)
        pt 210
        a:0
          None [] [] None None
    "#]]
    .assert_eq(&with.run("pt 209\na:0\npt 210\na:0"));
}

/// Sums what it sees; the sum is one element of a list.
#[derive(Clone, Default)]
struct Summing {
    sum: i64,
    sums: Option<OperatorListState<i64>>,
}

impl MapFunction<Event, String> for Summing {
    fn initialize_state(
        &mut self,
        context: &mut FunctionInitializationContext<'_>,
    ) -> Result<(), BoxError> {
        let sums = context.operator_state.list_state(&ListStateDescriptor::new("sums"))?;
        self.sum = sums.get(context.operator_state)?.iter().sum();
        assert_eq!(context.is_restored(), context.restored_checkpoint_id().is_some());
        self.sums = Some(sums);
        Ok(())
    }

    fn snapshot_state(
        &mut self,
        context: &mut FunctionSnapshotContext<'_>,
    ) -> Result<(), BoxError> {
        Ok(self.sums.ok_or("open")?.update(context.operator_state, vec![self.sum])?)
    }

    fn map(&mut self, (_, n): Event) -> Result<String, BoxError> {
        self.sum += n;
        Ok(self.sum.to_string())
    }
}

#[test]
fn a_function_has_state_without_keys() {
    let mut before = Harness::open(MapFunctionOperator::new(Summing::default()));
    assert_eq!(before.run("a:1 b:2"), "a:1 b:2\n  1\n  3\n");
    let saved = before.snapshot();
    assert!(saved.metas.iter().any(|meta| meta.name == "sums" && meta.schema == "i64"));
    let operator = MapFunctionOperator::new(Summing::default());
    let mut after = Harness::open_restored(operator, Some(saved));
    assert_eq!(after.run("a:4"), "a:4\n  7\n");
}

/// Keeps something of a type that changes from release to release.
#[derive(Clone)]
struct Keeps<V>(Option<ValueState<V>>);

impl<V: hurtig_types::Record + Sync + Default> KeyedProcessFunction<String, Event, String>
    for Keeps<V>
{
    fn open(&mut self, context: &mut OpenContext<'_, String>) -> Result<(), BoxError> {
        self.0 = Some(context.state.value_state(&ValueStateDescriptor::new("account"))?);
        Ok(())
    }

    fn process(
        &mut self,
        _: Event,
        context: &mut KeyedContext<'_, String>,
        _: &mut Collector<'_, String>,
    ) -> Result<(), BoxError> {
        Ok(self.0.ok_or("open")?.update(context.state, V::default())?)
    }
}

mod first {
    #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
    pub struct Account {
        pub cents: u64,
        pub note: Option<String>,
    }
}

mod moved {
    #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
    pub struct Renamed {
        pub cents: u64,
        pub note: Option<String>,
    }
}

mod changed {
    #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
    pub struct Account {
        pub cents: i64,
        pub limit: u32,
    }
}

#[test]
fn a_type_may_move_but_not_change() {
    fn keeps<V: hurtig_types::Record + Sync + Default>() -> impl Operator {
        KeyedProcessOperator::new(by_key(), Keeps::<V>(None))
    }
    let mut before = Harness::open(keeps::<first::Account>());
    before.run("a:1");
    let saved = before.snapshot();
    assert!(Harness::try_open(keeps::<moved::Renamed>(), Some(saved.clone()), 0).is_ok());
    let error = Harness::try_open(keeps::<changed::Account>(), Some(saved), 0).err().unwrap();
    expect![[r#"state "account" cannot be restored: its type has changed: value.cents was u64 and is i64 now; field value.note was removed; field value.limit was added"#]]
        .assert_eq(&error.to_string());
}
