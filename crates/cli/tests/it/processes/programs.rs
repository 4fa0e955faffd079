//! Programs that do not do what they should.

use std::fs;

use hurtig_cluster_api::{JobStatus, ProgramError};

use super::cluster::{Cluster, until};

async fn refused(cluster: &Cluster, arguments: &[&str]) -> String {
    match cluster.run(arguments).await {
        Err(ProgramError::Program { message }) => message,
        Err(other) => panic!("{other:?}"),
        Ok(job) => panic!("job {job} runs"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_build_no_graph_are_refused_with_the_reason() {
    let cluster = Cluster::start().await;
    let text = refused(&cluster, &["--mode", "panics"]).await;
    assert!(text.contains("exit code 101"), "{text}");
    assert!(text.contains("this program does not like its arguments"), "{text}");
    let text = refused(&cluster, &["--mode", "ends"]).await;
    assert!(text.contains("did not call execute()"), "{text}");
    let text = refused(&cluster, &["--mode", "exits"]).await;
    assert!(text.contains("exit code 7"), "{text}");
    let text = refused(&cluster, &["--mode", "unknown"]).await;
    assert!(text.contains("there is no mode"), "{text}");
    let text = cluster.path("text");
    fs::write(&text, "no program").unwrap();
    let mut request = cluster.request(&[]).await;
    request.binary = cluster.upload(&text).await;
    let error = cluster.manager.programs().unwrap().run(request).await.unwrap_err();
    assert!(matches!(error, ProgramError::Program { .. }), "{error}");
    assert_eq!(cluster.hosts(), []);
    assert!(cluster.manager.dispatcher().unwrap().list_jobs().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_program_prints_is_kept_within_bounds() {
    let cluster = Cluster::with_task_managers(1, 1).await;
    let job = cluster.run_wide(&["--mode", "talks", "--records", "10"], 1).await.unwrap();
    assert_eq!(cluster.result(job).await.status, JobStatus::Finished);
    assert_eq!(cluster.output(), (0..10).collect::<Vec<_>>());
    let logs = cluster.manager.logs();
    let files = logs.list_logs().await.unwrap();
    let plan = files.iter().find(|file| file.name == "plan-0.out").unwrap();
    assert_eq!(plan.size_bytes, 500 * 100 * 65 - 500 * 100 * 4, "{files:?}");
    let text = logs.read_log("plan-0.out".to_owned(), 0, 16).await.unwrap();
    assert_eq!(text, b"a program that t");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_builds_another_graph_each_time_is_found_out() {
    let cluster = Cluster::with_task_managers(1, 2).await;
    let job = cluster.run(&["--mode", "changes"]).await.unwrap();
    let result = cluster.result(job).await;
    assert_eq!(result.status, JobStatus::Failed);
    let error = result.failure.unwrap().message;
    assert!(error.contains("the program has built another graph"), "{error}");
    until("no host is left", async || cluster.hosts().is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_cannot_be_are_refused() {
    let cluster = Cluster::start().await;
    let mut request = cluster.request(&[]).await;
    request.configuration.insert("paralelism.default".to_owned(), "1".to_owned());
    let error = cluster.manager.programs().unwrap().plan(request).await.unwrap_err();
    assert!(matches!(error, ProgramError::Invalid(_)), "{error}");
    let mut request = cluster.request(&[]).await;
    request.configuration.insert("execution.checkpointing.interval".to_owned(), "1 s".to_owned());
    let error = cluster.manager.programs().unwrap().plan(request).await.unwrap_err();
    assert!(error.to_string().contains("execution.checkpointing.dir is not set"), "{error}");
    let mut request = cluster.request(&[]).await;
    request.binary.0[0] ^= 1;
    let error = cluster.manager.programs().unwrap().plan(request).await.unwrap_err();
    assert!(matches!(error, ProgramError::Blob(_)), "{error}");
}
