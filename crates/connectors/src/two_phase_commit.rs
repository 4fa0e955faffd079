//! The base of sinks for systems with transactions: Flink's `TwoPhaseCommitSinkFunction`.
//!
//! A [`TwoPhaseCommit`] says how to begin, fill, pre-commit, commit and abort a transaction;
//! [`TwoPhaseCommitSink`] calls it at the right times:
//!
//! 1. Records go into the open transaction, which is begun with the first of them.
//! 2. At a checkpoint the transaction is pre-committed: from now on it must be possible to commit
//!    it, even if this process dies. Its handle is part of the checkpoint.
//! 3. Already then the next transaction is begun, and its handle is part of the checkpoint too: so
//!    that a job that goes on from it can abort what is written between this checkpoint and the
//!    failure.
//! 4. When the checkpoint is complete, the transaction is committed. After a failure that is done
//!    again, since nobody knows whether it was: committing must be idempotent.
//! 5. What belongs to no checkpoint is aborted: by the writer, when it is closed; after a failure,
//!    by the writer that is restored, from the handle of step 3.
//!
//! Transactions must outlive the time between checkpoints and the longest time that a job may be
//! down, or records are lost: the system's time-out has to be longer.
//!
//! Calls block the task, so a system that answers slowly wants its own writer and committer.

use std::{marker::PhantomData, sync::Arc};

use hurtig_connector_api::{Committer, Sink, SinkWriter, WriterContext, WriterState};
use hurtig_types::{Batch, BoxError, Record, codec};

/// How a system's transactions are used. One per writer and one per committer.
pub trait TwoPhaseCommit: Send + 'static {
    /// What is written.
    type Input: Record;
    /// A handle of a transaction, from which it can be committed or aborted by another process.
    type Transaction: Record;

    /// Begins a transaction.
    fn begin(&mut self) -> Result<Self::Transaction, BoxError>;
    /// Writes records into the open transaction.
    fn write(
        &mut self,
        transaction: &mut Self::Transaction,
        records: Vec<Self::Input>,
    ) -> Result<(), BoxError>;
    /// Prepares a transaction, such that [`TwoPhaseCommit::commit`] can succeed whatever happens
    /// to this process. Nothing is written into it any more.
    fn pre_commit(&mut self, transaction: &mut Self::Transaction) -> Result<(), BoxError>;
    /// Commits a transaction that was pre-committed, perhaps by another process; one that is
    /// committed already is left alone.
    fn commit(&mut self, transaction: Self::Transaction) -> Result<(), BoxError>;
    /// Aborts a transaction, perhaps of another process; one that is gone is no error.
    fn abort(&mut self, transaction: Self::Transaction) -> Result<(), BoxError>;
}

/// A sink that writes with transactions. See the module documentation.
pub struct TwoPhaseCommitSink<P, F> {
    connect: Arc<F>,
    types: PhantomData<fn(P)>,
}

impl<P, F> TwoPhaseCommitSink<P, F>
where
    P: TwoPhaseCommit,
    F: Fn(&WriterContext) -> Result<P, BoxError> + Send + Sync + 'static,
{
    /// `connect` is called for each writer and each committer.
    pub fn new(connect: F) -> Self {
        Self { connect: Arc::new(connect), types: PhantomData }
    }
}

impl<P, F> Sink for TwoPhaseCommitSink<P, F>
where
    P: TwoPhaseCommit,
    F: Fn(&WriterContext) -> Result<P, BoxError> + Send + Sync + 'static,
{
    type Input = P::Input;
    type Committable = P::Transaction;

    fn create_writer(
        &self,
        context: WriterContext,
    ) -> Result<Box<dyn SinkWriter<P::Input, P::Transaction>>, BoxError> {
        let mut system = (self.connect)(&context)?;
        for left in context.restored.iter().flat_map(|state| &state.split) {
            system.abort(codec::decode(left)?)?;
        }
        Ok(Box::new(TransactionWriter { system, open: None, is_empty: true, ending: false }))
    }

    fn create_committer(
        &self,
        context: &WriterContext,
    ) -> Result<Option<Box<dyn Committer<P::Transaction>>>, BoxError> {
        Ok(Some(Box::new(TransactionCommitter((self.connect)(context)?))))
    }
}

struct TransactionWriter<P: TwoPhaseCommit> {
    system: P,
    open: Option<P::Transaction>,
    /// Nothing was written into the open transaction.
    is_empty: bool,
    /// No record will follow.
    ending: bool,
}

impl<P: TwoPhaseCommit> SinkWriter<P::Input, P::Transaction> for TransactionWriter<P> {
    fn write(&mut self, batch: Batch<P::Input>) -> Result<(), BoxError> {
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(self.system.begin()?),
        };
        self.is_empty = false;
        self.system.write(open, batch.values)
    }

    fn flush(&mut self, end_of_input: bool) -> Result<(), BoxError> {
        self.ending = end_of_input;
        Ok(())
    }

    fn prepare_commit(&mut self) -> Result<Vec<P::Transaction>, BoxError> {
        // An empty one stays open, and is that of the next checkpoint.
        let Some(mut transaction) = self.open.take_if(|_| !self.is_empty) else {
            return Ok(Vec::new());
        };
        self.is_empty = true;
        if let Err(error) = self.system.pre_commit(&mut transaction) {
            self.open = Some(transaction);
            return Err(error);
        }
        Ok(vec![transaction])
    }

    fn snapshot(&mut self) -> Result<WriterState, BoxError> {
        if self.open.is_none() && !self.ending {
            self.open = Some(self.system.begin()?);
        }
        let open = self.open.iter().map(codec::encode).collect::<Result<_, _>>()?;
        Ok(WriterState { split: open, ..WriterState::default() })
    }

    fn close(&mut self) -> Result<(), BoxError> {
        match self.open.take() {
            Some(open) => self.system.abort(open),
            None => Ok(()),
        }
    }
}

struct TransactionCommitter<P>(P);

impl<P: TwoPhaseCommit> Committer<P::Transaction> for TransactionCommitter<P> {
    fn commit(&mut self, committables: Vec<P::Transaction>) -> Result<(), BoxError> {
        committables.into_iter().try_for_each(|transaction| self.0.commit(transaction))
    }
}
