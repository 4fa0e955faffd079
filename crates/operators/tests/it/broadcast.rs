//! The broadcast state pattern.

use std::sync::Arc;

use expect_test::expect;
use hurtig_operator_api::Operator;
use hurtig_operators::{
    Collector, KeySelector,
    broadcast::{
        BroadcastContext, BroadcastOpenContext, BroadcastProcessFunction, BroadcastProcessOperator,
        KeyedBroadcastContext, KeyedBroadcastOpenContext, KeyedBroadcastProcessFunction,
        KeyedBroadcastProcessOperator, KeyedReadOnlyContext, ReadOnlyContext,
        RegisterBroadcastStates,
    },
    keyed::TimeDomain,
};
use hurtig_state_api::{MapStateDescriptor, ValueStateDescriptor};
use hurtig_state_heap::{BroadcastState, ValueState};
use hurtig_types::BoxError;

use crate::harness::{Event, Harness};

fn limits() -> MapStateDescriptor<String, i64> {
    MapStateDescriptor::new("limits")
}

fn register() -> RegisterBroadcastStates {
    Arc::new(|store| store.broadcast_state(&limits()).map(drop))
}

/// Tells which values are above the limit of their name.
#[derive(Clone, Default)]
struct AboveLimit(Option<BroadcastState<String, i64>>);

impl BroadcastProcessFunction<Event, Event, String> for AboveLimit {
    fn open(&mut self, context: &mut BroadcastOpenContext<'_>) -> Result<(), BoxError> {
        self.0 = Some(context.broadcast.broadcast_state(&limits())?);
        Ok(())
    }

    fn process_element(
        &mut self,
        (name, n): Event,
        context: &mut ReadOnlyContext<'_>,
        out: &mut Collector<'_, String>,
    ) -> Result<(), BoxError> {
        match self.0.ok_or("open")?.get(context.broadcast, &name)? {
            Some(limit) if n > *limit => out.collect(format!("{name} {n} > {limit}")),
            Some(_) => {}
            None => out.collect(format!("{name} has no limit")),
        }
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        (name, limit): Event,
        context: &mut BroadcastContext<'_>,
        _: &mut Collector<'_, String>,
    ) -> Result<(), BoxError> {
        self.0.ok_or("open")?.put(context.broadcast, name, limit)?;
        Ok(())
    }
}

#[test]
fn rules_apply_to_what_follows_them_and_are_restored() {
    let create = || BroadcastProcessOperator::new(register(), AboveLimit::default());
    let mut before = Harness::open(create());
    expect![[r#"
        @1 a:5
          @1 a has no limit
        second a:3 b:7
        @2 a:5 b:5
          @2 a 5 > 3
        second a:9
        @3 a:5 @4 a:10
          @4 a 10 > 9
        wm 5
          wm 5
    "#]]
    .assert_eq(&before.run("@1 a:5\nsecond a:3 b:7\n@2 a:5 b:5\nsecond a:9\n@3 a:5 @4 a:10\nwm 5"));
    let mut after = Harness::open_restored(create(), Some(before.snapshot()));
    assert_eq!(after.run("a:10 b:8"), "a:10 b:8\n  a 10 > 9\n  b 8 > 7\n");
}

/// Sums per key; `limit` says from where on a sum is told, by a timer, and `reset` ends all sums
/// above its value.
#[derive(Clone, Default)]
struct Sums {
    sum: Option<ValueState<i64>>,
    limits: Option<BroadcastState<String, i64>>,
}

impl KeyedBroadcastProcessFunction<String, Event, Event, String> for Sums {
    fn open(
        &mut self,
        context: &mut KeyedBroadcastOpenContext<'_, String>,
    ) -> Result<(), BoxError> {
        self.sum = Some(context.state.value_state(&ValueStateDescriptor::new("sum"))?);
        self.limits = Some(context.broadcast.broadcast_state(&limits())?);
        Ok(())
    }

    fn process_element(
        &mut self,
        (_, n): Event,
        context: &mut KeyedReadOnlyContext<'_, '_, String>,
        _: &mut Collector<'_, String>,
    ) -> Result<(), BoxError> {
        *self.sum.ok_or("open")?.get_or_insert_with(context.state, || 0)? += n;
        let time = context.timestamp().ok_or("no time")?;
        context.register_event_time_timer(time + 10);
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        (what, n): Event,
        context: &mut KeyedBroadcastContext<'_, String>,
        out: &mut Collector<'_, String>,
    ) -> Result<(), BoxError> {
        if what == "limit" {
            self.limits.ok_or("open")?.put(context.broadcast, what, n)?;
            return Ok(());
        }
        let (sum, mut ended) = (self.sum.ok_or("open")?, Vec::new());
        context.apply_to_keyed_state(&sum, |key, state| {
            if sum.get(state)?.is_some_and(|sum| *sum > n) {
                ended.push((key.clone(), sum.clear(state)?));
            }
            Ok(())
        })?;
        ended.sort();
        ended.into_iter().for_each(|(key, sum)| out.collect(format!("ended {key} {sum:?}")));
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        _: TimeDomain,
        context: &mut KeyedReadOnlyContext<'_, '_, String>,
        out: &mut Collector<'_, String>,
    ) -> Result<(), BoxError> {
        let limit = self.limits.ok_or("open")?.get(context.broadcast, &"limit".to_owned())?;
        let limit = limit.copied().unwrap_or(i64::MAX);
        let key = context.current_key().clone();
        let sum = self.sum.ok_or("open")?.get(context.state)?.copied();
        if let Some(sum) = sum.filter(|sum| *sum > limit) {
            out.collect(format!("{time}: {key} {sum}"));
        }
        Ok(())
    }
}

fn sums() -> impl Operator {
    let by_key = KeySelector::new(|(key, _): &Event| key.clone());
    KeyedBroadcastProcessOperator::<_, Event, Event, _, _>::new(by_key, register(), Sums::default())
}

#[test]
fn keyed_state_timers_and_broadcast_state_live_together() {
    let mut before = Harness::open(sums());
    expect![[r#"
        @1 a:5 b:2
        second limit:3
        wm 11
          @11 11: a 5
          wm 11
        @12 a:1 b:4 c:9
        second reset:6
          ended c Some(9)
        second limit:5
    "#]]
    .assert_eq(
        &before.run(
            "@1 a:5 b:2\nsecond limit:3\nwm 11\n@12 a:1 b:4 c:9\nsecond reset:6\nsecond limit:5",
        ),
    );
    let mut after = Harness::open_restored(sums(), Some(before.snapshot()));
    expect![[r#"
        @13 a:0
        wm 23
          @22 22: b 6
          @22 22: a 6
          @23 23: a 6
          wm 23
        second reset:0
          ended a Some(6)
          ended b Some(6)
    "#]]
    .assert_eq(&after.run("@13 a:0\nwm 23\nsecond reset:0"));
}
