//! What all decorators of one run share: time, randomness, the faults of the moment, the trace and
//! what the checkers have found.
//!
//! One thread runs everything, so the lock is never waited for; it is never held across an await.

use std::{collections::BTreeMap, fmt, sync::Arc};

use hurtig_env::Clock;
use hurtig_types::BoxError;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use xxhash_rust::xxh3::Xxh3;

use crate::{
    faults::{Fault, Planned, Point, Step, Weather, When},
    random::Random,
};

/// Wall time at which every simulation begins: any fixed time does.
pub const START_WALL_MS: i64 = 1_700_000_000_000;

/// Most lines of a trace that are kept.
const KEPT_LINES: usize = 200_000;

#[derive(Default)]
struct State {
    weather: Weather,
    waiting: Vec<(Step, u64, Fault)>,
    passed: BTreeMap<Step, u64>,
    armed: BTreeMap<Point, u32>,
    calm: bool,
    hash: Xxh3,
    events: u64,
    lines: Option<Vec<String>>,
    struck: BTreeMap<&'static str, u32>,
    violations: Vec<String>,
}

/// Shared by all decorators of a run. Cloning gives another handle.
#[derive(Clone)]
pub struct World {
    clock: Clock,
    random: Arc<Mutex<Random>>,
    state: Arc<Mutex<State>>,
    strikes: mpsc::UnboundedSender<Fault>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("now_ms", &self.now_ms()).finish_non_exhaustive()
    }
}

/// What becomes of a call or a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fate {
    /// How late it arrives.
    pub delay_ms: u64,
    /// It never arrives.
    pub lost: bool,
    /// It has its effect, but the answer never arrives.
    pub unanswered: bool,
}

impl World {
    /// A world that begins now, and the faults that its driver must carry out.
    pub fn new(seed: u64, keep_trace: bool) -> (Self, mpsc::UnboundedReceiver<Fault>) {
        let (strikes, struck) = mpsc::unbounded_channel();
        let lines = keep_trace.then(Vec::new);
        let world = Self {
            clock: Clock::starting_at(START_WALL_MS),
            random: Arc::new(Mutex::new(Random::new(seed))),
            state: Arc::new(Mutex::new(State { lines, ..State::default() })),
            strikes,
        };
        (world, struck)
    }

    /// The clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Milliseconds since the start.
    pub fn now_ms(&self) -> u64 {
        self.clock.monotonic().as_millis() as u64
    }

    /// Draws from the run's random numbers.
    pub fn draw<R>(&self, f: impl FnOnce(&mut Random) -> R) -> R {
        f(&mut self.random.lock())
    }

    /// Notes that something has happened: part of the run's hash.
    pub fn note(&self, what: impl fmt::Display) {
        let line = format!("{:>7} {what}", self.now_ms());
        let mut state = self.state.lock();
        state.hash.update(line.as_bytes());
        state.events += 1;
        if let Some(lines) = &mut state.lines
            && lines.len() < KEPT_LINES
        {
            lines.push(line);
        }
    }

    /// Something is wrong.
    pub fn violation(&self, what: impl fmt::Display) {
        self.note(format_args!("VIOLATION {what}"));
        self.state.lock().violations.push(what.to_string());
    }

    /// A step of a protocol is passed: faults that wait for it strike. True if one did; who calls
    /// from asynchronous code should then give way, so that the fault comes before what follows.
    pub fn pass(&self, step: Step, what: impl fmt::Display) -> bool {
        self.note(format_args!("{step:?} {what}"));
        let due: Vec<Fault> = {
            let mut state = self.state.lock();
            let count = state.passed.entry(step).or_default();
            *count += 1;
            let count = *count;
            let is_due = |(of, at, _): &(Step, u64, Fault)| *of == step && *at == count;
            state.waiting.extract_if(.., |waiting| is_due(waiting)).map(|(.., f)| f).collect()
        };
        for fault in &due {
            self.strike(*fault);
        }
        !due.is_empty()
    }

    /// Lets a fault wait for its step. One with a time is not for here.
    pub fn plan(&self, planned: Planned) {
        if let When::AtStep(step, count) = planned.when {
            self.state.lock().waiting.push((step, count, planned.fault));
        }
    }

    /// A fault strikes now, unless faults have stopped.
    pub fn strike(&self, fault: Fault) {
        if self.state.lock().calm {
            return;
        }
        self.note(format_args!("FAULT {fault:?}"));
        let now_ms = self.now_ms();
        {
            let mut state = self.state.lock();
            let name = match fault {
                Fault::UserCode(_) => "user code",
                Fault::KillTaskExecutor { .. } => "TaskExecutor killed",
                Fault::KillJobMasters => "JobMasters killed",
                Fault::KillJobManager { .. } => "JobManager killed",
                Fault::FailingRecords { .. } => "failing records",
                Fault::TornWrites { .. } => "torn writes",
                Fault::CutConnections => "connections cut",
                Fault::RottenFile { .. } => "rotten file",
                Fault::SlowNetwork { .. } => "slow network",
                Fault::SlowCalls { .. } => "slow calls",
                Fault::LostCalls { .. } => "lost calls",
                Fault::SlowStore { .. } => "slow store",
                Fault::FailingStore { .. } => "failing store",
            };
            *state.struck.entry(name).or_default() += 1;
            if state.weather.take(fault, now_ms) {
                return;
            }
            if let Fault::UserCode(point) = fault {
                *state.armed.entry(point).or_default() += 1;
                return;
            }
        }
        // The driver ends with the run, and what strikes behind that hits nobody.
        let _ = self.strikes.send(fault);
    }

    /// Faults stop: from here on the job must make progress.
    pub fn calm_down(&self) {
        self.note("CALM");
        let mut state = self.state.lock();
        state.calm = true;
        state.weather = Weather::default();
        state.waiting.clear();
        state.armed.clear();
    }

    /// A point of user code: an error if a fault has been armed for it.
    pub fn user_code(&self, point: Point) -> Result<(), BoxError> {
        let hit = {
            let mut state = self.state.lock();
            match state.armed.get_mut(&point) {
                Some(count) if *count > 0 => {
                    *count -= 1;
                    true
                }
                _ => false,
            }
        };
        if !hit {
            return Ok(());
        }
        self.note(format_args!("user code fails at {point:?}"));
        Err(format!("injected at {point:?}").into())
    }

    fn fate(&self, slow: (u64, u64), failing: (u64, u32)) -> Fate {
        let now_ms = self.now_ms();
        let mut fate = Fate::default();
        if now_ms < slow.0 {
            fate.delay_ms = self.draw(|random| random.between(0, slow.1));
        }
        if now_ms < failing.0 && self.draw(|random| random.permille(failing.1)) {
            fate.lost = self.draw(|random| random.permille(500));
            fate.unanswered = !fate.lost;
        }
        fate
    }

    /// What becomes of a call between roles.
    pub fn fate_of_call(&self) -> Fate {
        let weather = self.state.lock().weather;
        self.fate(weather.slow_calls, weather.lost_calls)
    }

    /// What becomes of a request to the store.
    pub fn fate_of_request(&self) -> Fate {
        let weather = self.state.lock().weather;
        self.fate(weather.slow_store, weather.failing_store)
    }

    /// What becomes of a request to the records of high availability.
    pub fn fate_of_record(&self) -> Fate {
        let weather = self.state.lock().weather;
        self.fate((0, 0), weather.failing_records)
    }

    /// True if a file is written in part only.
    pub fn tears_write(&self) -> bool {
        let (until_ms, permille) = self.state.lock().weather.torn_writes;
        self.now_ms() < until_ms && self.draw(|random| random.permille(permille))
    }

    /// How late the next bytes of a connection are.
    pub fn network_delay_ms(&self) -> u64 {
        let (until_ms, up_to_ms) = self.state.lock().weather.network;
        if self.now_ms() < until_ms { self.draw(|random| random.between(0, up_to_ms)) } else { 0 }
    }

    /// What was found wrong so far.
    pub fn violations(&self) -> Vec<String> {
        self.state.lock().violations.clone()
    }

    /// Hash of everything that was noted.
    pub fn hash(&self) -> u64 {
        self.state.lock().hash.digest()
    }

    /// Number of notes.
    pub fn events(&self) -> u64 {
        self.state.lock().events
    }

    /// The lines noted so far, if they are kept; they are gone from here.
    pub fn take_lines(&self) -> Vec<String> {
        self.state.lock().lines.take().unwrap_or_default()
    }

    /// Which faults have struck, and how often.
    pub fn struck(&self) -> BTreeMap<&'static str, u32> {
        self.state.lock().struck.clone()
    }
}
