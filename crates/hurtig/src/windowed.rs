//! Windows over keyed streams.

use std::time::Duration;

use hurtig_operators::{
    Collector, OutputTag,
    keyed::{KeyedContext, KeyedProcessFunction, OpenContext},
    window::slice::{AlignedWindows, EmitWindow, SliceWindowOperator},
};
use hurtig_state_api::{AggregateFunction, Key, ValueStateDescriptor};
use hurtig_state_heap::ValueState;
use hurtig_types::{BoxError, Record, SideTag, TimeWindow};

use crate::{DataStream, KeyedStream, stream::factory};

/// Which windows a record belongs to.
#[derive(Clone, Debug)]
pub struct WindowSpec(Result<AlignedWindows, String>);

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl WindowSpec {
    /// Event-time windows of `size`, one after the other.
    pub fn tumbling_event_time(size: Duration) -> Self {
        Self::sliding_event_time(size, size)
    }

    /// Event-time windows of `size`, one every `slide`.
    pub fn sliding_event_time(size: Duration, slide: Duration) -> Self {
        Self::sliding_event_time_with_offset(size, slide, 0)
    }

    /// As [`WindowSpec::sliding_event_time`], beginning at `offset_ms` instead of the epoch.
    pub fn sliding_event_time_with_offset(size: Duration, slide: Duration, offset_ms: i64) -> Self {
        Self(AlignedWindows::new(ms(size), ms(slide), offset_ms))
    }

    /// One window over everything, which fires when the input ends.
    pub fn end_of_stream() -> Self {
        Self(Ok(AlignedWindows::end_of_stream()))
    }
}

/// A keyed stream grouped by window.
pub struct WindowedStream<T, K> {
    keyed: KeyedStream<T, K>,
    windows: WindowSpec,
    late: Option<SideTag>,
    /// The stream has no key: one subtask does it all.
    single: bool,
}

impl<T: Record> DataStream<T> {
    /// Groups all records by window, without a key; runs in one subtask.
    pub fn window_all(&self, windows: WindowSpec) -> WindowedStream<T, ()> {
        let keyed = self.key_by(|_| ());
        WindowedStream { single: true, ..WindowedStream::new(keyed, windows) }
    }
}

impl<T: Record, K: Key> WindowedStream<T, K> {
    pub(crate) fn new(keyed: KeyedStream<T, K>, windows: WindowSpec) -> Self {
        Self { keyed, windows, late: None, single: false }
    }

    /// Late records go to a side output instead of being dropped.
    #[must_use]
    pub fn side_output_late_data(mut self, tag: &OutputTag<T>) -> Self {
        self.late = Some(tag.tag().clone());
        self
    }

    /// Aggregates each window and emits `(key, window, result)`.
    pub fn aggregate<A>(&self, aggregate: A) -> DataStream<(K, TimeWindow, A::Output)>
    where
        A: AggregateFunction<T> + Clone,
    {
        self.aggregate_with(
            aggregate,
            |key: &K,
             window: TimeWindow,
             result: A::Output,
             out: &mut Collector<'_, (K, TimeWindow, A::Output)>| {
                out.collect((key.clone(), window, result));
            },
        )
    }

    /// Aggregates each window; `emit` turns key, window and result into output.
    pub fn aggregate_with<O: Record, A, E>(&self, aggregate: A, emit: E) -> DataStream<O>
    where
        A: AggregateFunction<T> + Clone,
        E: EmitWindow<K, A::Output, O> + Clone + Send + Sync + 'static,
    {
        let windows = match &self.windows.0 {
            Ok(windows) => *windows,
            Err(mistake) => {
                self.keyed.stream.env.builder.lock().mistakes.push(mistake.clone());
                AlignedWindows::end_of_stream()
            }
        };
        let (selector, late) = (self.keyed.selector.clone(), self.late.clone());
        let create = move || {
            SliceWindowOperator::new(
                selector.clone(),
                windows,
                aggregate.clone(),
                emit.clone(),
                late.clone(),
            )
        };
        let windowed = self.keyed.stream.transform("Window", factory(create));
        if self.single { windowed.at_most_parallel(1) } else { windowed }
    }

    /// Combines the records of each window into one.
    pub fn reduce<F>(&self, f: F) -> DataStream<T>
    where
        T: Sync,
        F: Fn(&mut T, &T) + Clone + Send + Sync + 'static,
    {
        self.aggregate_with(
            Reduce(f),
            |_: &K, _: TimeWindow, result: Option<T>, out: &mut Collector<'_, T>| {
                result.into_iter().for_each(|value| out.collect(value));
            },
        )
    }
}

/// A reduction as an aggregate.
#[derive(Clone)]
struct Reduce<F>(F);

impl<T: Record, F: Fn(&mut T, &T) + Send + Sync + 'static> AggregateFunction<T> for Reduce<F> {
    type Accumulator = Option<T>;
    type Output = Option<T>;

    fn create_accumulator(&self) -> Option<T> {
        None
    }

    fn add(&self, accumulator: &mut Option<T>, value: &T) {
        match accumulator {
            Some(sum) => (self.0)(sum, value),
            None => *accumulator = Some(value.clone()),
        }
    }

    fn result(&self, accumulator: &Option<T>) -> Option<T> {
        accumulator.clone()
    }

    fn merge(&self, accumulator: &mut Option<T>, other: &Option<T>) {
        if let Some(value) = other {
            self.add(accumulator, value);
        }
    }
}

/// An aggregate that is emitted with every record.
pub(crate) struct RunningAggregate<A, C> {
    aggregate: A,
    state: Option<ValueState<C>>,
}

impl<A, C> RunningAggregate<A, C> {
    pub(crate) fn new(aggregate: A) -> Self {
        Self { aggregate, state: None }
    }
}

impl<A: Clone, C> Clone for RunningAggregate<A, C> {
    fn clone(&self) -> Self {
        Self { aggregate: self.aggregate.clone(), state: self.state }
    }
}

impl<K, T, A> KeyedProcessFunction<K, T, (K, A::Output)> for RunningAggregate<A, A::Accumulator>
where
    K: Key,
    A: AggregateFunction<T>,
{
    fn open(&mut self, context: &mut OpenContext<'_, K>) -> Result<(), BoxError> {
        let descriptor = ValueStateDescriptor::new("aggregate");
        self.state = Some(context.state.value_state(&descriptor)?);
        Ok(())
    }

    fn process(
        &mut self,
        value: T,
        context: &mut KeyedContext<'_, K>,
        out: &mut Collector<'_, (K, A::Output)>,
    ) -> Result<(), BoxError> {
        let state = self.state.ok_or("not open")?;
        let fresh = || self.aggregate.create_accumulator();
        let accumulator = state.get_or_insert_with(context.state, fresh)?;
        self.aggregate.add(accumulator, &value);
        let result = self.aggregate.result(accumulator);
        out.collect((context.current_key().clone(), result));
        Ok(())
    }
}
