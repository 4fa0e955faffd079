//! Connections: time-outs, long waits, loss of the peer.

use std::{sync::Arc, time::Duration};

use hurtig_cluster_api::*;
use hurtig_rpc::RpcServer;
use tokio::net::TcpListener;

use crate::{
    recorder::RecordingJobMaster,
    support::{connected, one, server_with, soon},
};

type Master = Arc<dyn JobMasterGateway>;

const BRIEF: Duration = Duration::from_millis(40);

async fn impatient() -> RpcServer {
    server_with(2, |limits| {
        limits.ask_timeout = BRIEF;
        limits.connect_timeout = BRIEF;
        limits.keep_alive_interval = BRIEF;
        limits.keep_alive_timeout = BRIEF;
    })
    .await
}

#[tokio::test]
async fn a_call_without_answer_times_out_and_one_that_waits_by_nature_does_not() {
    let (hold, master) = RecordingJobMaster::held();
    let (_callee, _caller, export, _) = connected(master).await;
    let caller = impatient().await;
    let client: Master = caller.service().connect(export.address()).unwrap();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.result().await }
    });
    one(&hold.entered).await;
    for _ in 0..3 {
        assert_eq!(client.status().await.unwrap_err(), RpcError::Timeout(40));
        // The callee need not go on for nobody.
        one(&hold.entered).await;
        one(&hold.left).await;
    }
    assert!(!waiting.is_finished());
    hold.release.add_permits(1);
    soon(waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn many_calls_that_time_out_together_do_not_end_the_connection() {
    let (hold, master) = RecordingJobMaster::held();
    let (_callee, _caller, export, _) = connected(master).await;
    let caller = impatient().await;
    let client: Master = caller.service().connect(export.address()).unwrap();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.result().await }
    });
    one(&hold.entered).await;
    for _ in 0..3 {
        let calls = (0..500).map(|_| client.status());
        for answer in futures::future::join_all(calls).await {
            assert_eq!(answer.unwrap_err(), RpcError::Timeout(40));
        }
    }
    hold.release.add_permits(2000);
    soon(waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_death_of_a_peer_is_known_at_once() {
    let (hold, master) = RecordingJobMaster::held();
    let (callee, caller, export, client) = connected(master).await;
    let endpoint = callee.service().endpoint().to_owned();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.result().await }
    });
    one(&hold.entered).await;
    let gone = tokio::spawn(client.peer().gone());
    let closed = tokio::spawn({
        let (service, endpoint) = (caller.service().clone(), endpoint.clone());
        async move { service.closed(&endpoint).await }
    });
    assert!(!gone.is_finished());
    drop(callee);
    soon(gone).await.unwrap();
    soon(closed).await.unwrap().unwrap();
    let lost = soon(waiting).await.unwrap().unwrap_err();
    assert!(matches!(lost, RpcError::Unreachable { role: "JobMaster", .. }), "{lost:?}");
    one(&hold.left).await;
    // Nobody listens there any more, so whoever looks later learns it as well.
    soon(client.peer().gone()).await;
    let refused = client.status().await.unwrap_err().to_string();
    assert!(refused.contains(&endpoint), "{refused}");
    drop(export);
}

#[tokio::test]
async fn calls_end_with_the_caller() {
    let (hold, master) = RecordingJobMaster::held();
    let (_callee, caller, _export, client) = connected(master).await;
    let waiting = tokio::spawn(async move { client.result().await });
    one(&hold.entered).await;
    drop(caller);
    one(&hold.left).await;
    assert!(matches!(soon(waiting).await.unwrap(), Err(RpcError::Unreachable { .. })));
}

#[tokio::test]
async fn a_peer_that_hangs_does_not_answer_pings() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    let caller = impatient().await;
    let client: Master = caller.service().connect_to(&endpoint, "jm", NOT_FENCED).unwrap();
    let waiting = tokio::spawn(async move { client.result().await });
    let (_silent, _) = soon(listener.accept()).await.unwrap();
    let lost = soon(waiting).await.unwrap().unwrap_err();
    assert!(matches!(lost, RpcError::Unreachable { .. }), "{lost:?}");
}

#[tokio::test]
async fn nobody_there_is_an_error_at_once_also_while_the_gate_is_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    drop(listener);
    let caller = server_with(2, |limits| {
        limits.retry_pause = Duration::from_secs(3600);
        limits.longest_retry_pause = Duration::from_secs(3600);
    })
    .await;
    let client: Master = caller.service().connect_to(&endpoint, "jm", NOT_FENCED).unwrap();
    let first = client.status().await.unwrap_err();
    let _listener = TcpListener::bind(&endpoint).await.unwrap();
    // Not dialled again within the hour, though somebody would accept now.
    assert_eq!(client.status().await.unwrap_err(), first);
    soon(client.peer().gone()).await;
}

#[tokio::test]
async fn many_calls_share_a_connection() {
    let (hold, master) = RecordingJobMaster::held();
    let (_callee, _caller, _export, client) = connected(master).await;
    let calls: Vec<_> = (0..3000)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.result().await })
        })
        .collect();
    // No more than 1024 at a time reach the server; the others follow.
    for _ in 0..1024 {
        one(&hold.entered).await;
    }
    hold.release.add_permits(3000);
    for call in calls {
        soon(call).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_is_no_address_is_refused() {
    let caller = impatient().await;
    for endpoint in ["", "host", "host:", "host:99999", "a b:1", "u@h:1", "http://h:1", "h:1/x"] {
        let client =
            caller.service().connect_to::<dyn JobMasterGateway>(endpoint, "jm", NOT_FENCED);
        assert!(matches!(client, Err(RpcError::Rejected(_))), "{endpoint}");
    }
    let long = format!("{}:1", "h".repeat(300));
    let client = caller.service().connect_to::<dyn JobMasterGateway>(&long, "jm", NOT_FENCED);
    assert!(matches!(client, Err(RpcError::Rejected(_))));
    let client = caller.service().connect_to::<dyn JobMasterGateway>("h:1", "j\nm", NOT_FENCED);
    assert!(matches!(client, Err(RpcError::Rejected(_))));
}
