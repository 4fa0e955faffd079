//! The bases of sinks with and without transactions, against systems that keep book.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hurtig_connectors::{
    CheckpointCommitter, TwoPhaseCommit, TwoPhaseCommitSink, WriteAheadSink, WriteAheadTarget,
    write_ahead::{Connected, Segment, SegmentId},
};
use hurtig_types::{BoxError, JobId};
use parking_lot::Mutex;
use proptest::prelude::*;

use crate::file_sink::cluster::{Cluster, Snapshot, block_on};

/// A database with transactions.
#[derive(Default)]
struct Database {
    next: u64,
    open: BTreeMap<u64, Vec<u32>>,
    prepared: BTreeMap<u64, Vec<u32>>,
    committed: BTreeSet<u64>,
    rows: Vec<u32>,
}

#[derive(Clone, Default)]
struct Connection(Arc<Mutex<Database>>);

impl TwoPhaseCommit for Connection {
    type Input = u32;
    type Transaction = u64;

    fn begin(&mut self) -> Result<u64, BoxError> {
        let mut database = self.0.lock();
        database.next += 1;
        let id = database.next;
        database.open.insert(id, Vec::new());
        Ok(id)
    }

    fn write(&mut self, id: &mut u64, records: Vec<u32>) -> Result<(), BoxError> {
        self.0.lock().open.get_mut(id).ok_or("not open")?.extend(records);
        Ok(())
    }

    fn pre_commit(&mut self, id: &mut u64) -> Result<(), BoxError> {
        let mut database = self.0.lock();
        let rows = database.open.remove(id).ok_or("not open")?;
        database.prepared.insert(*id, rows);
        Ok(())
    }

    fn commit(&mut self, id: u64) -> Result<(), BoxError> {
        let mut database = self.0.lock();
        if let Some(rows) = database.prepared.remove(&id) {
            database.rows.extend(rows);
            database.committed.insert(id);
        }
        if database.committed.contains(&id) { Ok(()) } else { Err("no such transaction".into()) }
    }

    fn abort(&mut self, id: u64) -> Result<(), BoxError> {
        let mut database = self.0.lock();
        assert!(!database.committed.contains(&id), "aborted after its commit");
        database.open.remove(&id);
        database.prepared.remove(&id);
        Ok(())
    }
}

/// A system that takes records as they come, and a table of what was sent.
#[derive(Default)]
struct System {
    rows: Vec<u32>,
    sent: BTreeSet<SegmentId>,
    /// Segments that it will not take now.
    refuses: u32,
}

#[derive(Clone, Default)]
struct Client(Arc<Mutex<System>>);

impl WriteAheadTarget<u32> for Client {
    fn send(&mut self, segment: &Segment) -> Result<bool, BoxError> {
        let mut system = self.0.lock();
        if system.refuses > 0 {
            system.refuses -= 1;
            return Ok(false);
        }
        let before = system.rows.len();
        for chunk in segment.chunks::<u32>() {
            system.rows.extend(chunk?);
        }
        assert_eq!((system.rows.len() - before) as u64, segment.records);
        Ok(true)
    }
}

impl CheckpointCommitter for Client {
    fn is_committed(&mut self, segment: &SegmentId) -> Result<bool, BoxError> {
        Ok(self.0.lock().sent.contains(segment))
    }

    fn commit(&mut self, segment: &SegmentId) -> Result<(), BoxError> {
        assert!(self.0.lock().sent.insert(*segment), "sent twice");
        Ok(())
    }
}

fn write_ahead(
    client: &Client,
) -> WriteAheadSink<
    u32,
    impl Fn(&hurtig_connector_api::WriterContext) -> Result<Connected<u32>, BoxError>
    + Send
    + Sync
    + use<>,
> {
    let client = client.clone();
    WriteAheadSink::new(move |_: &_| -> Result<Connected<u32>, BoxError> {
        Ok((Box::new(client.clone()), Box::new(client.clone())))
    })
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Write(usize, u32),
    Checkpoint(u8),
    Abort,
    Crash(bool, usize),
    /// The system refuses so many segments.
    Refuse(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0usize..4, 1u32..12).prop_map(|(subtask, n)| Step::Write(subtask, n)),
        3 => any::<u8>().prop_map(Step::Checkpoint),
        1 => Just(Step::Abort),
        2 => (any::<bool>(), 1usize..4).prop_map(|(orderly, p)| Step::Crash(orderly, p)),
        1 => (1u32..3).prop_map(Step::Refuse),
    ];
    prop::collection::vec(step, 0..40)
}

/// Lives through the steps; `rows` are those that others see. Returns what should be there.
async fn live<S>(
    sink: S,
    steps: &[Step],
    rows: impl Fn() -> Vec<u32>,
    refuse: impl Fn(u32),
) -> Vec<u32>
where
    S: hurtig_connector_api::Sink<Input = u32>,
{
    let mut job = Cluster::start(sink, 2);
    let (mut written, mut next) = (Vec::new(), 0);
    let mut complete: Option<(Snapshot, Vec<u32>)> = None;
    for step in steps {
        match *step {
            Step::Write(subtask, n) => {
                written.extend(next..next + n);
                job.write(subtask, (next..next + n).collect()).unwrap();
                next += n;
            }
            Step::Checkpoint(mask) => {
                let snapshot = job.checkpoint().await.unwrap();
                let id = snapshot.id;
                complete = Some((snapshot, written.clone()));
                job.complete(id, |subtask| mask & (1 << subtask) != 0).unwrap();
                job.timers().unwrap();
            }
            Step::Abort => {
                job.checkpoint().await.unwrap();
            }
            Step::Crash(orderly, parallelism) => {
                job.stop(orderly).unwrap();
                written = complete.as_ref().map_or(Vec::new(), |(_, then)| then.clone());
                job.open(parallelism, complete.as_ref().map(|(snapshot, _)| snapshot)).unwrap();
            }
            Step::Refuse(times) => refuse(times),
        }
        let covered = complete.as_ref().map_or(&[][..], |(_, covered)| covered);
        assert!(rows().iter().all(|row| covered.contains(row)), "visible too early");
    }
    refuse(0);
    // What was refused is sent with the next checkpoint.
    job.finish().await.unwrap();
    let last = job.checkpoint().await.unwrap();
    job.complete(last.id, |_| true).unwrap();
    job.settle().await.unwrap();
    job.stop(true).unwrap();
    written
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_database_holds_each_record_once(steps in steps()) {
        let connection = Connection::default();
        let database = connection.0.clone();
        let connect = move |_: &_| -> Result<Connection, BoxError> { Ok(connection.clone()) };
        let rows = || database.lock().rows.clone();
        let expected = block_on(live(TwoPhaseCommitSink::new(connect), &steps, rows, |_| {}));
        let mut rows = rows();
        rows.sort_unstable();
        prop_assert_eq!(rows, expected);
    }

    #[test]
    fn a_system_without_transactions_holds_each_record_once(steps in steps()) {
        let client = Client::default();
        let rows = || client.0.lock().rows.clone();
        let refuse = |times| client.0.lock().refuses = times;
        let expected = block_on(live(write_ahead(&client), &steps, rows, refuse));
        let mut rows = rows();
        rows.sort_unstable();
        prop_assert_eq!(rows, expected);
    }
}

fn open_and_prepared(database: &Mutex<Database>) -> (usize, usize) {
    let database = database.lock();
    (database.open.len(), database.prepared.len())
}

#[test]
fn transactions_that_belong_to_no_checkpoint_are_aborted() {
    block_on(async {
        let connection = Connection::default();
        let database = connection.0.clone();
        let connect = move |_: &_| -> Result<Connection, BoxError> { Ok(connection.clone()) };
        let mut job = Cluster::start(TwoPhaseCommitSink::new(connect), 1);
        job.write(0, vec![1]).unwrap();
        let snapshot = job.checkpoint().await.unwrap();
        job.write(0, vec![2]).unwrap();
        assert_eq!(open_and_prepared(&database), (1, 1));
        // The process dies: nobody closes anything.
        job.stop(false).unwrap();
        job.open(1, Some(&snapshot)).unwrap();
        assert_eq!(open_and_prepared(&database), (0, 0));
        assert_eq!(database.lock().rows, [1]);
        job.write(0, vec![3]).unwrap();
        job.stop(true).unwrap();
        assert!(database.lock().open.is_empty());
        assert_eq!(database.lock().rows, [1]);
    });
}

#[test]
fn a_segment_that_is_refused_is_sent_later_and_nothing_overtakes_it() {
    block_on(async {
        let client = Client::default();
        let mut job = Cluster::start(write_ahead(&client), 1);
        client.0.lock().refuses = 2;
        for value in 1..=4 {
            job.write(0, vec![value]).unwrap();
            let snapshot = job.checkpoint().await.unwrap();
            job.complete(snapshot.id, |_| true).unwrap();
            job.timers().unwrap();
        }
        assert_eq!(client.0.lock().rows, [1, 2, 3, 4]);
        // Without checkpoints there is no later.
        let mut job = Cluster::idle(write_ahead(&client));
        (job.job, job.checkpoints) = (JobId(2), false);
        job.open(1, None).unwrap();
        job.write(0, vec![5]).unwrap();
        client.0.lock().refuses = 1;
        let error = job.finish().await.unwrap_err().to_string();
        assert_eq!(error, "1 committables were refused, and no checkpoint follows");
    });
}

#[test]
fn a_segment_has_a_limit_and_may_be_larger_than_a_chunk() {
    block_on(async {
        let client = Client::default();
        let mut job = Cluster::start(write_ahead(&client).with_max_segment_bytes(100), 1);
        let error = job.write(0, (0..200).collect()).unwrap_err().to_string();
        assert!(error.starts_with("more than 100 bytes were written since"), "{error}");
        let mut job = Cluster::start(write_ahead(&client), 1);
        job.write(0, (0..1_000_000).collect()).unwrap();
        job.end().await.unwrap();
        assert!(client.0.lock().rows.iter().copied().eq(0..1_000_000));
    });
}
