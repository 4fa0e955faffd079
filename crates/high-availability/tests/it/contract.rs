//! One suite for all backends.

use bytes::Bytes;
use hurtig_cluster_api::{FencingToken, job::JobStatus};
use hurtig_high_availability::{
    CheckpointPointer, FencedRegister, HighAvailabilityError, JobCheckpoints, LeaderInformation,
    LeaderScope, Precondition, RecordStoreError, StoredJob, SubmittedJob, register::Change,
};
use hurtig_types::CheckpointId;

use crate::harness::{Cluster, Contender, Told, job, options, result, soon};

macro_rules! contract {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&crate::harness::Cluster::memory()).await;
            })+
        }

        mod directory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&crate::harness::Cluster::directory()).await;
            })+
        }

        mod object_store {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&crate::harness::Cluster::objects()).await;
            })+
        }

        /// Runs the whole suite, each part on a cluster of its own.
        pub async fn run_all(mut cluster: impl FnMut(&'static str) -> Cluster) {
            $($name(&cluster(stringify!($name))).await;)+
        }
    };
}

contract! {
    records_are_written_only_on_their_condition,
    the_check_of_the_backend_passes_and_leaves_nothing,
    keys_that_are_no_plain_paths_are_refused,
    no_change_of_racing_writers_is_lost,
    leaders_follow_one_another_with_growing_tokens,
    followers_learn_of_the_leader_and_of_the_next,
    a_confirmation_after_a_loss_has_no_effect,
    a_job_goes_from_submitted_to_clean_and_never_runs_again,
    a_cluster_that_ends_leaves_no_job_and_nobody_standing_by,
    an_earlier_leader_changes_nothing,
    a_damaged_graph_fails_one_job_alone,
    checkpoints_are_completed_by_the_latest_leader_alone,
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

async fn records_are_written_only_on_their_condition(cluster: &Cluster) {
    let (one, two) = (cluster.backend().records(), cluster.backend().records());
    let conflict = |result: Result<_, RecordStoreError>| {
        assert!(matches!(result, Err(RecordStoreError::Conflict { .. })), "{result:?}");
    };
    assert_eq!(soon("first read", one.get("a/b")).await.unwrap(), None);
    assert_eq!(two.list("a").await.unwrap(), Vec::<String>::new());
    let first = one.put("a/b", bytes("1"), Precondition::Absent).await.unwrap();
    conflict(two.put("a/b", bytes("2"), Precondition::Absent).await);
    let read = two.get("a/b").await.unwrap().unwrap();
    assert_eq!((read.bytes, &read.version), (bytes("1"), &first));
    let second = Precondition::Unchanged(read.version);
    let second = two.put("a/b", bytes("22"), second).await.unwrap();
    assert_ne!(first, second);
    conflict(one.put("a/b", bytes("3"), Precondition::Unchanged(first)).await);
    for key in ["a/c", "a/d/e", "ab"] {
        one.put(key, bytes("x"), Precondition::Absent).await.unwrap();
    }
    assert_eq!(two.list("a").await.unwrap(), ["a/b", "a/c", "a/d/e"]);
    two.delete("a/b").await.unwrap();
    two.delete("a/b").await.unwrap();
    assert_eq!(one.get("a/b").await.unwrap(), None);
    conflict(one.put("a/b", bytes("4"), Precondition::Unchanged(second)).await);
    one.put("a/b", bytes("5"), Precondition::Absent).await.unwrap();
    // Large enough for a graph.
    let large = Bytes::from(vec![7; 3 << 20]);
    let blobs = cluster.backend().blobs();
    blobs.put("blobs/large", large.clone(), Precondition::Absent).await.unwrap();
    assert_eq!(blobs.get("blobs/large").await.unwrap().unwrap().bytes, large);
}

async fn the_check_of_the_backend_passes_and_leaves_nothing(cluster: &Cluster) {
    for _ in 0..2 {
        soon("the check", cluster.process().check_backend()).await.unwrap();
    }
    let (records, blobs) = (cluster.backend().records(), cluster.backend().blobs());
    for store in [records, blobs] {
        assert_eq!(store.list("probes").await.unwrap(), Vec::<String>::new());
    }
}

async fn keys_that_are_no_plain_paths_are_refused(cluster: &Cluster) {
    let store = cluster.backend().records();
    for key in ["", "/", "a//b", "../a", "a/..", "a/b/", "/a", "a b", "a\0", "é"] {
        let refused = store.put(key, bytes("1"), Precondition::Absent).await;
        assert!(matches!(refused, Err(RecordStoreError::Refused { .. })), "{key:?}: {refused:?}");
    }
}

async fn no_change_of_racing_writers_is_lost(cluster: &Cluster) {
    const WRITERS: u32 = 5;
    const CHANGES: u32 = 12;
    let register = || {
        let store = cluster.backend().records();
        FencedRegister::<Vec<u32>>::new(store, "race", FencingToken(1), options().retry)
    };
    let writers = (0..WRITERS).map(|writer| {
        let register = register();
        tokio::spawn(async move {
            for change in 0..CHANGES {
                let number = writer * CHANGES + change;
                let add = |mut content: Vec<u32>| {
                    if content.contains(&number) {
                        return Ok(Change::None(()));
                    }
                    content.push(number);
                    Ok(Change::To(content, ()))
                };
                register.update(add).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        soon("writers", writer).await.unwrap();
    }
    let mut content = register().read().await.unwrap().content;
    content.sort_unstable();
    assert_eq!(content, (0..WRITERS * CHANGES).collect::<Vec<_>>());
}

async fn leaders_follow_one_another_with_growing_tokens(cluster: &Cluster) {
    let mut last = FencingToken(0);
    let processes = [cluster.process(), cluster.process(), cluster.process()];
    let mut first = Contender::enter(&processes[0], LeaderScope::Cluster).await;
    let token = first.granted().await;
    assert!(token > last);
    last = token;
    let mut second = Contender::enter(&processes[1], LeaderScope::Cluster).await;
    assert!(first.election.has_leadership(last));
    assert!(!second.election.has_leadership(last));
    // In order: at once.
    first.election.close().await;
    assert_eq!(first.next().await, Told::Revoked(last));
    let token = second.granted().await;
    assert!(token > last);
    last = token;
    // As in a crash: after the lease, or the end of the session.
    let mut third = Contender::enter(&processes[2], LeaderScope::Cluster).await;
    drop(second);
    let token = third.granted().await;
    assert!(token > last);
    assert!(third.election.has_leadership(token));
}

async fn followers_learn_of_the_leader_and_of_the_next(cluster: &Cluster) {
    let (one, two, other) = (cluster.process(), cluster.process(), cluster.process());
    let retrieval = other.leader_retrieval(LeaderScope::Cluster, "dispatcher");
    let mut watch = retrieval.watch();
    for process in [one, two] {
        let mut contender = Contender::enter(&process, LeaderScope::Cluster).await;
        let token = contender.granted().await;
        let address = format!("host-{}:6123", token.0);
        let confirmed = contender.election.confirm_leadership(token, "dispatcher", &address);
        assert!(soon("confirmation", confirmed).await.unwrap());
        let leader = LeaderInformation { token, address: address.as_str().into() };
        let found = watch.wait_for(|known| known.as_ref() == Some(&leader));
        soon("news of the leader", found).await.unwrap();
        contender.election.close().await;
        soon("its end", watch.wait_for(|known| known.is_none())).await.unwrap();
    }
    assert_eq!(retrieval.leader(), None);
}

async fn a_confirmation_after_a_loss_has_no_effect(cluster: &Cluster) {
    let process = cluster.process();
    let mut contender = Contender::enter(&process, LeaderScope::Cluster).await;
    let token = contender.granted().await;
    let early = FencingToken(token.0 + 1);
    let confirmed = contender.election.confirm_leadership(early, "dispatcher", "x").await;
    assert!(!confirmed.unwrap());
    contender.election.close().await;
    let late = contender.election.confirm_leadership(token, "dispatcher", "x").await;
    assert!(matches!(late, Err(HighAvailabilityError::Closed { .. })), "{late:?}");
}

async fn a_job_goes_from_submitted_to_clean_and_never_runs_again(cluster: &Cluster) {
    let (process, token) = (cluster.process(), FencingToken(3));
    let (graphs, results) = (process.job_graph_store(token), process.job_result_store(token));
    assert_eq!(soon("recovery", graphs.recover()).await.unwrap(), []);
    let submitted = SubmittedJob { job: job(1), graph: bytes("graph") };
    graphs.put(&submitted).await.unwrap();
    let again = graphs.put(&submitted).await;
    assert!(matches!(again, Err(HighAvailabilityError::JobExists { .. })), "{again:?}");
    let changed = SubmittedJob { job: job(1), graph: bytes("another graph") };
    graphs.replace(&changed).await.unwrap();
    assert_eq!(graphs.get(job(1)).await.unwrap(), Some(changed.clone()));
    let early = process.clean_up_job(job(1), token).await;
    assert!(matches!(early, Err(HighAvailabilityError::JobNotEnded { .. })), "{early:?}");

    // The next leader takes over a job that runs, ends it, and is lost.
    let (process, token) = (cluster.process(), FencingToken(4));
    let (graphs, results_4) = (process.job_graph_store(token), process.job_result_store(token));
    assert_eq!(graphs.recover().await.unwrap(), [StoredJob::Submitted(changed)]);
    assert!(!results_4.has_result(job(1)).await.unwrap());
    results_4.create_dirty(&result(job(1), JobStatus::Finished)).await.unwrap();
    let other = results_4.create_dirty(&result(job(1), JobStatus::Failed)).await;
    assert!(matches!(other, Err(HighAvailabilityError::JobEnded { .. })), "{other:?}");

    // The next only cleans up.
    let (process, token) = (cluster.process(), FencingToken(5));
    let (graphs, results_5) = (process.job_graph_store(token), process.job_result_store(token));
    assert_eq!(graphs.recover().await.unwrap(), [StoredJob::Dirty(job(1))]);
    assert_eq!(results_5.dirty().await.unwrap().len(), 1);
    for _ in 0..2 {
        process.clean_up_job(job(1), token).await.unwrap();
    }
    assert_eq!(graphs.job_ids().await.unwrap(), []);
    let again = graphs.put(&submitted).await;
    assert!(matches!(again, Err(HighAvailabilityError::JobEnded { .. })), "{again:?}");
    // A client of any process learns the outcome.
    for results in [results, results_5] {
        let found = results.get(job(1)).await.unwrap().unwrap();
        assert_eq!((found.status, found.run_time_ms), (JobStatus::Finished, 17));
    }
    assert_eq!(cluster.backend().records().list("jobs").await.unwrap(), Vec::<String>::new());
    assert_eq!(cluster.backend().blobs().list("job-blobs").await.unwrap(), Vec::<String>::new());
    let unknown = process.clean_up_job(job(2), token).await;
    assert!(matches!(unknown, Err(HighAvailabilityError::JobUnknown { .. })), "{unknown:?}");
    assert_eq!(results_4.clean(10).await.unwrap(), [job(1)]);
    assert_eq!(results_4.clean(0).await.unwrap(), []);
}

async fn a_cluster_that_ends_leaves_no_job_and_nobody_standing_by(cluster: &Cluster) {
    let (leader, standby, token) = (cluster.process(), cluster.process(), FencingToken(3));
    let graphs = leader.job_graph_store(token);
    soon("recovery", graphs.recover()).await.unwrap();
    for number in [1, 2] {
        graphs.put(&SubmittedJob { job: job(number), graph: bytes("graph") }).await.unwrap();
    }
    let results = leader.job_result_store(token);
    results.create_dirty(&result(job(1), JobStatus::Finished)).await.unwrap();
    leader.clean_up_job(job(1), token).await.unwrap();
    let standing_by = soon("a look", standby.watch_cluster_end()).await;
    leader.end_cluster(token).await.unwrap();
    assert_eq!(soon("the end", standing_by.wait()).await, token);
    assert_eq!(graphs.job_ids().await.unwrap(), []);
    assert!(results.get(job(1)).await.unwrap().is_none());
    // One that comes later begins anew, and ends with the next one.
    let (later, next) = (cluster.process(), FencingToken(4));
    let lives = soon("a look", later.watch_cluster_end()).await;
    assert_eq!(later.job_graph_store(next).recover().await.unwrap(), []);
    leader.end_cluster(token).await.unwrap();
    later.end_cluster(next).await.unwrap();
    assert_eq!(soon("the next end", lives.wait()).await, next);
}

async fn an_earlier_leader_changes_nothing(cluster: &Cluster) {
    let (old, new) = (cluster.process(), cluster.process());
    let (early, late) = (FencingToken(1), FencingToken(2));
    let graphs = old.job_graph_store(early);
    soon("recovery", graphs.recover()).await.unwrap();
    let submitted = |number| SubmittedJob { job: job(number), graph: bytes("graph") };
    graphs.put(&submitted(1)).await.unwrap();
    new.job_graph_store(late).recover().await.unwrap();

    let fenced = |error: HighAvailabilityError| assert!(error.is_fenced(), "{error:?}");
    fenced(graphs.put(&submitted(2)).await.unwrap_err());
    fenced(graphs.replace(&submitted(1)).await.unwrap_err());
    fenced(graphs.recover().await.unwrap_err());
    let results = old.job_result_store(early);
    fenced(results.create_dirty(&result(job(1), JobStatus::Failed)).await.unwrap_err());
    fenced(old.clean_up_job(job(1), early).await.unwrap_err());

    let jobs = new.job_graph_store(late).recover().await.unwrap();
    assert_eq!(jobs, [StoredJob::Submitted(submitted(1))]);
    assert_eq!(cluster.backend().blobs().list("job-blobs").await.unwrap().len(), 1);
}

async fn a_damaged_graph_fails_one_job_alone(cluster: &Cluster) {
    let (process, token) = (cluster.process(), FencingToken(1));
    let graphs = process.job_graph_store(token);
    soon("recovery", graphs.recover()).await.unwrap();
    let submitted = |number| SubmittedJob { job: job(number), graph: bytes("graph") };
    for number in 1..4 {
        graphs.put(&submitted(number)).await.unwrap();
    }
    let blobs = cluster.backend().blobs();
    let keys = blobs.list("job-blobs").await.unwrap();
    blobs.delete(&keys[0]).await.unwrap();
    let second = blobs.get(&keys[1]).await.unwrap().unwrap();
    let cut = second.bytes.slice(..second.bytes.len() - 1);
    blobs.put(&keys[1], cut, Precondition::Unchanged(second.version)).await.unwrap();

    let next = cluster.process();
    let token = FencingToken(2);
    let found = next.job_graph_store(token).recover().await.unwrap();
    let [StoredJob::Damaged { job: first, .. }, StoredJob::Damaged { job: other, .. }, third] =
        found.as_slice()
    else {
        panic!("{found:?}")
    };
    assert_eq!((*first, *other), (job(1), job(2)));
    assert_eq!(*third, StoredJob::Submitted(submitted(3)));
    let results = next.job_result_store(token);
    results.create_dirty(&result(job(1), JobStatus::Failed)).await.unwrap();
    next.clean_up_job(job(1), token).await.unwrap();
}

async fn checkpoints_are_completed_by_the_latest_leader_alone(cluster: &Cluster) {
    let process = cluster.process();
    let cluster_token = FencingToken(9);
    let graphs = process.job_graph_store(cluster_token);
    soon("recovery", graphs.recover()).await.unwrap();
    let unborn = process.completed_checkpoints(job(7), FencingToken(1)).recover().await;
    assert!(matches!(unborn, Err(HighAvailabilityError::JobUnknown { .. })), "{unborn:?}");
    graphs.put(&SubmittedJob { job: job(7), graph: bytes("graph") }).await.unwrap();

    // Leadership of the job has tokens of its own.
    let mut contender = Contender::enter(&process, LeaderScope::Job(job(7))).await;
    let token = contender.granted().await;
    let first = process.completed_checkpoints(job(7), token);
    let entered =
        JobCheckpoints { job_masters: 1, last_token: token.0, ..JobCheckpoints::default() };
    // Entering again changes nothing.
    assert_eq!(first.recover().await.unwrap(), entered);
    assert_eq!(first.recover().await.unwrap(), entered);
    let ids =
        [first.next_checkpoint_id().await.unwrap(), first.next_checkpoint_id().await.unwrap()];
    assert_eq!(ids, [CheckpointId(1), CheckpointId(2)]);
    let pointer = |id: u64| CheckpointPointer {
        id: CheckpointId(id),
        external_pointer: format!("s3://bucket/checkpoints/7/chk-{id}"),
        owned: true,
    };
    first.add(&pointer(1), &[], CheckpointId(2)).await.unwrap();
    first.add(&pointer(2), &[CheckpointId(1)], CheckpointId(6)).await.unwrap();
    first.add(&pointer(2), &[CheckpointId(1)], CheckpointId(6)).await.unwrap();
    contender.election.close().await;

    let mut next = Contender::enter(&cluster.process(), LeaderScope::Job(job(7))).await;
    let next_token = next.granted().await;
    let second = process.completed_checkpoints(job(7), next_token);
    let left = second.recover().await.unwrap();
    let expected = JobCheckpoints {
        next: CheckpointId(6),
        completed: vec![pointer(2)],
        job_masters: 2,
        last_token: next_token.0,
    };
    assert_eq!(left, expected);
    let fenced = |error: HighAvailabilityError| assert!(error.is_fenced(), "{error:?}");
    fenced(first.add(&pointer(3), &[CheckpointId(2)], CheckpointId(9)).await.unwrap_err());
    fenced(first.next_checkpoint_id().await.unwrap_err());
    fenced(first.recover().await.unwrap_err());
    second.set_next_checkpoint_id(CheckpointId(10)).await.unwrap();
    second.set_next_checkpoint_id(CheckpointId(4)).await.unwrap();
    assert_eq!(second.next_checkpoint_id().await.unwrap(), CheckpointId(10));
    second.remove(&[CheckpointId(2)]).await.unwrap();
    next.election.close().await;

    // Nothing of a job comes back after it was cleaned up.
    let results = process.job_result_store(cluster_token);
    results.create_dirty(&result(job(7), JobStatus::Canceled)).await.unwrap();
    process.clean_up_job(job(7), cluster_token).await.unwrap();
    let late = second.add(&pointer(10), &[], CheckpointId(11)).await;
    assert!(matches!(late, Err(HighAvailabilityError::JobUnknown { .. })), "{late:?}");
    assert_eq!(cluster.backend().records().list("jobs").await.unwrap(), Vec::<String>::new());
}
