//! Streams: everything that does not need a key.

use std::{marker::PhantomData, sync::Arc};

use hurtig_connector_api::Sink;
use hurtig_graph::{
    ChainingStrategy, OperatorKind, ShipStrategy, Transformation, TransformationId,
};
use hurtig_operator_api::{Operator, OperatorFactory};
use hurtig_operators::{
    Collector, FnOperatorFactory, KeySelector, OutputTag,
    partition::{Distribution, by_function},
    sink::SinkOperator,
    stateless::{
        FilterOperator, FlatMapOperator, MapFunction, MapFunctionOperator, MapOperator, ProcessFn,
        ProcessFunction, ProcessOperator, TryMap,
    },
    time::{TimestampsAndWatermarksOperator, WatermarkStrategy},
};
use hurtig_state_api::Key;
use hurtig_types::{BoxError, Record, SideTag};

use crate::{
    ConnectedStreams, KeyedStream, StreamExecutionEnvironment,
    builder::{Input, MakeDistribution, OperatorSpec, make_edge},
};

/// Where records of a stream come from, and how they travel on.
pub(crate) struct Upstream<T> {
    pub(crate) source: TransformationId,
    pub(crate) side_output: Option<SideTag>,
    pub(crate) ship: Option<ShipStrategy>,
    pub(crate) distribution: Option<MakeDistribution<T>>,
}

impl<T> Clone for Upstream<T> {
    fn clone(&self) -> Self {
        Self {
            source: self.source,
            side_output: self.side_output.clone(),
            ship: self.ship,
            distribution: self.distribution.clone(),
        }
    }
}

/// A stream of records of type `T`.
pub struct DataStream<T> {
    pub(crate) env: StreamExecutionEnvironment,
    pub(crate) upstream: Vec<Upstream<T>>,
    types: PhantomData<fn() -> T>,
}

impl<T> Clone for DataStream<T> {
    fn clone(&self) -> Self {
        Self { env: self.env.clone(), upstream: self.upstream.clone(), types: PhantomData }
    }
}

/// A factory that creates operators by a closure.
pub(crate) fn factory<F, Op>(create: F) -> Arc<dyn OperatorFactory>
where
    F: Fn() -> Op + Send + Sync + 'static,
    Op: Operator + 'static,
{
    Arc::new(FnOperatorFactory(move |_: &_| Ok(Box::new(create()) as Box<dyn Operator>)))
}

impl<T: Record> DataStream<T> {
    pub(crate) fn of_operator(env: StreamExecutionEnvironment, source: TransformationId) -> Self {
        let upstream = Upstream { source, side_output: None, ship: None, distribution: None };
        Self { env, upstream: vec![upstream], types: PhantomData }
    }

    pub(crate) fn inputs(&self) -> Vec<Input> {
        let inputs = self.upstream.iter().map(|upstream| Input {
            source: upstream.source,
            side_output: upstream.side_output.clone(),
            ship: upstream.ship,
            make_edge: make_edge(upstream.distribution.clone()),
        });
        inputs.collect()
    }

    /// Adds an operator that reads this stream.
    pub(crate) fn add_operator<O: Record>(
        &self,
        spec: OperatorSpec,
        factory: Arc<dyn OperatorFactory>,
    ) -> DataStream<O> {
        let inputs = self.inputs().into_iter().map(|input| (0, input)).collect();
        let id = self.env.builder.lock().add(spec, factory, inputs);
        DataStream::of_operator(self.env.clone(), id)
    }

    /// The environment that the stream is of.
    pub fn environment(&self) -> &StreamExecutionEnvironment {
        &self.env
    }

    /// How many subtasks it comes from, if that is set for all that it is made of alike.
    pub fn parallelism(&self) -> Option<u32> {
        let builder = self.env.builder.lock();
        let of = |one: &Upstream<T>| builder.transformations[one.source.0 as usize].parallelism;
        let first = of(self.upstream.first()?);
        self.upstream.iter().all(|one| of(one) == first).then_some(first)?
    }

    /// An operator of the user's own, for what the other methods do not offer.
    pub fn transform<O: Record>(
        &self,
        name: &str,
        factory: Arc<dyn OperatorFactory>,
    ) -> DataStream<O> {
        self.add_operator(OperatorSpec::operator(name), factory)
    }

    /// Maps each record.
    pub fn map<O: Record, F>(&self, f: F) -> DataStream<O>
    where
        F: FnMut(T) -> O + Clone + Send + Sync + 'static,
    {
        self.transform("Map", factory(move || MapOperator::new(f.clone())))
    }

    /// Maps each record by a function that may fail; an error fails the task.
    pub fn try_map<O: Record, F>(&self, f: F) -> DataStream<O>
    where
        F: FnMut(T) -> Result<O, BoxError> + Clone + Send + Sync + 'static,
    {
        self.map_with(TryMap(f))
    }

    /// Maps each record by a rich function.
    pub fn map_with<O: Record, F>(&self, function: F) -> DataStream<O>
    where
        F: MapFunction<T, O> + Clone + Send + Sync + 'static,
    {
        self.transform("Map", factory(move || MapFunctionOperator::new(function.clone())))
    }

    /// Keeps the records for which `f` is true.
    #[must_use]
    pub fn filter<F>(&self, f: F) -> DataStream<T>
    where
        F: FnMut(&T) -> bool + Clone + Send + Sync + 'static,
    {
        self.transform("Filter", factory(move || FilterOperator::new(f.clone())))
    }

    /// Maps each record to any number of records.
    pub fn flat_map<O: Record, It, F>(&self, f: F) -> DataStream<O>
    where
        It: IntoIterator<Item = O> + 'static,
        F: FnMut(T) -> It + Clone + Send + Sync + 'static,
    {
        self.transform("Flat Map", factory(move || FlatMapOperator::new(f.clone())))
    }

    /// Calls `f` with each record and a collector to emit to.
    pub fn process_fn<O: Record, F>(&self, f: F) -> DataStream<O>
    where
        F: FnMut(T, &mut Collector<'_, O>) -> Result<(), BoxError> + Clone + Send + Sync + 'static,
    {
        self.process(ProcessFn(f))
    }

    /// Runs a process function.
    pub fn process<O: Record, F>(&self, function: F) -> DataStream<O>
    where
        F: ProcessFunction<T, O> + Clone + Send + Sync + 'static,
    {
        self.transform("Process", factory(move || ProcessOperator::new(function.clone())))
    }

    /// Assigns timestamps and watermarks.
    #[must_use]
    pub fn assign_timestamps_and_watermarks(
        &self,
        strategy: WatermarkStrategy<T>,
    ) -> DataStream<T> {
        self.transform(
            "Timestamps/Watermarks",
            factory(move || TimestampsAndWatermarksOperator::new(strategy.clone())),
        )
    }

    /// Groups by key.
    pub fn key_by<K: Key, F>(&self, f: F) -> KeyedStream<T, K>
    where
        F: Fn(&T) -> K + Send + Sync + 'static,
    {
        KeyedStream::new(self, KeySelector::new(f))
    }

    /// This stream and others of the same type together.
    #[must_use]
    pub fn union(&self, others: &[&DataStream<T>]) -> DataStream<T> {
        let mut all = self.clone();
        for other in others {
            if !Arc::ptr_eq(&other.env.builder, &self.env.builder) {
                let mistake = "union of streams of different environments";
                self.env.builder.lock().mistakes.push(mistake.to_owned());
                continue;
            }
            all.upstream.extend(other.upstream.iter().cloned());
        }
        all
    }

    /// This stream and one of another type side by side.
    pub fn connect<B: Record>(&self, other: &DataStream<B>) -> ConnectedStreams<T, B> {
        ConnectedStreams::new(self.clone(), other.clone())
    }

    /// The records that the operator before emits on a side output.
    pub fn side_output<X: Record>(&self, tag: &OutputTag<X>) -> DataStream<X> {
        let upstream = self.upstream.iter().map(|upstream| Upstream {
            source: upstream.source,
            side_output: Some(tag.tag().clone()),
            ship: None,
            distribution: None,
        });
        DataStream { env: self.env.clone(), upstream: upstream.collect(), types: PhantomData }
    }

    pub(crate) fn shipped(
        &self,
        ship: ShipStrategy,
        distribution: Option<MakeDistribution<T>>,
    ) -> DataStream<T> {
        let mut stream = self.clone();
        for upstream in &mut stream.upstream {
            upstream.ship = Some(ship);
            upstream.distribution = distribution.clone();
        }
        stream
    }

    /// To the subtask of the same index.
    #[must_use]
    pub fn forward(&self) -> DataStream<T> {
        self.shipped(ShipStrategy::Forward, None)
    }

    /// Round robin over all subtasks.
    #[must_use]
    pub fn rebalance(&self) -> DataStream<T> {
        self.shipped(ShipStrategy::Rebalance, None)
    }

    /// Round robin over a local group of subtasks.
    #[must_use]
    pub fn rescale(&self) -> DataStream<T> {
        self.shipped(ShipStrategy::Rescale, None)
    }

    /// At random over all subtasks.
    #[must_use]
    pub fn shuffle(&self) -> DataStream<T> {
        self.shipped(ShipStrategy::Shuffle, None)
    }

    /// To every subtask.
    #[must_use]
    pub fn broadcast(&self) -> DataStream<T> {
        self.shipped(ShipStrategy::Broadcast, None)
    }

    /// To subtask 0.
    #[must_use]
    pub fn global(&self) -> DataStream<T> {
        self.shipped(ShipStrategy::Global, None)
    }

    /// To the subtask that `f(record, number of subtasks)` chooses.
    #[must_use]
    pub fn partition_custom<F>(&self, f: F) -> DataStream<T>
    where
        F: Fn(&T, usize) -> usize + Send + Sync + 'static,
    {
        let choose = Arc::new(move |values: &[T], channels: usize, chosen: &mut Vec<u32>| {
            chosen.extend(values.iter().map(|v| u32::try_from(f(v, channels)).unwrap_or(u32::MAX)));
        });
        let distribution: MakeDistribution<T> =
            Arc::new(move || -> Distribution<T> { by_function(choose.clone()) });
        self.shipped(ShipStrategy::Custom, Some(distribution))
    }

    /// Writes the stream to a sink.
    pub fn sink_to<S: Sink<Input = T>>(&self, sink: S) -> DataStream<()> {
        let sink = Arc::new(sink);
        let spec = OperatorSpec { kind: OperatorKind::Sink, ..OperatorSpec::operator("Sink") };
        self.add_operator(spec, factory(move || SinkOperator::new(sink.clone())))
    }

    /// Prints each record on standard output.
    pub fn print(&self) -> DataStream<()>
    where
        T: std::fmt::Debug,
    {
        let sink = hurtig_connectors::PrintSink::debug();
        self.sink_to(sink).name("Print to Std. Out")
    }

    /// Changes the operator that the stream comes from.
    fn set(self, what: &str, f: impl FnOnce(&mut Transformation)) -> Self {
        let mut builder = self.env.builder.lock();
        match self.upstream.as_slice() {
            [one] if one.ship.is_none() && one.side_output.is_none() => {
                f(&mut builder.transformations[one.source.0 as usize]);
            }
            _ => builder.mistakes.push(format!(
                "{what} was set on a union, side output or partitioned stream: set it on the operator"
            )),
        }
        drop(builder);
        self
    }

    /// Name of the operator before.
    pub fn name(self, name: &str) -> Self {
        self.set("name", |t| t.name = name.to_owned())
    }

    /// Identifies the operator before: its state is found under this name, whatever changes
    /// around it.
    pub fn uid(self, uid: &str) -> Self {
        self.set("uid", |t| t.uid = Some(uid.to_owned()))
    }

    /// Parallelism of the operator before.
    pub fn set_parallelism(self, parallelism: u32) -> Self {
        self.set("parallelism", |t| t.parallelism = Some(parallelism))
    }

    /// Number of key groups of the operator before.
    pub fn set_max_parallelism(self, max_parallelism: u32) -> Self {
        self.set("max parallelism", |t| t.max_parallelism = Some(max_parallelism))
    }

    /// Slot sharing group of the operator before.
    pub fn slot_sharing_group(self, group: &str) -> Self {
        self.set("slot sharing group", |t| t.slot_sharing_group = Some(group.to_owned()))
    }

    /// Subtasks with the same key and index run in the same slot.
    pub fn co_location_key(self, key: &str) -> Self {
        self.set("co-location key", |t| t.co_location_key = Some(key.to_owned()))
    }

    /// The operator before is never chained.
    pub fn disable_chaining(self) -> Self {
        self.set("chaining", |t| t.chaining = ChainingStrategy::Never)
    }

    /// The operator before begins a chain.
    pub fn start_new_chain(self) -> Self {
        self.set("chaining", |t| t.chaining = ChainingStrategy::Head)
    }

    /// Buffer timeout of the operator before, in milliseconds; -1 for none.
    pub fn set_buffer_timeout_ms(self, timeout_ms: i64) -> Self {
        self.set("buffer timeout", |t| t.buffer_timeout_ms = Some(timeout_ms))
    }

    /// The user code of the operator before blocks: its tasks get threads of their own.
    pub fn blocking(self) -> Self {
        self.set("blocking", |t| t.blocking = true)
    }

    /// The operator before cannot run in more than that many subtasks.
    pub(crate) fn at_most_parallel(self, parallelism: u32) -> Self {
        self.set("parallelism", |t| {
            t.max_allowed_parallelism = Some(parallelism);
            t.parallelism = Some(parallelism);
        })
    }
}
