//! A gate before the sources of a session's jobs: holds them after a number of rows.
//!
//! What a job has read when a savepoint is taken depends on the speed of the machine. With a gate it
//! does not: each scan is let through up to its number of rows, and stands there, neither reading nor
//! ending, until the job is stopped or more is let through. An open gate counts.
//!
//! Scans are named by their operators' uids. A gate is for one job.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hurtig_env::Clock;
use hurtig_operator_api::{
    Captured, CoordinatorContext, Operator, OperatorContext, OperatorCoordinator, OperatorFactory,
    Output, SourcePoll,
};
use hurtig_types::{BoxedPayload, CheckpointId, FlowResult};
use parking_lot::{Condvar, Mutex};

/// Rows that each scan of a job has read, or may read.
pub type RowsPerScan = BTreeMap<String, u64>;

/// Holds sources, or counts what they read.
#[derive(Clone, Default)]
pub struct SourceGate(Arc<Shared>);

#[derive(Default)]
struct Shared {
    counts: Mutex<Counts>,
    changed: Condvar,
}

#[derive(Default)]
struct Counts {
    /// `None`: open.
    limits: Option<Limits>,
    /// Rows that have been read, or that a reader is about to.
    claimed: RowsPerScan,
    read: RowsPerScan,
}

struct Limits {
    scans: RowsPerScan,
    /// Of the others.
    others: u64,
}

impl Limits {
    fn of(&self, scan: &str) -> u64 {
        self.scans.get(scan).copied().unwrap_or(self.others)
    }
}

impl Counts {
    fn is_full(&self) -> bool {
        let Some(limits) = &self.limits else { return true };
        self.read.iter().all(|(scan, rows)| *rows >= limits.of(scan))
    }
}

impl SourceGate {
    /// A gate that lets each scan read so many rows; one without a number, none.
    #[must_use]
    pub fn closed(limits: RowsPerScan) -> Self {
        Self::with(Limits { scans: limits, others: 0 })
    }

    /// A gate that lets every scan read so many rows.
    #[must_use]
    pub fn after(rows: u64) -> Self {
        Self::with(Limits { scans: RowsPerScan::new(), others: rows })
    }

    fn with(limits: Limits) -> Self {
        let gate = Self::default();
        gate.0.counts.lock().limits = Some(limits);
        gate
    }

    /// From now on every scan may read so many rows, in all; what is read again after a failure
    /// counts again.
    pub fn let_through(&self, rows: u64) {
        let limits = Limits { scans: RowsPerScan::new(), others: rows };
        self.0.counts.lock().limits = Some(limits);
    }

    /// From now on it holds nobody.
    pub fn open(&self) {
        self.0.counts.lock().limits = None;
    }

    fn is_closed(&self) -> bool {
        self.0.counts.lock().limits.is_some()
    }

    /// Rows that have been read; scans that have read nothing are among them.
    #[must_use]
    pub fn rows(&self) -> RowsPerScan {
        self.0.counts.lock().read.clone()
    }

    /// Waits until every scan has read as much as it may; false if `patience` has ended before.
    #[must_use]
    pub fn wait_until_full(&self, patience: Duration) -> bool {
        let mut counts = self.0.counts.lock();
        if !counts.is_full() {
            self.0.changed.wait_for(&mut counts, patience);
        }
        counts.is_full()
    }

    /// The gate of one scan.
    pub(crate) fn scan(&self, name: &str) -> ScanGate {
        self.0.counts.lock().read.entry(name.to_owned()).or_insert(0);
        ScanGate { gate: self.clone(), scan: name.to_owned() }
    }
}

/// How long a reader that is held waits until it asks again.
pub(crate) const PAUSE_MS: i64 = 2;

/// The gate of a scan, which all its subtasks share.
#[derive(Clone)]
pub struct ScanGate {
    gate: SourceGate,
    scan: String,
}

impl std::fmt::Debug for ScanGate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScanGate").field("scan", &self.scan).finish()
    }
}

impl ScanGate {
    /// Claims up to so many rows; none if it is held, and is to ask again: more may be let through,
    /// or other readers of the scan give back what they have claimed.
    pub(crate) fn claim(&self, most: usize) -> Option<usize> {
        let counts = &mut *self.gate.0.counts.lock();
        let claimed = counts.claimed.entry(self.scan.clone()).or_insert(0);
        let given = match &counts.limits {
            None => most,
            Some(limits) => {
                let left = limits.of(&self.scan).saturating_sub(*claimed);
                most.min(usize::try_from(left).unwrap_or(usize::MAX))
            }
        };
        *claimed += given as u64;
        (given > 0).then_some(given)
    }

    /// Of what was claimed, so many rows have been read and emitted.
    pub(crate) fn settle(&self, claimed: usize, rows: usize) {
        let counts = &mut *self.gate.0.counts.lock();
        if let Some(all) = counts.claimed.get_mut(&self.scan) {
            *all = all.saturating_sub(claimed as u64).saturating_add(rows as u64);
        }
        *counts.read.entry(self.scan.clone()).or_insert(0) += rows as u64;
        self.gate.0.changed.notify_all();
    }
}

/// A source that does not end behind a closed gate; how much it reads is its own business.
pub(crate) struct HeldSource {
    pub(crate) source: Arc<dyn OperatorFactory>,
    pub(crate) gate: SourceGate,
}

impl OperatorFactory for HeldSource {
    fn create(&self, context: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        let source = self.source.create(context)?;
        Ok(Box::new(HeldOperator { source, gate: self.gate.clone(), clock: context.clock }))
    }

    fn has_coordinator(&self) -> bool {
        self.source.has_coordinator()
    }

    fn create_coordinator(
        &self,
        context: &CoordinatorContext,
    ) -> FlowResult<Option<Box<dyn OperatorCoordinator>>> {
        self.source.create_coordinator(context)
    }
}

struct HeldOperator {
    source: Box<dyn Operator>,
    gate: SourceGate,
    clock: Clock,
}

impl Operator for HeldOperator {
    fn open(&mut self, context: &OperatorContext) -> FlowResult {
        self.source.open(context)
    }

    fn process(&mut self, input: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        self.source.process(input, batch, out)
    }

    fn poll_source(&mut self, out: &mut dyn Output) -> FlowResult<SourcePoll> {
        let polled = self.source.poll_source(out)?;
        Ok(if polled == SourcePoll::Ended && self.gate.is_closed() {
            SourcePoll::Wait { until_ms: Some(self.clock.now_ms() + PAUSE_MS) }
        } else {
            polled
        })
    }

    fn begin_capture(
        &mut self,
        checkpoint: CheckpointId,
        since: Option<u32>,
    ) -> FlowResult<Captured> {
        self.source.begin_capture(checkpoint, since)
    }

    fn close(&mut self) -> FlowResult {
        self.source.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_gate_lets_through_what_it_was_told_and_an_open_one_everything() {
        let gate = SourceGate::closed(RowsPerScan::from([("a".to_owned(), 5)]));
        let (a, b) = (gate.scan("a"), gate.scan("b"));
        assert_eq!(b.claim(10), None);
        assert_eq!(a.claim(3), Some(3));
        assert_eq!(a.claim(9), Some(2));
        assert_eq!(a.claim(9), None);
        a.settle(3, 1);
        assert!(!gate.wait_until_full(Duration::ZERO));
        assert_eq!(a.claim(9), Some(2));
        a.settle(2, 2);
        a.settle(2, 2);
        assert!(gate.wait_until_full(Duration::ZERO));
        assert_eq!(a.claim(1), None);
        gate.open();
        assert_eq!((a.claim(8), b.claim(9)), (Some(8), Some(9)));

        let open = SourceGate::default();
        let scan = open.scan("a");
        open.scan("b");
        assert_eq!(scan.claim(100), Some(100));
        scan.settle(100, 7);
        assert_eq!(open.rows(), RowsPerScan::from([("a".to_owned(), 7), ("b".to_owned(), 0)]));
        assert!(open.wait_until_full(Duration::ZERO));

        let gate = SourceGate::after(2);
        let scan = gate.scan("a");
        assert!(!gate.wait_until_full(Duration::ZERO));
        assert_eq!(scan.claim(9), Some(2));
        scan.settle(2, 2);
        assert!(gate.wait_until_full(Duration::ZERO));
        gate.let_through(5);
        assert_eq!(scan.claim(9), Some(3));
    }
}
