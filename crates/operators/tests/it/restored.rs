//! State that goes through a snapshot comes back where it belongs.

use std::time::Duration;

use expect_test::expect;
use hurtig_operator_api::{OperatorRestore, KeyedFile};
use hurtig_operators::window::{
    assigner::{TumblingEventTimeWindows, WindowAssigner},
    contents::RecordContents,
    operator::WindowOperator,
};

use crate::{
    harness::{Event, Harness},
    windows::{Numbered, by_key},
};

#[test]
fn state_per_window_survives_with_its_key() {
    let create = || {
        let windows = TumblingEventTimeWindows::of(Duration::from_millis(10));
        let trigger = WindowAssigner::<Event>::default_trigger(&windows);
        WindowOperator::new(
            by_key(),
            windows,
            trigger,
            RecordContents::new(Numbered::default()),
            5,
            None,
        )
    };
    let mut harness = Harness::open(create());
    harness.run("@1 a:1 @2 b:1 @3 a:1\nwm 9");
    let captured = harness.begin_snapshot(None);
    let content = harness.finish_snapshot(50).into();
    let restore = OperatorRestore {
        keyed: vec![KeyedFile { content, is_latest: true }],
        operator_states: captured.operator_states,
        ..OperatorRestore::default()
    };
    let mut restored = Harness::open_restored(create(), Some(restore));
    expect![[r#"
        wm 9
          wm 9
        @4 a:1 @12 a:1
          @9 a [0, 10): window 1, firing 2, 3 records, watermark 9
        end
          @19 a [10, 20): window 2, firing 1, 1 records, watermark 9223372036854775807
          wm end
    "#]]
    .assert_eq(&restored.run("wm 9\n@4 a:1 @12 a:1\nend"));
}
