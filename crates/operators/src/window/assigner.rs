//! Window assigners: which windows a record belongs to. Names and semantics are Flink 2.3's.
//!
//! Windows are [`TimeWindow`]s throughout; the one window of [`GlobalWindows`] is that over all of
//! time, `TimeWindow::GLOBAL`. An assigner whose windows are aligned in event time says so with
//! [`WindowAssigner::aligned`], which lets the operator work by slices.

use std::{sync::Arc, time::Duration};

use hurtig_types::TimeWindow;

use super::{
    slice::AlignedWindows,
    trigger::{EndOfStreamTrigger, EventTimeTrigger, NeverTrigger, ProcessingTimeTrigger, Trigger},
};

/// Assigns windows to records.
pub trait WindowAssigner<T>: Clone + Send + Sync + 'static {
    /// The trigger of these windows, unless another is chosen.
    type DefaultTrigger: Trigger<T>;

    /// The trigger of these windows, unless another is chosen.
    fn default_trigger(&self) -> Self::DefaultTrigger;
    /// Adds the windows of one record to `windows`. `timestamp` is its event time in milliseconds
    /// (`i64::MIN` if it has none, which happens only to assigners that do not use event time),
    /// `now_ms` the wall clock.
    fn assign(&self, value: &T, timestamp: i64, now_ms: i64, windows: &mut Vec<TimeWindow>);
    /// True if windows are bounds of event time, so that a watermark ends them.
    fn is_event_time(&self) -> bool;
    /// True if windows that touch are merged into one.
    fn is_merging(&self) -> bool {
        false
    }
    /// Size, slide and offset, if windows are aligned in event time.
    fn aligned(&self) -> Option<AlignedWindows> {
        None
    }
    /// What is wrong with its settings.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Milliseconds of a duration; more than an `i64` holds is for ever.
pub(crate) fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Size, slide and offset of periodic windows, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Periodic {
    size: i64,
    slide: i64,
    offset: i64,
}

impl Periodic {
    fn check(&self) -> Result<(), String> {
        AlignedWindows::new(self.size, self.slide, self.offset).map(|_| ())
    }

    /// All windows that hold `time`, the latest first.
    fn assign(&self, time: i64, windows: &mut Vec<TimeWindow>) {
        let mut start = TimeWindow::start_of(time, self.offset, self.slide);
        while start > time.saturating_sub(self.size) {
            windows.push(TimeWindow::new(start, start.saturating_add(self.size)));
            let Some(before) = start.checked_sub(self.slide) else { break };
            start = before;
        }
    }
}

macro_rules! periodic_assigner {
    ($(#[$doc:meta])* $name:ident, $trigger:ident, event_time: $event_time:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name(Periodic);

        impl $name {
            /// Windows begin at `offset_ms + n * slide` instead of `n * slide`: 15 minutes for
            /// hours that begin at a quarter past, -8 hours for days of China.
            #[must_use]
            pub fn with_offset(mut self, offset_ms: i64) -> Self {
                self.0.offset = offset_ms;
                self
            }
        }

        impl<T: Send + 'static> WindowAssigner<T> for $name {
            type DefaultTrigger = $trigger;

            fn default_trigger(&self) -> $trigger {
                $trigger
            }

            fn assign(&self, _: &T, timestamp: i64, now_ms: i64, windows: &mut Vec<TimeWindow>) {
                self.0.assign(if $event_time { timestamp } else { now_ms }, windows);
            }

            fn is_event_time(&self) -> bool {
                $event_time
            }

            fn aligned(&self) -> Option<AlignedWindows> {
                let Periodic { size, slide, offset } = self.0;
                AlignedWindows::new(size, slide, offset).ok().filter(|_| $event_time)
            }

            fn check(&self) -> Result<(), String> {
                self.0.check()
            }
        }
    };
}

macro_rules! tumbling {
    ($name:ident) => {
        impl $name {
            /// Windows of `size`, one after the other.
            pub fn of(size: Duration) -> Self {
                Self(Periodic { size: ms(size), slide: ms(size), offset: 0 })
            }
        }
    };
}

macro_rules! sliding {
    ($name:ident) => {
        impl $name {
            /// Windows of `size`, one every `slide`.
            pub fn of(size: Duration, slide: Duration) -> Self {
                Self(Periodic { size: ms(size), slide: ms(slide), offset: 0 })
            }
        }
    };
}

periodic_assigner!(
    /// Windows of one size by event time, one after the other.
    TumblingEventTimeWindows, EventTimeTrigger, event_time: true
);
tumbling!(TumblingEventTimeWindows);
periodic_assigner!(
    /// Windows of one size by event time, one every slide.
    SlidingEventTimeWindows, EventTimeTrigger, event_time: true
);
sliding!(SlidingEventTimeWindows);
periodic_assigner!(
    /// Windows of one size by the wall clock, one after the other.
    TumblingProcessingTimeWindows, ProcessingTimeTrigger, event_time: false
);
tumbling!(TumblingProcessingTimeWindows);
periodic_assigner!(
    /// Windows of one size by the wall clock, one every slide.
    SlidingProcessingTimeWindows, ProcessingTimeTrigger, event_time: false
);
sliding!(SlidingProcessingTimeWindows);

/// How long a session stays open after a record.
enum Gap<T> {
    Fixed(i64),
    /// Milliseconds for each record.
    Dynamic(Arc<dyn Fn(&T) -> i64 + Send + Sync>),
}

impl<T> Clone for Gap<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Fixed(gap_ms) => Self::Fixed(*gap_ms),
            Self::Dynamic(gap) => Self::Dynamic(gap.clone()),
        }
    }
}

macro_rules! session_assigner {
    ($(#[$doc:meta])* $name:ident, $trigger:ident, event_time: $event_time:expr) => {
        $(#[$doc])*
        pub struct $name<T>(Gap<T>);

        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                Self(self.0.clone())
            }
        }

        impl<T> $name<T> {
            /// A session ends when no record has come for `gap`.
            pub fn with_gap(gap: Duration) -> Self {
                Self(Gap::Fixed(ms(gap)))
            }

            /// A session ends when no record has come for the gap that `gap` gives for each record.
            pub fn with_dynamic_gap(
                gap: impl Fn(&T) -> Duration + Send + Sync + 'static,
            ) -> Self {
                // A gap of nothing would make an empty window; the shortest is a millisecond.
                Self(Gap::Dynamic(Arc::new(move |value| ms(gap(value)).max(1))))
            }
        }

        impl<T: Send + 'static> WindowAssigner<T> for $name<T> {
            type DefaultTrigger = $trigger;

            fn default_trigger(&self) -> $trigger {
                $trigger
            }

            fn assign(&self, value: &T, timestamp: i64, now_ms: i64, windows: &mut Vec<TimeWindow>) {
                let start = if $event_time { timestamp } else { now_ms };
                let gap_ms = match &self.0 {
                    Gap::Fixed(gap_ms) => *gap_ms,
                    Gap::Dynamic(gap) => gap(value),
                };
                windows.push(TimeWindow::new(start, start.saturating_add(gap_ms)));
            }

            fn is_event_time(&self) -> bool {
                $event_time
            }

            fn is_merging(&self) -> bool {
                true
            }

            fn check(&self) -> Result<(), String> {
                match self.0 {
                    Gap::Fixed(gap_ms) if gap_ms <= 0 => {
                        Err("session windows need a gap of at least a millisecond".to_owned())
                    }
                    _ => Ok(()),
                }
            }
        }
    };
}

session_assigner!(
    /// Windows that last as long as records of the key come in event time.
    EventTimeSessionWindows, EventTimeTrigger, event_time: true
);
session_assigner!(
    /// Windows that last as long as records of the key come by the wall clock.
    ProcessingTimeSessionWindows, ProcessingTimeTrigger, event_time: false
);

/// One window over everything. It fires only by a trigger of the user's choice: `Tr` is the one
/// that it has without a choice.
#[derive(Clone, Copy, Debug)]
pub struct GlobalWindows<Tr = NeverTrigger>(Tr);

impl GlobalWindows {
    /// A window that never fires by itself.
    pub fn create() -> Self {
        Self(NeverTrigger)
    }
}

impl GlobalWindows<EndOfStreamTrigger> {
    /// A window that fires when the input ends.
    pub fn create_with_end_of_stream_trigger() -> Self {
        Self(EndOfStreamTrigger)
    }
}

impl<T, Tr: Trigger<T> + Sync> WindowAssigner<T> for GlobalWindows<Tr> {
    type DefaultTrigger = Tr;

    fn default_trigger(&self) -> Tr {
        self.0.clone()
    }

    fn assign(&self, _: &T, _: i64, _: i64, windows: &mut Vec<TimeWindow>) {
        windows.push(TimeWindow::GLOBAL);
    }

    fn is_event_time(&self) -> bool {
        false
    }

    fn aligned(&self) -> Option<AlignedWindows> {
        Some(AlignedWindows::end_of_stream())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows_of(assigner: &impl WindowAssigner<u32>, value: u32, timestamp: i64) -> Vec<String> {
        let mut windows = Vec::new();
        assigner.assign(&value, timestamp, 1_000_000, &mut windows);
        windows.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn periodic_windows_hold_the_time_that_they_are_for() {
        let (ten, four) = (Duration::from_millis(10), Duration::from_millis(4));
        assert_eq!(windows_of(&TumblingEventTimeWindows::of(ten), 0, 7), ["[0, 10)"]);
        let shifted = TumblingEventTimeWindows::of(ten).with_offset(-3);
        assert_eq!(windows_of(&shifted, 0, 7), ["[7, 17)"]);
        let sliding = SlidingEventTimeWindows::of(ten, four);
        assert_eq!(windows_of(&sliding, 0, 9), ["[8, 18)", "[4, 14)", "[0, 10)"]);
        let gaps = SlidingEventTimeWindows::of(four, ten);
        assert_eq!(windows_of(&gaps, 0, 3), ["[0, 4)"]);
        assert!(windows_of(&gaps, 0, 4).is_empty());
        let wall = TumblingProcessingTimeWindows::of(ten);
        assert_eq!(windows_of(&wall, 0, 7), ["[1000000, 1000010)"]);
    }

    #[test]
    fn sessions_begin_with_the_record_and_last_its_gap() {
        let gap = |value: &u32| Duration::from_millis(u64::from(*value));
        assert_eq!(windows_of(&EventTimeSessionWindows::with_dynamic_gap(gap), 3, 7), ["[7, 10)"]);
        assert_eq!(windows_of(&EventTimeSessionWindows::with_dynamic_gap(gap), 0, 7), ["[7, 8)"]);
        let fixed = EventTimeSessionWindows::<u32>::with_gap(Duration::ZERO);
        assert!(fixed.check().unwrap_err().contains("gap"));
    }

    #[test]
    fn times_at_the_edge_do_not_overflow() {
        let windows =
            SlidingEventTimeWindows::of(Duration::from_millis(10), Duration::from_millis(5));
        assert_eq!(windows_of(&windows, 0, i64::MAX).len(), 2);
        assert!(!windows_of(&windows, 0, i64::MIN + 20).is_empty());
        windows_of(&windows, 0, i64::MIN);
    }
}
