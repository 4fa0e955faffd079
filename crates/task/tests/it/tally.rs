//! The chain of the task: a function with state and timers per key, and an operator with a list
//! state that numbers all results. So keyed state, timers, operator state and results must all be
//! of the same moment after a restore, or the numbers do not fit.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::SeqCst},
};

use hurtig_operator_api::{Captured, ListStateData, Operator, OperatorContext, Output};
use hurtig_operators::{
    Collector,
    keyed::{KeyedCoProcessFunction, KeyedContext, OpenContext, TimeDomain},
};
use hurtig_state_api::{MapStateDescriptor, ValueStateDescriptor};
use hurtig_state_heap::{MapState, ValueState};
use hurtig_types::{
    Batch, BoxError, BoxedPayload, CheckpointId, FlowResult, RedistributionMode, codec,
};
use serde::{Deserialize, Serialize};

use crate::plan::Event;

/// Length of a window.
pub const WINDOW: i64 = 20;

/// A result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// A record was seen; `number` counts those of its key.
    Seen { sequence: u64, channel: u32, position: u32, key: u8, time: i64, number: u64 },
    /// A window is over: the sums of both inputs.
    Window { sequence: u64, key: u8, end: i64, sums: [i64; 2] },
}

impl Told {
    pub fn key(&self) -> u8 {
        match self {
            Self::Seen { key, .. } | Self::Window { key, .. } => *key,
        }
    }

    /// Its event time.
    pub fn time(&self) -> i64 {
        match self {
            Self::Seen { time, .. } => *time,
            Self::Window { end, .. } => end - 1,
        }
    }

    pub fn sequence(&self) -> u64 {
        match self {
            Self::Seen { sequence, .. } | Self::Window { sequence, .. } => *sequence,
        }
    }

    fn set_sequence(&mut self, number: u64) {
        match self {
            Self::Seen { sequence, .. } | Self::Window { sequence, .. } => *sequence = number,
        }
    }
}

/// Fails the task after so many records and timers.
#[derive(Clone, Default)]
pub struct Fuse(Arc<AtomicI64>);

/// What a fuse that has blown says.
pub const INJECTED: &str = "injected";

impl Fuse {
    /// Lets the call after `calls` more fail; 0 for none.
    pub fn light(&self, calls: i64) {
        self.0.store(calls, SeqCst);
    }

    fn burn(&self) -> Result<(), BoxError> {
        if self.0.load(SeqCst) > 0 && self.0.fetch_sub(1, SeqCst) == 1 {
            return Err(INJECTED.into());
        }
        Ok(())
    }
}

/// Counts records and sums windows of event time, per key.
#[derive(Default)]
pub struct Tally {
    pub fuse: Fuse,
    number: Option<ValueState<u64>>,
    windows: Option<MapState<i64, [i64; 2]>>,
}

impl Tally {
    pub fn new(fuse: Fuse) -> Self {
        Self { fuse, ..Self::default() }
    }

    fn add(
        &mut self,
        input: usize,
        event: Event,
        context: &mut KeyedContext<'_, u8>,
        out: &mut Collector<'_, Told>,
    ) -> Result<(), BoxError> {
        self.fuse.burn()?;
        if event.time <= context.current_watermark() {
            return Err(format!("{event:?} is late").into());
        }
        let number = self.number.ok_or("not open")?.get_or_insert_with(context.state, || 0)?;
        *number += 1;
        let Event { channel, position, key, time, .. } = event;
        out.collect(Told::Seen { sequence: 0, channel, position, key, time, number: *number });
        let end = (event.time.div_euclid(WINDOW) + 1) * WINDOW;
        let windows = self.windows.ok_or("not open")?;
        windows.get_or_insert_with(context.state, end, || [0; 2])?[input] += event.value;
        context.register_event_time_timer(end - 1);
        Ok(())
    }
}

impl KeyedCoProcessFunction<u8, Event, Event, Told> for Tally {
    fn open(&mut self, context: &mut OpenContext<'_, u8>) -> Result<(), BoxError> {
        self.number = Some(context.state.value_state(&ValueStateDescriptor::new("number"))?);
        self.windows = Some(context.state.map_state(&MapStateDescriptor::new("windows"))?);
        Ok(())
    }

    fn process1(
        &mut self,
        value: Event,
        context: &mut KeyedContext<'_, u8>,
        out: &mut Collector<'_, Told>,
    ) -> Result<(), BoxError> {
        self.add(0, value, context, out)
    }

    fn process2(
        &mut self,
        value: Event,
        context: &mut KeyedContext<'_, u8>,
        out: &mut Collector<'_, Told>,
    ) -> Result<(), BoxError> {
        self.add(1, value, context, out)
    }

    fn on_timer(
        &mut self,
        time: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, u8>,
        out: &mut Collector<'_, Told>,
    ) -> Result<(), BoxError> {
        self.fuse.burn()?;
        let end = time + 1;
        let sums = self.windows.ok_or("not open")?.remove(context.state, &end)?;
        let sums = sums.ok_or_else(|| format!("a timer of {time}, and no window"))?;
        out.collect(Told::Window { sequence: 0, key: *context.current_key(), end, sums });
        Ok(())
    }
}

/// Gives each result its number.
#[derive(Default)]
pub struct Numbering(u64);

const NEXT: &str = "next";

impl Operator for Numbering {
    fn open(&mut self, context: &OperatorContext) -> FlowResult {
        if let Some(restored) = &context.restored {
            for element in restored.list(NEXT) {
                self.0 += codec::decode::<u64>(element)?;
            }
        }
        Ok(())
    }

    fn process(&mut self, _: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let mut batch = Batch::<Told>::from_payload(batch)?;
        for told in &mut batch.values {
            told.set_sequence(self.0);
            self.0 += 1;
        }
        out.emit(batch.boxed())
    }

    fn begin_capture(&mut self, _: CheckpointId, _: Option<u32>) -> FlowResult<Captured> {
        let elements = vec![codec::encode(&self.0)?];
        let mode = RedistributionMode::SplitDistribute;
        let next = ListStateData { name: NEXT.to_owned(), mode, elements };
        Ok(Captured { operator_states: vec![next], ..Captured::default() })
    }
}
