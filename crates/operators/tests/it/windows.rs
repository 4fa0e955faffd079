//! Windows by script: assigners, triggers, evictors, lateness, functions.

use std::time::Duration;

use expect_test::{Expect, expect};
use hurtig_operators::{
    Collector, KeySelector, OutputTag,
    window::{
        assigner::{
            EventTimeSessionWindows, GlobalWindows, ProcessingTimeSessionWindows,
            SlidingEventTimeWindows, SlidingProcessingTimeWindows, TumblingEventTimeWindows,
            TumblingProcessingTimeWindows, WindowAssigner,
        },
        contents::{AggregateOverSlice, AggregatedContents, EvictingContents},
        evictor::{CountEvictor, DeltaEvictor, Evictor, TimeEvictor},
        function::{CollectRecords, OverSlice},
        operator::WindowOperator,
        slice::SliceWindowOperator,
        trigger::{
            ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, CountTrigger,
            DeltaTrigger, NeverTrigger, PurgingTrigger, Trigger, TriggerContext, TriggerResult,
        },
    },
};
use hurtig_state_api::AggregateFunction;
use hurtig_types::TimeWindow;

use crate::harness::{Event, Harness};

pub fn by_key() -> KeySelector<Event, String> {
    KeySelector::new(|event: &Event| event.0.clone())
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Adds the values.
#[derive(Clone)]
pub struct Sum;

impl AggregateFunction<Event> for Sum {
    type Accumulator = i64;
    type Output = i64;

    fn create_accumulator(&self) -> i64 {
        0
    }

    fn add(&self, sum: &mut i64, event: &Event) {
        *sum += event.1;
    }

    fn result(&self, sum: &i64) -> i64 {
        *sum
    }

    fn merge(&self, sum: &mut i64, other: &i64) {
        *sum += other;
    }
}

fn window_text(window: TimeWindow) -> String {
    if window == TimeWindow::GLOBAL { "all".to_owned() } else { window.to_string() }
}

pub fn show_sum(key: &String, window: TimeWindow, sum: i64, out: &mut Collector<'_, String>) {
    out.collect(format!("{key} {} sum {sum}", window_text(window)));
}

/// Shows the values of a window in their order.
fn show(key: &String, window: TimeWindow, events: &[Event], out: &mut Collector<'_, String>) {
    let values: Vec<_> = events.iter().map(|event| event.1).collect();
    out.collect(format!("{key} {} {values:?}", window_text(window)));
}

/// Sums windows, with the late records on the side output `late`.
fn sums<A: WindowAssigner<Event>>(
    assigner: A,
    trigger: impl Trigger<Event>,
    lateness_ms: i64,
    script: &str,
    expected: Expect,
) {
    let contents = AggregatedContents::new(Sum, show_sum);
    let late = Some(OutputTag::new("late"));
    let operator = WindowOperator::new(by_key(), assigner, trigger, contents, lateness_ms, late);
    expected.assert_eq(&Harness::open(operator).run(script));
}

fn sums_by_default<A: WindowAssigner<Event>>(assigner: A, script: &str, expected: Expect) {
    let trigger = assigner.default_trigger();
    sums(assigner, trigger, 0, script, expected);
}

#[test]
fn tumbling_windows_fire_once_the_watermark_has_passed_them() {
    sums_by_default(
        TumblingEventTimeWindows::of(ms(10)),
        "@1 a:1 b:10 @11 a:2 @9 a:4
         wm 8
         wm 9
         @19 a:8
         end",
        expect![[r#"
            @1 a:1 b:10 @11 a:2 @9 a:4
            wm 8
              wm 8
            wm 9
              @9 a [0, 10) sum 5
              @9 b [0, 10) sum 10
              wm 9
            @19 a:8
            end
              @19 a [10, 20) sum 10
              wm end
        "#]],
    );
}

#[test]
fn sliding_windows_overlap() {
    sums_by_default(
        SlidingEventTimeWindows::of(ms(10), ms(5)).with_offset(1),
        "@7 a:1 @12 a:2
         wm 10
         end",
        expect![[r#"
            @7 a:1 @12 a:2
            wm 10
              @10 a [1, 11) sum 1
              wm 10
            end
              @15 a [6, 16) sum 3
              @20 a [11, 21) sum 2
              wm end
        "#]],
    );
}

#[test]
fn late_records_go_to_the_side_output_once_no_window_takes_them() {
    sums_by_default(
        SlidingEventTimeWindows::of(ms(10), ms(5)),
        "@7 a:1
         wm 9
         @8 a:2
         @4 a:4
         wm 14
         @14 a:8",
        expect![[r#"
            @7 a:1
            wm 9
              @9 a [0, 10) sum 1
              wm 9
            @8 a:2
            @4 a:4
              late @4 a:4
            wm 14
              @14 a [5, 15) sum 3
              wm 14
            @14 a:8
        "#]],
    );
}

#[test]
fn allowed_lateness_fires_a_window_again_until_it_is_forgotten() {
    let windows = TumblingEventTimeWindows::of(ms(10));
    let trigger = WindowAssigner::<Event>::default_trigger(&windows);
    sums(
        windows,
        trigger,
        5,
        "@1 a:1
         wm 9
         @2 a:2
         wm 13
         @3 a:4
         wm 14
         @4 a:8",
        expect![[r#"
            @1 a:1
            wm 9
              @9 a [0, 10) sum 1
              wm 9
            @2 a:2
              @9 a [0, 10) sum 3
            wm 13
              wm 13
            @3 a:4
              @9 a [0, 10) sum 7
            wm 14
              wm 14
            @4 a:8
              late @4 a:8
        "#]],
    );
}

#[test]
fn sessions_merge_when_a_record_bridges_them() {
    sums_by_default(
        EventTimeSessionWindows::with_gap(ms(5)),
        "@1 a:1 @10 a:2 @30 a:4
         @6 a:8
         wm 14
         @33 a:16 @20 b:1
         end",
        expect![[r#"
            @1 a:1 @10 a:2 @30 a:4
            @6 a:8
            wm 14
              @14 a [1, 15) sum 11
              wm 14
            @33 a:16 @20 b:1
            end
              @24 b [20, 25) sum 1
              @37 a [30, 38) sum 20
              wm end
        "#]],
    );
}

#[test]
fn a_late_record_that_touches_a_live_session_is_not_late() {
    sums_by_default(
        EventTimeSessionWindows::with_gap(ms(5)),
        "@10 a:1
         wm 12
         @7 a:2
         @6 b:4
         wm 14",
        expect![[r#"
            @10 a:1
            wm 12
              wm 12
            @7 a:2
            @6 b:4
              late @6 b:4
            wm 14
              @14 a [7, 15) sum 3
              wm 14
        "#]],
    );
}

#[test]
fn sessions_with_lateness_fire_again_as_they_grow() {
    let windows = EventTimeSessionWindows::with_gap(ms(5));
    let trigger = WindowAssigner::<Event>::default_trigger(&windows);
    sums(
        windows,
        trigger,
        20,
        "@10 a:1
         wm 14
         @13 a:2
         wm 17
         @1 a:4
         wm 50
         @30 a:8",
        expect![[r#"
            @10 a:1
            wm 14
              @14 a [10, 15) sum 1
              wm 14
            @13 a:2
            wm 17
              @17 a [10, 18) sum 3
              wm 17
            @1 a:4
              @5 a [1, 6) sum 4
            wm 50
              wm 50
            @30 a:8
              @34 a [30, 35) sum 8
        "#]],
    );
}

#[test]
fn each_record_can_have_a_gap_of_its_own() {
    sums_by_default(
        EventTimeSessionWindows::with_dynamic_gap(|event: &Event| ms(event.1.unsigned_abs())),
        "@0 a:10 @8 a:1 @12 a:2
         end",
        expect![[r#"
            @0 a:10 @8 a:1 @12 a:2
            end
              @9 a [0, 10) sum 11
              @13 a [12, 14) sum 2
              wm end
        "#]],
    );
}

#[test]
fn processing_time_windows_follow_the_wall_clock() {
    sums_by_default(
        TumblingProcessingTimeWindows::of(ms(10)),
        "a:1
         pt 5
         a:2
         pt 9
         a:4
         pt 30
         end",
        expect![[r#"
            a:1
            pt 5
            a:2
            pt 9
              @9 a [0, 10) sum 3
            a:4
            pt 30
              @9 a [0, 10) sum 4
            end
              wm end
        "#]],
    );
    sums_by_default(
        SlidingProcessingTimeWindows::of(ms(10), ms(5)),
        "a:1
         pt 7
         a:2
         pt 30",
        expect![[r#"
            a:1
            pt 7
              @4 a [-5, 5) sum 1
            a:2
            pt 30
              @9 a [0, 10) sum 3
              @14 a [5, 15) sum 2
        "#]],
    );
    sums_by_default(
        ProcessingTimeSessionWindows::with_gap(ms(10)),
        "a:1
         pt 7
         a:2
         pt 16
         pt 17
         a:4
         pt 30",
        expect![[r#"
            a:1
            pt 7
            a:2
            pt 16
              @16 a [0, 17) sum 3
            pt 17
            a:4
            pt 30
              @26 a [17, 27) sum 4
        "#]],
    );
}

#[test]
fn global_windows_fire_by_their_trigger_alone() {
    sums(
        GlobalWindows::create(),
        NeverTrigger,
        0,
        "@1 a:1
         end",
        expect![[r#"
            @1 a:1
            end
              wm end
        "#]],
    );
    sums_by_default(
        GlobalWindows::create_with_end_of_stream_trigger(),
        "a:1 b:2
         a:4
         wm 10
         end",
        expect![[r#"
            a:1 b:2
            a:4
            wm 10
              wm 10
            end
              @9223372036854775806 a all sum 5
              @9223372036854775806 b all sum 2
              wm end
        "#]],
    );
}

#[test]
fn count_triggers_fire_and_purge() {
    sums(
        GlobalWindows::create(),
        CountTrigger::of(2),
        0,
        "a:1 a:2 a:4 b:1 a:8",
        expect![[r#"
            a:1 a:2 a:4 b:1 a:8
              @9223372036854775806 a all sum 3
              @9223372036854775806 a all sum 15
        "#]],
    );
    sums(
        GlobalWindows::create(),
        PurgingTrigger::of(CountTrigger::of(2)),
        0,
        "a:1 a:2 a:4 b:1 a:8",
        expect![[r#"
            a:1 a:2 a:4 b:1 a:8
              @9223372036854775806 a all sum 3
              @9223372036854775806 a all sum 12
        "#]],
    );
    sums(
        EventTimeSessionWindows::with_gap(ms(5)),
        CountTrigger::of(3),
        0,
        "@1 a:1 @10 a:2
         @6 a:4",
        expect![[r#"
            @1 a:1 @10 a:2
            @6 a:4
              @14 a [1, 15) sum 7
        "#]],
    );
}

#[test]
fn continuous_triggers_fire_while_the_window_is_open() {
    sums(
        TumblingEventTimeWindows::of(ms(20)),
        ContinuousEventTimeTrigger::of(ms(5)),
        0,
        "@1 a:1
         wm 4
         wm 5
         @7 a:2
         wm 16
         end",
        expect![[r#"
            @1 a:1
            wm 4
              wm 4
            wm 5
              @19 a [0, 20) sum 1
              wm 5
            @7 a:2
            wm 16
              @19 a [0, 20) sum 3
              @19 a [0, 20) sum 3
              wm 16
            end
              @19 a [0, 20) sum 3
              wm end
        "#]],
    );
    sums(
        EventTimeSessionWindows::with_gap(ms(20)),
        ContinuousEventTimeTrigger::of(ms(5)),
        0,
        "@12 a:1
         @1 a:2
         wm 5
         wm 16
         end",
        expect![[r#"
            @12 a:1
            @1 a:2
            wm 5
              wm 5
            wm 16
              @31 a [1, 32) sum 3
              wm 16
            end
              @31 a [1, 32) sum 3
              @31 a [1, 32) sum 3
              @31 a [1, 32) sum 3
              @31 a [1, 32) sum 3
              wm end
        "#]],
    );
    sums(
        TumblingProcessingTimeWindows::of(ms(20)),
        ContinuousProcessingTimeTrigger::of(ms(8)),
        0,
        "a:1
         pt 8
         a:2
         pt 16
         pt 40",
        expect![[r#"
            a:1
            pt 8
              @19 a [0, 20) sum 1
            a:2
            pt 16
              @19 a [0, 20) sum 3
            pt 40
              @19 a [0, 20) sum 3
        "#]],
    );
}

#[test]
fn delta_triggers_fire_when_a_value_moves_away() {
    sums(
        GlobalWindows::create(),
        DeltaTrigger::of(5.0, |last: &Event, new: &Event| (new.1 - last.1) as f64),
        0,
        "a:1 a:6 a:7
         a:8 a:13",
        expect![[r#"
            a:1 a:6 a:7
              @9223372036854775806 a all sum 14
            a:8 a:13
              @9223372036854775806 a all sum 35
        "#]],
    );
}

/// Fires with every value of 100.
#[derive(Clone)]
struct AtHundred;

impl Trigger<Event> for AtHundred {
    type State = ();

    fn on_element(
        &self,
        event: &Event,
        _: i64,
        (): &mut (),
        _: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if event.1 == 100 { TriggerResult::FireAndPurge } else { TriggerResult::Continue }
    }
}

#[test]
fn a_trigger_of_the_users_own() {
    sums(
        TumblingEventTimeWindows::of(ms(10)),
        AtHundred,
        0,
        "@1 a:1 @2 a:100 @3 a:4
         end",
        expect![[r#"
            @1 a:1 @2 a:100 @3 a:4
              @9 a [0, 10) sum 101
            end
              wm end
        "#]],
    );
}

/// Shows what an evictor leaves, each time two records have come.
fn evicted(evictor: impl Evictor<Event>, script: &str, expected: Expect) {
    let contents = EvictingContents::new(evictor, show);
    let (assigner, trigger) = (GlobalWindows::create(), CountTrigger::of(2));
    let operator = WindowOperator::new(by_key(), assigner, trigger, contents, 0, None);
    expected.assert_eq(&Harness::open(operator).run(script));
}

#[test]
fn evictors_take_records_out_before_or_after() {
    let script = "@1 a:1 @2 a:2 @30 a:3 @4 a:40
                  @35 a:5 @36 a:41";
    evicted(
        CountEvictor::of(3),
        script,
        expect![[r#"
        @1 a:1 @2 a:2 @30 a:3 @4 a:40
          @9223372036854775806 a all [1, 2]
          @9223372036854775806 a all [2, 3, 40]
        @35 a:5 @36 a:41
          @9223372036854775806 a all [40, 5, 41]
    "#]],
    );
    evicted(
        CountEvictor::of(1).after(),
        script,
        expect![[r#"
        @1 a:1 @2 a:2 @30 a:3 @4 a:40
          @9223372036854775806 a all [1, 2]
          @9223372036854775806 a all [2, 3, 40]
        @35 a:5 @36 a:41
          @9223372036854775806 a all [40, 5, 41]
    "#]],
    );
    evicted(
        TimeEvictor::of(ms(10)),
        script,
        expect![[r#"
        @1 a:1 @2 a:2 @30 a:3 @4 a:40
          @9223372036854775806 a all [1, 2]
          @9223372036854775806 a all [3]
        @35 a:5 @36 a:41
          @9223372036854775806 a all [3, 5, 41]
    "#]],
    );
    let apart = DeltaEvictor::of(10.0, |a: &Event, b: &Event| (a.1 - b.1).abs() as f64);
    evicted(
        apart,
        script,
        expect![[r#"
        @1 a:1 @2 a:2 @30 a:3 @4 a:40
          @9223372036854775806 a all [1, 2]
          @9223372036854775806 a all [40]
        @35 a:5 @36 a:41
          @9223372036854775806 a all [40, 41]
    "#]],
    );
}

#[test]
fn an_aggregate_over_an_evictor_sees_what_is_left() {
    let function = AggregateOverSlice::new(Sum, show_sum);
    let contents = EvictingContents::new(CountEvictor::of(2), function);
    let (assigner, trigger) = (GlobalWindows::create(), CountTrigger::of(2));
    let operator = WindowOperator::new(by_key(), assigner, trigger, contents, 0, None);
    expect![[r#"
        a:1 a:2 a:4 a:8
          @9223372036854775806 a all sum 3
          @9223372036854775806 a all sum 12
    "#]]
    .assert_eq(&Harness::open(operator).run("a:1 a:2 a:4 a:8"));
}

#[test]
fn event_time_windows_refuse_records_without_timestamps() {
    sums_by_default(
        TumblingEventTimeWindows::of(ms(10)),
        "a:1",
        expect![[r#"
        a:1
          error: records without timestamps reached an event-time window: call assign_timestamps_and_watermarks first, or use processing time
    "#]],
    );
}

#[test]
fn slices_evaluate_all_records_of_a_window() {
    let windows = SlidingEventTimeWindows::of(ms(10), ms(5));
    let windows = WindowAssigner::<Event>::aligned(&windows).unwrap();
    let late = Some(OutputTag::new("late"));
    let function = OverSlice(show);
    let operator = SliceWindowOperator::new(by_key(), windows, CollectRecords, function, late);
    expect![[r#"
        @1 a:1 @12 a:4 @7 a:2 @8 a:3 b:1
        wm 11
          @4 a [-5, 5) [1]
          @9 b [0, 10) [1]
          @9 a [0, 10) [1, 2, 3]
          wm 11
        @11 a:5 @3 a:6
          late @3 a:6
        end
          @14 b [5, 15) [1]
          @14 a [5, 15) [2, 3, 4, 5]
          @19 a [10, 20) [4, 5]
          wm end
    "#]]
    .assert_eq(&Harness::open(operator).run(
        "@1 a:1 @12 a:4 @7 a:2 @8 a:3 b:1
         wm 11
         @11 a:5 @3 a:6
         end",
    ));
}

#[test]
fn slices_stop_at_a_full_output_and_go_on() {
    let windows = TumblingEventTimeWindows::of(ms(10));
    let windows = WindowAssigner::<Event>::aligned(&windows).unwrap();
    let operator = SliceWindowOperator::new(by_key(), windows, Sum, show_sum, None);
    let mut harness = Harness::open(operator);
    let records: String = (0..5000).map(|key| format!(" {key}:1")).collect();
    harness.run(&format!("@1{records}"));
    harness.out.blocked = true;
    let text = harness.run("wm 20");
    let (before, after) = text.split_once("  ...\n").unwrap();
    assert_eq!(before.matches("sum 1").count(), 4096);
    assert_eq!(after.matches("sum 1").count(), 904);
    assert!(after.ends_with("  wm 20\n") && !before.contains("  wm 20"));
}
