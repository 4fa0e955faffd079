//! A gate before the sources of a session's jobs: holds them after a number of rows.
//!
//! What a job has read when a savepoint is taken depends on the speed of the machine. With a gate it
//! does not: each scan is let through up to its number of rows, and stands there, neither reading nor
//! ending, until the job is stopped. An open gate counts.
//!
//! Scans are named by their operators' uids. A gate is for one job at a time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

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
    limits: Option<RowsPerScan>,
    /// Rows that have been read, or that a reader is about to.
    claimed: RowsPerScan,
    read: RowsPerScan,
}

impl Counts {
    fn is_full(&self) -> bool {
        let read = |scan| self.read.get(scan).copied().unwrap_or(0);
        let mut limits = self.limits.iter().flatten();
        limits.all(|(scan, limit)| read(scan) >= *limit)
    }
}

impl SourceGate {
    /// A gate that lets each scan read so many rows; one without a number, none.
    #[must_use]
    pub fn closed(limits: RowsPerScan) -> Self {
        let gate = Self::default();
        gate.0.counts.lock().limits = Some(limits);
        gate
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

/// What a gate says to a reader.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// So many rows.
    Rows(usize),
    /// Perhaps some in a moment: other readers of the scan may give back what they have claimed.
    Later,
    /// No more.
    Held,
}

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
    /// Claims up to so many rows.
    pub(crate) fn claim(&self, most: usize) -> Pass {
        let counts = &mut *self.gate.0.counts.lock();
        let claimed = counts.claimed.entry(self.scan.clone()).or_insert(0);
        let given = match &counts.limits {
            None => most,
            Some(limits) => {
                let limit = limits.get(&self.scan).copied().unwrap_or(0);
                let left = limit.saturating_sub(*claimed);
                most.min(usize::try_from(left).unwrap_or(usize::MAX))
            }
        };
        if given == 0 {
            let read = counts.read.get(&self.scan).copied().unwrap_or(0);
            return if read < *claimed { Pass::Later } else { Pass::Held };
        }
        *claimed += given as u64;
        Pass::Rows(given)
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
    pub(crate) gate: ScanGate,
}

impl OperatorFactory for HeldSource {
    fn create(&self, context: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        let source = self.source.create(context)?;
        Ok(Box::new(HeldOperator { source, gate: self.gate.clone() }))
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
    gate: ScanGate,
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
        let is_held = || self.gate.claim(1) == Pass::Held;
        Ok(if polled == SourcePoll::Ended && is_held() {
            SourcePoll::Wait { until_ms: None }
        } else {
            polled
        })
    }

    fn begin_capture(&mut self, checkpoint: CheckpointId, since: Option<u32>) -> FlowResult<Captured> {
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
        assert_eq!(b.claim(10), Pass::Held);
        assert_eq!(a.claim(3), Pass::Rows(3));
        assert_eq!(a.claim(9), Pass::Rows(2));
        // Another reader may give back.
        assert_eq!(a.claim(9), Pass::Later);
        a.settle(3, 1);
        assert!(!gate.wait_until_full(Duration::ZERO));
        assert_eq!(a.claim(9), Pass::Rows(2));
        a.settle(2, 2);
        a.settle(2, 2);
        assert!(gate.wait_until_full(Duration::ZERO));
        assert_eq!(a.claim(1), Pass::Held);

        let open = SourceGate::default();
        let scan = open.scan("a");
        open.scan("b");
        assert_eq!(scan.claim(100), Pass::Rows(100));
        scan.settle(100, 7);
        assert_eq!(open.rows(), RowsPerScan::from([("a".to_owned(), 7), ("b".to_owned(), 0)]));
        assert!(open.wait_until_full(Duration::ZERO));
    }
}
