//! A job, as REST tells of it: while it runs, after a failure, when it has ended. One line per
//! request.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use expect_test::{Expect, expect, expect_file};
use hurtig::{connectors::BlackHoleSink, graph::RestartStrategyConfig, prelude::*};
use serde_json::json;

use crate::support::{Gate, Mask, start};

/// Vertices of the job of `sums`, in topological order.
fn vertices(details: &serde_json::Value) -> [String; 2] {
    [0, 1].map(|index| details["vertices"][index]["id"].as_str().unwrap().to_owned())
}

#[test]
fn a_running_job() {
    let (cluster, gate) = (start(), Gate::default());
    let job = cluster.submit_sums(&gate);
    let path = |rest: &str| format!("/jobs/{job}{rest}");
    // Readings come with heartbeats.
    let details = cluster
        .eventually(&path(""), |answer| answer["vertices"][1]["metrics"]["read-records"] == 10);
    let [source, sink] = vertices(&details);
    let executor =
        cluster.get("/taskmanagers")["taskmanagers"][0]["id"].as_str().unwrap().to_owned();
    let mut mask = Mask::new(&[
        (job.to_string(), "<job>"),
        (source.clone(), "<source>"),
        (sink.clone(), "<sink>"),
        (executor.clone(), "<executor>"),
    ]);
    let mut all = String::new();
    for request in [
        "/overview".to_owned(),
        "/jobs".to_owned(),
        "/jobs/overview".to_owned(),
        path(""),
        path("/plan"),
        path("/config"),
        path("/status"),
        path("/exceptions"),
        path("/accumulators"),
        path("/execution-result"),
        path("/checkpoints"),
        path("/checkpoints/config"),
        path(&format!("/vertices/{sink}")),
        path(&format!("/vertices/{sink}/subtasktimes")),
        path(&format!("/vertices/{sink}/taskmanagers")),
        path(&format!("/vertices/{sink}/watermarks")),
        path(&format!("/vertices/{sink}/accumulators")),
        path(&format!("/vertices/{sink}/subtasks/accumulators")),
        path(&format!("/vertices/{sink}/subtasks/1")),
        path(&format!("/vertices/{sink}/subtasks/1/attempts/0")),
        path(&format!("/vertices/{sink}/subtasks/1/attempts/0/accumulators")),
        path(&format!("/vertices/{sink}/metrics?get=0.numRecordsIn,1.numRecordsIn,unknown")),
        path(&format!("/vertices/{sink}/subtasks/0/metrics?get=numRecordsIn")),
        path(&format!("/vertices/{sink}/subtasks/metrics?get=numRecordsIn")),
        path(&format!("/vertices/{sink}/subtasks/metrics?get=numRecordsIn&agg=sum&subtasks=0-1")),
        path(&format!("/vertices/{sink}/jm-operator-metrics")),
        path("/metrics?get=numRestarts"),
        "/jobs/metrics?get=numRestarts&agg=max".to_owned(),
        "/jobmanager/metrics?get=taskSlotsTotal,taskSlotsAvailable,numRunningJobs".to_owned(),
        "/taskmanagers/metrics?get=Status.Shuffle.Netty.TotalMemory&agg=min".to_owned(),
        "/taskmanagers".to_owned(),
        format!("/taskmanagers/{executor}/logs"),
        "/jobmanager/logs".to_owned(),
        "/jobmanager/config".to_owned(),
        "/config".to_owned(),
    ] {
        let masked: String = request
            .replace(&job.to_string(), "<job>")
            .replace(&sink, "<sink>")
            .replace(&executor, "<executor>");
        let answer = mask.apply(&cluster.get(&request));
        all.push_str(&format!("GET {masked}\n{answer}\n\n"));
    }
    expect_file!["running_job.txt"].assert_eq(&all);
    gate.open();
}

#[test]
fn a_finished_job_is_told_like_a_running_one_with_its_result() {
    let (cluster, gate) = (start(), Gate::default());
    let job = cluster.submit_sums(&gate);
    gate.open();
    let result = cluster.eventually(&format!("/jobs/{job}/execution-result"), |answer| {
        answer["status"]["id"] == "COMPLETED"
    });
    let mut mask = Mask::new(&[(job.to_string(), "<job>")]);
    expect![[r#"
        {
          "job-execution-result": {
            "accumulator-results": {},
            "application-status": "SUCCEEDED",
            "id": "<job>",
            "net-runtime": "<duration>"
          },
          "status": {
            "id": "COMPLETED"
          }
        }"#]]
    .assert_eq(&mask.apply(&result));
    let details = cluster.get(&format!("/jobs/{job}"));
    assert_eq!(details["state"], "FINISHED");
    assert_eq!(details["vertices"][0]["metrics"]["read-records-complete"], true);
    assert_eq!(details["vertices"][1]["metrics"]["read-records"], 10);
    let overview = cluster.get("/overview");
    assert_eq!((&overview["jobs-finished"], &overview["jobs-running"]), (&json!(1), &json!(0)));
}

#[test]
fn a_failure_is_told_with_task_and_task_manager_and_the_attempt_before_it_is_remembered() {
    let cluster = start();
    let failed = Arc::new(AtomicBool::new(false));
    let env = StreamExecutionEnvironment::new();
    env.set_restart_strategy(RestartStrategyConfig::FixedDelay { attempts: 3, delay_ms: 1 });
    let once = failed.clone();
    env.from_sequence(1, 10)
        .try_map(move |n: i64| {
            if n == 7 && !once.swap(true, SeqCst) { Err("seven is too much".into()) } else { Ok(n) }
        })
        .sink_to(BlackHoleSink::new());
    let job = cluster.submit(&env, "fails once");
    let details = cluster.eventually(&format!("/jobs/{job}"), |job| job["state"] == "FINISHED");
    let vertex = details["vertices"][0]["id"].as_str().unwrap().to_owned();
    let executor =
        cluster.get("/taskmanagers")["taskmanagers"][0]["id"].as_str().unwrap().to_owned();
    let names =
        [(job.to_string(), "<job>"), (executor, "<executor>"), (vertex.clone(), "<vertex>")];
    let check = |path: &str, expected: Expect| {
        let answer = cluster.get(&format!("/jobs/{job}{path}"));
        expected.assert_eq(&Mask::new(&names).apply(&answer));
    };
    check(
        "/exceptions",
        expect![[r#"
        {
          "exceptionHistory": {
            "entries": [
              {
                "concurrentExceptions": [],
                "endpoint": "memory:0",
                "exceptionName": "UserError",
                "failureLabels": {
                  "type": "USER"
                },
                "stacktrace": "operator \"Map\": seven is too much",
                "taskManagerId": "<executor>",
                "taskName": "Sequence Source -> Map -> Sink (1/1)#0",
                "timestamp": "<time>"
              }
            ],
            "truncated": false
          }
        }"#]],
    );
    check(
        "/exceptions?maxExceptions=0",
        expect![[r#"
        {
          "exceptionHistory": {
            "entries": [],
            "truncated": true
          }
        }"#]],
    );
    let attempt = cluster.get(&format!("/jobs/{job}/vertices/{vertex}/subtasks/0/attempts/0"));
    assert_eq!((&attempt["status"], &attempt["attempt"]), (&json!("FAILED"), &json!(0)));
    let attempt = cluster.get(&format!("/jobs/{job}/vertices/{vertex}/subtasks/0/attempts/1"));
    assert_eq!((&attempt["status"], &attempt["attempt"]), (&json!("FINISHED"), &json!(1)));
}

#[test]
fn what_is_not_there_is_told_so_in_flinks_form() {
    let (cluster, gate) = (start(), Gate::default());
    let job = cluster.submit_sums(&gate);
    let none = "0".repeat(32);
    let source = vertices(&cluster.get(&format!("/jobs/{job}")))[0].clone();
    let mut all = String::new();
    for (method, path, body) in [
        ("GET", "/nothing".to_owned(), ""),
        ("GET", format!("/jobs/{none}"), ""),
        ("GET", "/jobs/xyz".to_owned(), ""),
        ("GET", format!("/jobs/{none}/metrics"), ""),
        ("GET", format!("/jobs/{job}/vertices/{none}"), ""),
        ("GET", format!("/jobs/{job}/vertices/{source}/subtasks/9"), ""),
        ("GET", format!("/jobs/{job}/vertices/{source}/subtasks/-1"), ""),
        ("GET", format!("/jobs/{job}/vertices/{source}/subtasks/0/attempts/5"), ""),
        ("GET", format!("/jobs/{job}/vertices/{source}/subtasks/metrics?agg=median"), ""),
        ("GET", format!("/jobs/{job}/checkpoints/details/77"), ""),
        ("GET", format!("/jobs/{job}/savepoints/{none}"), ""),
        ("GET", format!("/jobs/{job}/exceptions?maxExceptions=-3"), ""),
        ("GET", format!("/jobs/{job}/resource-requirements"), ""),
        ("GET", format!("/taskmanagers/{none}"), ""),
        ("GET", "/jobmanager/log".to_owned(), ""),
        ("GET", "/jars".to_owned(), ""),
        ("POST", "/jars/x/run".to_owned(), ""),
        ("DELETE", "/cluster".to_owned(), ""),
        ("PATCH", format!("/jobs/{job}?mode=explode"), ""),
        ("PATCH", format!("/jobs/{none}"), ""),
        ("DELETE", format!("/jobs/{job}"), ""),
        ("POST", "/overview".to_owned(), ""),
        ("POST", format!("/jobs/{job}/savepoints"), ""),
        ("POST", format!("/jobs/{job}/savepoints"), "{\"target-directroy\":\"x\"}"),
        ("POST", format!("/jobs/{job}/savepoints"), "not json"),
        ("POST", format!("/jobs/{none}/savepoints"), "{\"target-directory\":\"x\"}"),
        ("POST", format!("/jobs/{job}/checkpoints"), "{\"checkpointType\":\"HALF\"}"),
        ("PATCH", format!("/jobs/{none}/clientHeartbeat"), "{\"expiredTimestamp\":1}"),
        ("PATCH", format!("/jobs/{job}/clientHeartbeat"), "{}"),
    ] {
        let (status, answer) = cluster.request(method, &path, body);
        let line = format!("{method} {path} {body}\n    {status} {answer}\n");
        all.push_str(&line.replace(&job.to_string(), "<job>").replace(&source, "<source>"));
    }
    expect_file!["not_there.txt"].assert_eq(&all);
    gate.open();
}

#[test]
fn a_job_is_cancelled_once() {
    let (cluster, gate) = (start(), Gate::default());
    let job = cluster.submit_sums(&gate);
    cluster.wait(cluster.client.cancel(job)).unwrap();
    let result = cluster.wait(cluster.client.result(job)).unwrap();
    assert_eq!(result.application_status, "CANCELED");
    let again = cluster.wait(cluster.client.cancel(job)).unwrap_err();
    assert_eq!(again.status(), Some(http::StatusCode::CONFLICT), "{again}");
}

#[test]
fn both_versions_of_a_path_are_the_same() {
    let cluster = start();
    assert_eq!(cluster.request("GET", "/v1/jobs", ""), cluster.request("GET", "/jobs", ""));
    assert_eq!(cluster.request("GET", "/jobs", ""), (200, "{\"jobs\":[]}".to_owned()));
}
