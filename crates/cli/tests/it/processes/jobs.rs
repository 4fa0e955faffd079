//! Jobs that nothing happens to.

use std::fs;

use hurtig_cluster_api::JobStatus;

use super::cluster::{Cluster, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_runs_in_hosts_of_its_own_and_leaves_none() {
    let cluster = Cluster::with_task_managers(2, 1).await;
    let job = cluster.run(&["--records", "20000"]).await.unwrap();
    let result = cluster.result(job).await;
    assert_eq!(result.status, JobStatus::Finished, "{result:?}");
    assert_eq!(cluster.output(), (0..20_000).collect::<Vec<_>>());
    let details = cluster.details(job).await;
    let executors = details.vertices.iter().flat_map(|vertex| &vertex.subtasks);
    let mut executors: Vec<_> = executors.map(|subtask| subtask.task_executor).collect();
    executors.sort();
    executors.dedup();
    assert_eq!(executors.len(), 2, "both TaskManagers have worked");
    until("hosts end with their job", async || cluster.hosts().is_empty().then_some(())).await;
    until("slots are free again", async || {
        let free = cluster.task_executors().await.iter().map(|e| e.free_slots).sum::<u32>();
        (free == 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_jobs_have_hosts_of_their_own_on_one_task_manager() {
    let cluster = Cluster::with_task_managers(1, 2).await;
    let endless = ["--records", "100000000", "--rate", "100"];
    let one = cluster.run_wide(&endless, 1).await.unwrap();
    let two = cluster.run_wide(&endless, 1).await.unwrap();
    cluster.until_running(one).await;
    cluster.until_running(two).await;
    let hosts = cluster.hosts();
    let of = |name: &str| hosts.iter().filter(|(host, _)| host.starts_with(name)).count();
    assert_eq!((of("task-"), of("jobmaster-"), of("plan-")), (2, 2, 0), "{hosts:?}");
    for job in [one, two] {
        cluster.manager.dispatcher().unwrap().cancel_job(job).await.unwrap();
        assert_eq!(cluster.result(job).await.status, JobStatus::Canceled);
    }
    until("hosts end with their job", async || cluster.hosts().is_empty().then_some(())).await;
    let jobs = cluster.manager.dispatcher().unwrap().list_jobs().await.unwrap();
    assert_eq!(jobs.len(), 2, "what has ended is still known");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cached_files_reach_every_task_host() {
    let cluster = Cluster::with_task_managers(2, 1).await;
    let cached = cluster.path("cached");
    fs::write(&cached, "1000").unwrap();
    let cached = cached.display().to_string();
    let job = cluster.run(&["--records", "100", "--cached", &cached]).await.unwrap();
    assert_eq!(cluster.result(job).await.status, JobStatus::Finished);
    assert_eq!(cluster.output(), (1000..1100).collect::<Vec<_>>());
}
