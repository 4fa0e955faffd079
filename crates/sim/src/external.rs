//! The system outside, into which the sink writes by two-phase commit, and its rules.
//!
//! A transaction is *open* while its writer adds to it, *prepared* once it is part of a checkpoint,
//! and *committed* at last. Committing again what was committed does nothing. Committing what was
//! never prepared, or was given up, is a violation: a committer that is told to would lose data.
//!
//! # A savepoint in the middle
//!
//! What a job commits behind a savepoint is there when another job is resumed from it, and would be
//! there twice. The writers' state in the savepoint says which transactions came before; the first
//! writers of the job that is resumed take the rest back, as the owner of such a system would. The
//! same goes for a job that falls back to an earlier checkpoint, since a file of a later one has
//! rotted; in runs without such files nobody takes back what a job itself has committed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hurtig::connector::{Committer, Sink, SinkWriter, WriterContext, WriterState};
use hurtig_types::{Batch, BoxError, JobId, codec};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::{
    faults::{Point, Step},
    world::World,
};

/// A record of the output: which kind of result, its key, and two numbers.
pub type Out = (u8, u32, i64, i64);

/// One transaction. Within a subtask of a job they are in the order of time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Transaction {
    job: JobId,
    subtask: u32,
    attempt: u32,
    number: u32,
}

#[derive(Debug, Default)]
struct Tables {
    open: BTreeSet<Transaction>,
    prepared: BTreeMap<Transaction, Vec<Out>>,
    committed: BTreeMap<Transaction, Vec<Out>>,
    rolled_back: BTreeSet<JobId>,
    fall_backs: bool,
}

/// The system. Cloning gives another handle.
#[derive(Clone, Debug)]
pub struct External {
    world: World,
    tables: Arc<Mutex<Tables>>,
}

impl External {
    /// An empty one.
    pub fn new(world: World) -> Self {
        Self { world, tables: Arc::default() }
    }

    /// All that was committed, in order.
    pub fn committed(&self) -> Vec<Out> {
        let mut all: Vec<Out> = self.tables.lock().committed.values().flatten().copied().collect();
        all.sort_unstable();
        all
    }

    fn prepare(&self, transaction: &Transaction, records: Vec<Out>) {
        let mut tables = self.tables.lock();
        tables.open.remove(transaction);
        if tables.prepared.insert(transaction.clone(), records).is_some() {
            self.world.violation(format_args!("{transaction:?} was prepared twice"));
        }
    }

    fn commit(&self, transaction: &Transaction) {
        let mut tables = self.tables.lock();
        if tables.committed.contains_key(transaction) {
            return;
        }
        match tables.prepared.remove(transaction) {
            Some(records) => {
                tables.committed.insert(transaction.clone(), records);
            }
            None => {
                self.world.violation(format_args!("{transaction:?} is committed, never prepared"));
            }
        }
    }

    /// From here on a job may fall back to an earlier checkpoint.
    pub fn expect_fall_backs(&self) {
        self.tables.lock().fall_backs = true;
    }

    /// A writer goes on from a checkpoint: what was committed behind that is taken back.
    fn fall_back(&self, job: JobId, behind: &[Transaction]) {
        let mut tables = self.tables.lock();
        if !tables.fall_backs {
            return;
        }
        let is_behind = |transaction: &Transaction| {
            behind.iter().any(|first| {
                transaction.job == job
                    && (first.job, first.subtask) == (transaction.job, transaction.subtask)
                    && first <= transaction
            })
        };
        let before = tables.committed.len();
        tables.committed.retain(|transaction, _| !is_behind(transaction));
        let taken_back = before - tables.committed.len();
        if taken_back > 0 {
            self.world.note(format_args!("external: {taken_back} transactions taken back"));
        }
    }

    /// A job is resumed from a savepoint of another: see the module.
    fn roll_back(&self, resumed: JobId, behind: &[Transaction]) {
        let mut tables = self.tables.lock();
        let of_others: Vec<&Transaction> = behind.iter().filter(|t| t.job != resumed).collect();
        if of_others.is_empty() || !tables.rolled_back.insert(resumed) {
            return;
        }
        let is_behind = |transaction: &Transaction| {
            of_others.iter().any(|first| {
                (first.job, first.subtask) == (transaction.job, transaction.subtask)
                    && *first <= transaction
            })
        };
        let before = tables.committed.len();
        tables.committed.retain(|transaction, _| !is_behind(transaction));
        tables.prepared.retain(|transaction, _| !is_behind(transaction));
        let taken_back = before - tables.committed.len();
        self.world.note(format_args!("external: {taken_back} transactions taken back"));
    }
}

/// The sink.
#[derive(Clone)]
pub struct SimSink {
    /// Where it writes.
    pub external: External,
    /// It prepares and commits nothing properly: for the test of the checkers.
    pub broken: bool,
}

impl Sink for SimSink {
    type Input = Out;
    type Committable = Transaction;

    fn create_writer(
        &self,
        context: WriterContext,
    ) -> Result<Box<dyn SinkWriter<Out, Transaction>>, BoxError> {
        let restored = context.restored.iter().flat_map(|state| &state.union);
        let restored = restored.map(|state| codec::decode(state));
        let restored: Vec<Transaction> = restored.collect::<Result<_, _>>()?;
        self.external.roll_back(context.job, &restored);
        self.external.fall_back(context.job, &restored);
        let (job, subtask, attempt) = (context.job, context.subtask, context.attempt);
        let next = Transaction { job, subtask, attempt, number: 0 };
        Ok(Box::new(SimWriter {
            external: self.external.clone(),
            next,
            records: Vec::new(),
            broken: self.broken,
        }))
    }

    fn create_committer(
        &self,
        _: &WriterContext,
    ) -> Result<Option<Box<dyn Committer<Transaction>>>, BoxError> {
        Ok(Some(Box::new(SimCommitter(self.external.clone()))))
    }
}

struct SimWriter {
    external: External,
    next: Transaction,
    records: Vec<Out>,
    broken: bool,
}

impl SinkWriter<Out, Transaction> for SimWriter {
    fn write(&mut self, batch: Batch<Out>) -> Result<(), BoxError> {
        self.external.world.user_code(Point::Write)?;
        self.external.tables.lock().open.insert(self.next.clone());
        self.records.extend(batch.values);
        Ok(())
    }

    fn flush(&mut self, _: bool) -> Result<(), BoxError> {
        Ok(())
    }

    fn prepare_commit(&mut self) -> Result<Vec<Transaction>, BoxError> {
        if self.records.is_empty() {
            return Ok(Vec::new());
        }
        let transaction = self.next.clone();
        self.next.number += 1;
        let world = &self.external.world;
        let (subtask, attempt) = (transaction.subtask, transaction.attempt);
        let what = format!("{subtask}#{attempt} {} of {}", transaction.number, self.records.len());
        world.pass(Step::Prepare, what);
        world.user_code(Point::Prepare)?;
        self.external.prepare(&transaction, std::mem::take(&mut self.records));
        if self.broken {
            // One that does not wait for the checkpoint.
            self.external.commit(&transaction);
        }
        Ok(vec![transaction])
    }

    fn snapshot(&mut self) -> Result<WriterState, BoxError> {
        Ok(WriterState { union: vec![codec::encode(&self.next)?], ..WriterState::default() })
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.external.tables.lock().open.remove(&self.next);
        Ok(())
    }
}

struct SimCommitter(External);

impl Committer<Transaction> for SimCommitter {
    fn commit(&mut self, committables: Vec<Transaction>) -> Result<(), BoxError> {
        for transaction in committables {
            let (subtask, attempt) = (transaction.subtask, transaction.attempt);
            let what = format!("{subtask}#{attempt} {}", transaction.number);
            self.0.world.pass(Step::Commit, &what);
            self.0.world.user_code(Point::Commit)?;
            self.0.commit(&transaction);
            self.0.world.pass(Step::Committed, &what);
            self.0.world.user_code(Point::Committed)?;
        }
        Ok(())
    }
}
