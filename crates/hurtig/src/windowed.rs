//! Windows over keyed streams.
//!
//! The settings of a window decide which operator runs it: aligned event-time windows that fire
//! once, at their end, are computed by slices; all others by the general operator.

use std::{ops::AddAssign, sync::Arc, time::Duration};

use hurtig_operator_api::OperatorFactory;
use hurtig_operators::{
    Collector, OutputTag,
    keyed::{KeyedContext, KeyedProcessFunction, OpenContext},
    window::{
        assigner::{GlobalWindows, WindowAssigner},
        contents::{
            AggregateOverSlice, AggregatedContents, EvictingContents, RecordContents,
            WindowContents,
        },
        evictor::{CountEvictor, Evictor, NoEvictor},
        function::{CollectRecords, OverSlice, WindowFunction},
        operator::WindowOperator,
        slice::{AlignedWindows, SliceWindowOperator},
        trigger::{CountTrigger, NeverTrigger, PurgingTrigger, Trigger},
    },
};
use hurtig_state_api::{AggregateFunction, Key, ValueStateDescriptor};
use hurtig_state_heap::ValueState;
use hurtig_types::{BoxError, Record, TimeWindow};

use crate::{DataStream, KeyedStream, stream::factory};

/// A keyed stream grouped by the windows of an assigner `A`, fired by a trigger `Tr`.
pub struct WindowedStream<T, K, A, Tr, E = NoEvictor> {
    keyed: KeyedStream<T, K>,
    assigner: A,
    trigger: Tr,
    evictor: E,
    allowed_lateness: Duration,
    late: Option<OutputTag<T>>,
    /// The stream has no key: one subtask does it all.
    single: bool,
}

/// Windows of the last records of each key.
pub type CountWindows<T, K, E = NoEvictor> =
    WindowedStream<T, K, GlobalWindows<NeverTrigger>, PurgingTrigger<CountTrigger>, E>;

/// Windows of the last records of each key, which overlap.
pub type SlidingCountWindows<T, K> =
    WindowedStream<T, K, GlobalWindows<NeverTrigger>, CountTrigger, CountEvictor>;

impl<T: Record> DataStream<T> {
    /// Groups all records by window, without a key; runs in one subtask.
    pub fn window_all<A>(&self, assigner: A) -> WindowedStream<T, (), A, A::DefaultTrigger>
    where
        A: WindowAssigner<T>,
    {
        WindowedStream { single: true, ..WindowedStream::new(self.key_by(|_| ()), assigner) }
    }

    /// Windows of `size` records each, without a key; runs in one subtask.
    pub fn count_window_all(&self, size: u64) -> CountWindows<T, ()> {
        WindowedStream { single: true, ..self.key_by(|_| ()).count_window(size) }
    }

    /// Every `slide` records, a window of the last `size`, without a key; runs in one subtask.
    pub fn sliding_count_window_all(&self, size: usize, slide: u64) -> SlidingCountWindows<T, ()> {
        WindowedStream { single: true, ..self.key_by(|_| ()).sliding_count_window(size, slide) }
    }
}

impl<T: Record, K: Key> KeyedStream<T, K> {
    /// Groups further by window.
    pub fn window<A>(&self, assigner: A) -> WindowedStream<T, K, A, A::DefaultTrigger>
    where
        A: WindowAssigner<T>,
    {
        WindowedStream::new(self.clone(), assigner)
    }

    /// Windows of `size` records each. A window that is not full is not evaluated.
    pub fn count_window(&self, size: u64) -> CountWindows<T, K> {
        self.window(GlobalWindows::create()).trigger(PurgingTrigger::of(CountTrigger::of(size)))
    }

    /// Every `slide` records, a window of the last `size`.
    pub fn sliding_count_window(&self, size: usize, slide: u64) -> SlidingCountWindows<T, K> {
        self.window(GlobalWindows::create())
            .evictor(CountEvictor::of(size))
            .trigger(CountTrigger::of(slide))
    }
}

impl<T, K, A> WindowedStream<T, K, A, A::DefaultTrigger>
where
    T: Record,
    K: Key,
    A: WindowAssigner<T>,
{
    fn new(keyed: KeyedStream<T, K>, assigner: A) -> Self {
        if let Err(mistake) = assigner.check() {
            keyed.stream.env.builder.lock().mistakes.push(mistake);
        }
        let trigger = assigner.default_trigger();
        Self {
            keyed,
            assigner,
            trigger,
            evictor: NoEvictor,
            allowed_lateness: Duration::ZERO,
            late: None,
            single: false,
        }
    }
}

impl<T, K, A, Tr, E> WindowedStream<T, K, A, Tr, E>
where
    T: Record,
    K: Key,
    A: WindowAssigner<T>,
    Tr: Trigger<T>,
    E: Evictor<T>,
{
    /// Fires windows by `trigger` instead of the assigner's own.
    #[must_use]
    pub fn trigger<Tr2: Trigger<T>>(self, trigger: Tr2) -> WindowedStream<T, K, A, Tr2, E> {
        if self.assigner.is_merging() && !trigger.can_merge() {
            let mistake = "the trigger does not work for windows that merge".to_owned();
            self.keyed.stream.env.builder.lock().mistakes.push(mistake);
        }
        WindowedStream {
            keyed: self.keyed,
            assigner: self.assigner,
            trigger,
            evictor: self.evictor,
            allowed_lateness: self.allowed_lateness,
            late: self.late,
            single: self.single,
        }
    }

    /// Takes records out of windows around each evaluation. All records are kept until then, also
    /// for a reduce or aggregate function.
    #[must_use]
    pub fn evictor<E2: Evictor<T>>(self, evictor: E2) -> WindowedStream<T, K, A, Tr, E2> {
        WindowedStream {
            keyed: self.keyed,
            assigner: self.assigner,
            trigger: self.trigger,
            evictor,
            allowed_lateness: self.allowed_lateness,
            late: self.late,
            single: self.single,
        }
    }

    /// Keeps windows for so long after their end in event time; a record that comes meanwhile
    /// fires its window again.
    #[must_use]
    pub fn allowed_lateness(mut self, lateness: Duration) -> Self {
        self.allowed_lateness = lateness;
        self
    }

    /// Late records go to a side output instead of being dropped.
    #[must_use]
    pub fn side_output_late_data(mut self, tag: &OutputTag<T>) -> Self {
        self.late = Some(tag.clone());
        self
    }

    /// Size and slide, if slices will do.
    fn aligned(&self) -> Option<AlignedWindows> {
        let once = self.trigger.is_at_end_of_window() && self.allowed_lateness.is_zero();
        self.assigner.aligned().filter(|_| once && !E::EVICTS)
    }

    fn transform<O: Record>(&self, operator: Arc<dyn OperatorFactory>) -> DataStream<O> {
        let windowed = self.keyed.stream.transform("Window", operator);
        if self.single { windowed.at_most_parallel(1) } else { windowed }
    }

    fn by_slices<O: Record, G, F>(
        &self,
        windows: AlignedWindows,
        aggregate: G,
        function: F,
    ) -> DataStream<O>
    where
        G: AggregateFunction<T> + Clone,
        F: WindowFunction<K, G::Output, O> + Clone + Send + Sync + 'static,
    {
        let (selector, late) = (self.keyed.selector.clone(), self.late.clone());
        self.transform(factory(move || {
            let (aggregate, function) = (aggregate.clone(), function.clone());
            SliceWindowOperator::new(selector.clone(), windows, aggregate, function, late.clone())
        }))
    }

    fn by_windows<O: Record, C>(
        &self,
        contents: impl Fn() -> C + Send + Sync + 'static,
    ) -> DataStream<O>
    where
        C: WindowContents<T, K, O> + 'static,
    {
        let (selector, late) = (self.keyed.selector.clone(), self.late.clone());
        let (assigner, trigger) = (self.assigner.clone(), self.trigger.clone());
        let lateness_ms = i64::try_from(self.allowed_lateness.as_millis()).unwrap_or(i64::MAX);
        self.transform(factory(move || {
            WindowOperator::new(
                selector.clone(),
                assigner.clone(),
                trigger.clone(),
                contents(),
                lateness_ms,
                late.clone(),
            )
        }))
    }

    /// Aggregates each window and emits `(key, window, result)`.
    pub fn aggregate<G>(&self, aggregate: G) -> DataStream<(K, TimeWindow, G::Output)>
    where
        G: AggregateFunction<T> + Clone,
    {
        self.aggregate_with(
            aggregate,
            |key: &K,
             window: TimeWindow,
             result: G::Output,
             out: &mut Collector<'_, (K, TimeWindow, G::Output)>| {
                out.collect((key.clone(), window, result));
            },
        )
    }

    /// Aggregates each window; `function` evaluates the result.
    pub fn aggregate_with<O: Record, G, F>(&self, aggregate: G, function: F) -> DataStream<O>
    where
        G: AggregateFunction<T> + Clone,
        F: WindowFunction<K, G::Output, O> + Clone + Send + Sync + 'static,
    {
        if let Some(windows) = self.aligned() {
            return self.by_slices(windows, aggregate, function);
        }
        if E::EVICTS {
            let evictor = self.evictor.clone();
            return self.by_windows(move || {
                let function = AggregateOverSlice::new(aggregate.clone(), function.clone());
                EvictingContents::new(evictor.clone(), function)
            });
        }
        self.by_windows(move || AggregatedContents::new(aggregate.clone(), function.clone()))
    }

    /// Evaluates each window by a function over all its records: `(&key, window, &[T], out)`, or a
    /// [`WindowFunction`] of its own type. Where windows overlap, records come slice by slice.
    pub fn process<O: Record, F>(&self, function: F) -> DataStream<O>
    where
        F: for<'e> WindowFunction<K, &'e [T], O> + Clone + Send + Sync + 'static,
    {
        if let Some(windows) = self.aligned() {
            return self.by_slices(windows, CollectRecords, OverSlice(function));
        }
        if E::EVICTS {
            let evictor = self.evictor.clone();
            return self
                .by_windows(move || EvictingContents::new(evictor.clone(), function.clone()));
        }
        self.by_windows(move || RecordContents::new(function.clone()))
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

    /// Combines the records of each window into one; `function` evaluates it.
    pub fn reduce_with<O: Record, F, W>(&self, f: F, function: W) -> DataStream<O>
    where
        T: Sync,
        F: Fn(&mut T, &T) + Clone + Send + Sync + 'static,
        W: WindowFunction<K, Option<T>, O> + Clone + Send + Sync + 'static,
    {
        self.aggregate_with(Reduce(f), function)
    }

    /// The sum of a field; the other fields are those of the first record.
    pub fn sum<N, F>(&self, field: F) -> DataStream<T>
    where
        T: Sync,
        N: AddAssign + Copy,
        F: Fn(&mut T) -> &mut N + Clone + Send + Sync + 'static,
    {
        self.reduce(move |sum, value| *field(sum) += *field(&mut value.clone())).name("Window Sum")
    }

    /// The record with the smallest value of a field; the first of several.
    pub fn min_by<N, F>(&self, field: F) -> DataStream<T>
    where
        T: Sync,
        N: PartialOrd,
        F: Fn(&T) -> N + Clone + Send + Sync + 'static,
    {
        let smaller = move |least: &mut T, value: &T| {
            if field(value) < field(least) {
                *least = value.clone();
            }
        };
        self.reduce(smaller).name("Window Min By")
    }

    /// The record with the largest value of a field; the first of several.
    pub fn max_by<N, F>(&self, field: F) -> DataStream<T>
    where
        T: Sync,
        N: PartialOrd,
        F: Fn(&T) -> N + Clone + Send + Sync + 'static,
    {
        let larger = move |most: &mut T, value: &T| {
            if field(value) > field(most) {
                *most = value.clone();
            }
        };
        self.reduce(larger).name("Window Max By")
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

    fn final_result(&self, accumulator: Option<T>) -> Option<T> {
        accumulator
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
