//! What can go wrong, and when.
//!
//! A [`Fault`] is plain data. It strikes at a time, or at the n-th [`Step`] of a kind: a point in
//! the protocols that a decorator passes. So a failure can be put between any two steps of a
//! checkpoint or a commit, whenever they happen to come.
//!
//! Some faults strike once ([`Fault::UserCode`], [`Fault::KillTaskExecutor`],
//! [`Fault::KillJobMasters`], [`Fault::KillJobManager`], [`Fault::CutConnections`],
//! [`Fault::RottenFile`]); others are weather: they last for a while, and change how each call,
//! request or read fares meanwhile ([`Weather`]).

use crate::random::Random;

/// A point in the protocols of the cluster that a fault can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A slot is offered.
    OfferSlot,
    /// A task is deployed.
    Deploy,
    /// A task is cancelled.
    Cancel,
    /// A coordinator's event is on its way to a task, or a task's to its coordinator.
    OperatorEvent,
    /// A checkpoint is triggered at a task.
    Trigger,
    /// A task acknowledges.
    Acknowledge,
    /// A task declines.
    Decline,
    /// A task is told that a checkpoint is complete.
    Complete,
    /// A task is told that a checkpoint was given up.
    Aborted,
    /// A task reports its state.
    TaskState,
    /// A state file is written.
    PutState,
    /// A metadata file is written.
    PutMetadata,
    /// A record of high availability is written.
    PutRecord,
    /// A file is read.
    Get,
    /// A file is deleted.
    Delete,
    /// A writer prepares a transaction.
    Prepare,
    /// A transaction is about to be committed.
    Commit,
    /// A transaction has been committed; who asked does not know it yet.
    Committed,
}

/// All steps.
pub const STEPS: &[Step] = &[
    Step::OfferSlot,
    Step::Deploy,
    Step::Cancel,
    Step::OperatorEvent,
    Step::Trigger,
    Step::Acknowledge,
    Step::Decline,
    Step::Complete,
    Step::Aborted,
    Step::TaskState,
    Step::PutState,
    Step::PutMetadata,
    Step::PutRecord,
    Step::Get,
    Step::Delete,
    Step::Prepare,
    Step::Commit,
    Step::Committed,
];

/// A place in user code that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// Opening a function.
    Open,
    /// A record.
    Record,
    /// A panic instead of an error.
    Panic,
    /// A timer.
    Timer,
    /// A source's read.
    Read,
    /// An enumerator's answer: fails the whole job but for coordinators that survive it, so it is
    /// not drawn by [`Fault::draw`].
    Enumerator,
    /// Word of a complete checkpoint.
    Notify,
    /// A sink's write.
    Write,
    /// Preparing a transaction.
    Prepare,
    /// A commit, before anything happens.
    Commit,
    /// A commit that has happened.
    Committed,
    /// Closing a function.
    Close,
}

/// Points that a task survives by a restart.
const POINTS: &[Point] = &[
    Point::Open,
    Point::Record,
    Point::Panic,
    Point::Timer,
    Point::Read,
    Point::Notify,
    Point::Write,
    Point::Prepare,
    Point::Commit,
    Point::Committed,
    Point::Close,
];

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// The next call of that point fails.
    UserCode(Point),
    /// A TaskExecutor is gone, as if its process had been killed; another comes later.
    KillTaskExecutor {
        /// Which of those that live, modulo their number.
        which: u64,
        /// When its replacement registers.
        back_after_ms: u64,
    },
    /// The JobMasters are gone, as if their processes had been killed.
    KillJobMasters,
    /// The JobManager that leads is gone with its JobMasters; without high availability the
    /// JobMasters alone.
    KillJobManager {
        /// When another one enters the election.
        back_after_ms: u64,
    },
    /// Records of high availability cannot be read or written, or are without an answer.
    FailingRecords {
        /// How long.
        for_ms: u64,
        /// So many in a thousand.
        permille: u32,
    },
    /// Some files are written in part, and the writer is told that it has failed.
    TornWrites {
        /// How long.
        for_ms: u64,
        /// So many in a thousand.
        permille: u32,
    },
    /// A file of the latest complete checkpoint rots: a byte is another, or the end is gone. Then
    /// the job has to restart: its JobMasters are gone, or a function fails.
    RottenFile {
        /// Which file, and how.
        which: u64,
    },
    /// All connections of the data plane break.
    CutConnections,
    /// Bytes of the data plane are late.
    SlowNetwork {
        /// How long.
        for_ms: u64,
        /// Longest delay of one read.
        up_to_ms: u64,
    },
    /// Calls between roles are late.
    SlowCalls {
        /// How long.
        for_ms: u64,
        /// Longest delay of a call.
        up_to_ms: u64,
    },
    /// Calls between roles are lost, or their answers are: the caller sees a time-out.
    LostCalls {
        /// How long.
        for_ms: u64,
        /// So many in a thousand.
        permille: u32,
    },
    /// The store takes its time.
    SlowStore {
        /// How long.
        for_ms: u64,
        /// Longest delay of a request.
        up_to_ms: u64,
    },
    /// Requests to the store fail, some of them after they have taken effect.
    FailingStore {
        /// How long.
        for_ms: u64,
        /// So many in a thousand.
        permille: u32,
    },
}

/// When a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// So many milliseconds after the start.
    AtMs(u64),
    /// When a step of that kind is passed for the n-th time, from 1.
    AtStep(Step, u64),
}

/// A fault with its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Planned {
    /// When.
    pub when: When,
    /// What.
    pub fault: Fault,
}

impl Fault {
    /// Any fault.
    pub fn draw(random: &mut Random) -> Self {
        let for_ms = random.between(50, 4_000);
        match random.between(0, 22) {
            0..=4 => Self::UserCode(*random.pick(POINTS)),
            5..=7 => Self::KillTaskExecutor {
                which: random.number(),
                back_after_ms: random.between(0, 3_000),
            },
            8 => Self::CutConnections,
            9 => Self::SlowNetwork { for_ms, up_to_ms: random.between(1, 300) },
            10 => Self::SlowCalls { for_ms, up_to_ms: random.between(1, 400) },
            11 | 12 => Self::LostCalls { for_ms, permille: random.between(5, 200) as u32 },
            13 => Self::SlowStore { for_ms, up_to_ms: random.between(1, 1_500) },
            16..=18 => Self::KillJobMasters,
            19 | 20 => Self::KillJobManager { back_after_ms: random.between(0, 3_000) },
            21 => Self::FailingRecords { for_ms, permille: random.between(50, 1_000) as u32 },
            22 => Self::TornWrites { for_ms, permille: random.between(20, 500) as u32 },
            _ => Self::FailingStore { for_ms, permille: random.between(20, 700) as u32 },
        }
    }
}

impl Planned {
    /// Any fault at any time before `until_ms`.
    pub fn draw(random: &mut Random, until_ms: u64) -> Self {
        let when = if random.permille(600) {
            When::AtStep(*random.pick(STEPS), random.between(1, 24))
        } else {
            When::AtMs(random.between(0, until_ms))
        };
        Self { when, fault: Fault::draw(random) }
    }
}

/// Faults that last: until when, and how bad.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    pub(crate) network: (u64, u64),
    pub(crate) slow_calls: (u64, u64),
    pub(crate) lost_calls: (u64, u32),
    pub(crate) slow_store: (u64, u64),
    pub(crate) failing_store: (u64, u32),
    pub(crate) failing_records: (u64, u32),
    pub(crate) torn_writes: (u64, u32),
}

impl Weather {
    /// Takes up a fault that lasts; false if it is none.
    pub(crate) fn take(&mut self, fault: Fault, now_ms: u64) -> bool {
        match fault {
            Fault::SlowNetwork { for_ms, up_to_ms } => self.network = (now_ms + for_ms, up_to_ms),
            Fault::SlowCalls { for_ms, up_to_ms } => self.slow_calls = (now_ms + for_ms, up_to_ms),
            Fault::LostCalls { for_ms, permille } => self.lost_calls = (now_ms + for_ms, permille),
            Fault::SlowStore { for_ms, up_to_ms } => self.slow_store = (now_ms + for_ms, up_to_ms),
            Fault::FailingStore { for_ms, permille } => {
                self.failing_store = (now_ms + for_ms, permille);
            }
            Fault::FailingRecords { for_ms, permille } => {
                self.failing_records = (now_ms + for_ms, permille);
            }
            Fault::TornWrites { for_ms, permille } => {
                self.torn_writes = (now_ms + for_ms, permille);
            }
            Fault::UserCode(_)
            | Fault::KillTaskExecutor { .. }
            | Fault::KillJobMasters
            | Fault::KillJobManager { .. }
            | Fault::RottenFile { .. }
            | Fault::CutConnections => return false,
        }
        true
    }
}
