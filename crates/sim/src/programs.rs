//! The programs that are run, each with its model: what it must have committed, computed from the
//! input in one go.
//!
//! A program is built on a [`Plan`], from which it takes its streams, and ends in a stream of
//! [`Out`]. To add one: a variant of [`ProgramKind`], a module with `build` and `model`, and a line
//! in each `match` here. What it emits must not depend on the order in which subtasks run; all
//! operators have a `uid`, so that they can be resumed.

mod join;
mod pipeline;
mod timers;
mod windows;

use hurtig::prelude::*;

use crate::{
    external::{External, Out, SimSink},
    faults::Point,
    input::{Input, SimEvent, SimSource},
    world::World,
};

/// Later than all event time of an input: what is due here is due at its end.
pub const THE_END: i64 = 1 << 40;

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramKind {
    /// Keyed state and event-time timers, some of which are deleted again.
    Timers,
    /// Tumbling and session windows.
    Windows,
    /// Two keyed inputs with list and map state.
    Join,
    /// No state: rebalance, filter, union of two sources.
    Pipeline,
}

/// All programs.
pub const PROGRAMS: &[ProgramKind] =
    &[ProgramKind::Timers, ProgramKind::Windows, ProgramKind::Join, ProgramKind::Pipeline];

/// What a program is built on.
pub struct Plan {
    /// The environment.
    pub env: StreamExecutionEnvironment,
    /// The world.
    pub world: World,
    /// The inputs, two of them.
    pub inputs: [Input; 2],
    /// Longest pause of the sources.
    pub longest_pause_ms: u64,
    /// Whether a stage of its own stands between sources and the rest.
    pub extra_stage: bool,
}

impl Plan {
    /// The stream of an input, behind a function that can fail.
    fn source(&self, index: usize) -> DataStream<SimEvent> {
        let source = SimSource {
            input: self.inputs[index].clone(),
            world: self.world.clone(),
            longest_pause_ms: self.longest_pause_ms,
        };
        let strategy = WatermarkStrategy::for_monotonous_timestamps();
        let events = self.env.from_source(source, strategy, "Events");
        let events = events.uid(&format!("events-{index}"));
        let fragile = events.map_with(Fragile { world: self.world.clone() });
        let fragile = fragile.uid(&format!("fragile-{index}"));
        if self.extra_stage { fragile.start_new_chain() } else { fragile }
    }
}

impl ProgramKind {
    /// Builds the program, down to its sink.
    pub fn build(self, plan: &Plan, external: &External, broken: bool) {
        let out = match self {
            Self::Timers => timers::build(plan),
            Self::Windows => windows::build(plan),
            Self::Join => join::build(plan),
            Self::Pipeline => pipeline::build(plan),
        };
        let sink = SimSink { external: external.clone(), broken };
        out.sink_to(sink).uid("sink");
    }

    /// What it must have committed at its end, in order.
    pub fn model(self, inputs: &[Input; 2]) -> Vec<Out> {
        let mut out = match self {
            Self::Timers => timers::model(inputs),
            Self::Windows => windows::model(inputs),
            Self::Join => join::model(inputs),
            Self::Pipeline => pipeline::model(inputs),
        };
        out.sort_unstable();
        out
    }
}

/// Changes nothing, but fails on command.
#[derive(Clone)]
struct Fragile {
    world: World,
}

impl MapFunction<SimEvent, SimEvent> for Fragile {
    fn open(&mut self, _: &RuntimeContext) -> Result<(), BoxError> {
        self.world.user_code(Point::Open)
    }

    fn map(&mut self, event: SimEvent) -> Result<SimEvent, BoxError> {
        self.world.user_code(Point::Record)?;
        assert!(self.world.user_code(Point::Panic).is_ok(), "injected panic");
        Ok(event)
    }

    fn notify_checkpoint_complete(&mut self, _: CheckpointId) -> Result<(), BoxError> {
        self.world.user_code(Point::Notify)
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.world.user_code(Point::Close)
    }
}
