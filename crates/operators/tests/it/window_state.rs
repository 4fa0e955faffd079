//! State of window functions, per key and per window.

use std::time::Duration;

use expect_test::expect;
use hurtig_operators::{
    Collector,
    window::{
        assigner::{EventTimeSessionWindows, TumblingEventTimeWindows, WindowAssigner},
        contents::RecordContents,
        function::{WindowContext, WindowFunction, WindowOpenContext},
        operator::WindowOperator,
    },
};
use hurtig_state_api::ValueStateDescriptor;
use hurtig_state_heap::ValueState;
use hurtig_types::BoxError;

use crate::{
    harness::{Event, Harness},
    windows::by_key,
};

const TEN_MS: Duration = Duration::from_millis(10);

/// Numbers the windows of a key, and counts the firings of each window.
#[derive(Clone, Default)]
struct Numbered {
    windows: Option<ValueState<u32>>,
    firings: Option<ValueState<u32>>,
}

impl WindowFunction<String, &[Event], String> for Numbered {
    fn open(&mut self, context: &mut WindowOpenContext<'_, String>) -> Result<(), BoxError> {
        let windows = ValueStateDescriptor::new("windows");
        self.windows = Some(context.global_state.value_state(&windows)?);
        let firings = ValueStateDescriptor::new("firings");
        self.firings = Some(context.window_state.value_state(&firings)?);
        Ok(())
    }

    fn process(
        &mut self,
        context: &mut WindowContext<'_, String>,
        input: &[Event],
        out: &mut Collector<'_, String>,
    ) -> Result<(), BoxError> {
        let (windows, firings) = (self.windows.ok_or("open")?, self.firings.ok_or("open")?);
        let firing = firings.get_or_insert_with(context.window_state()?, || 0)?;
        *firing += 1;
        let firing = *firing;
        let window = windows.get_or_insert_with(context.global_state(), || 0)?;
        if firing == 1 {
            *window += 1;
        }
        let window = *window;
        let text = format!(
            "{} {}: window {window}, firing {firing}, {} records, watermark {}",
            context.key().clone(),
            context.window(),
            input.len(),
            context.current_watermark(),
        );
        out.collect(text);
        Ok(())
    }

    fn clear(&mut self, context: &mut WindowContext<'_, String>) -> Result<(), BoxError> {
        self.firings.ok_or("open")?.clear(context.window_state()?)?;
        Ok(())
    }
}

#[test]
fn window_functions_keep_state_per_key_and_per_window() {
    let script = "@1 a:1 @2 b:1 @3 a:1
                  wm 9
                  @4 a:1 @12 a:1
                  end";
    let windows = TumblingEventTimeWindows::of(TEN_MS);
    let trigger = WindowAssigner::<Event>::default_trigger(&windows);
    let contents = RecordContents::new(Numbered::default());
    let operator = WindowOperator::new(by_key(), windows, trigger, contents, 5, None);
    expect![[r#"
        @1 a:1 @2 b:1 @3 a:1
        wm 9
          @9 a [0, 10): window 1, firing 1, 2 records, watermark 9
          @9 b [0, 10): window 1, firing 1, 1 records, watermark 9
          wm 9
        @4 a:1 @12 a:1
          @9 a [0, 10): window 1, firing 2, 3 records, watermark 9
        end
          @19 a [10, 20): window 2, firing 1, 1 records, watermark 9223372036854775807
          wm end
    "#]]
    .assert_eq(&Harness::open(operator).run(script));
}

#[test]
fn windows_that_merge_have_no_state_of_their_own() {
    let windows = EventTimeSessionWindows::with_gap(TEN_MS);
    let trigger = WindowAssigner::<Event>::default_trigger(&windows);
    let contents = RecordContents::new(Numbered::default());
    let operator = WindowOperator::new(by_key(), windows, trigger, contents, 5, None);
    expect![[r#"
        @1 a:1
        end
          error: state per window is not possible with windows that merge: use the global state
    "#]]
    .assert_eq(&Harness::open(operator).run("@1 a:1\nend"));
}

#[test]
fn state_per_window_and_per_key_is_restored() {
    let create = || {
        let windows = TumblingEventTimeWindows::of(TEN_MS);
        let trigger = WindowAssigner::<Event>::default_trigger(&windows);
        let contents = RecordContents::new(Numbered::default());
        WindowOperator::new(by_key(), windows, trigger, contents, 5, None)
    };
    let mut before = Harness::open(create());
    before.run("@1 a:1 @2 b:1 @3 c:1\nwm 9\n@11 a:1 @12 b:1");
    let mut after = Harness::open_restored(create(), Some(before.snapshot()));
    expect![[r#"
        wm 9
          wm 9
        @4 a:1
          @9 a [0, 10): window 1, firing 2, 2 records, watermark 9
        end
          @19 b [10, 20): window 2, firing 1, 1 records, watermark 9223372036854775807
          @19 a [10, 20): window 2, firing 1, 1 records, watermark 9223372036854775807
          wm end
    "#]]
    .assert_eq(&after.run("wm 9\n@4 a:1\nend"));
}
