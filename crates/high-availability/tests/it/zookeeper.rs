//! A real ZooKeeper: the contract, and what happens when it is killed, stopped, restarted, or cut
//! off from one of its clients.
//!
//! Needs Debian's package `zookeeper` (`scripts/zookeeper install`). Where it is missing these
//! tests say so and do nothing.

use std::{sync::Arc, time::Duration};

use hurtig_cluster_api::FencingToken;
use hurtig_high_availability::{
    HighAvailabilityServices, LeaderScope, Leadership, SubmittedJob,
    store::{
        directory::DirectoryRecordStore,
        zookeeper::{ZooKeeperBackend, ZooKeeperOptions},
    },
};
use hurtig_test_util::ZooKeeper;
use tokio::runtime::Handle;

use crate::{
    contract,
    harness::{Cluster, Contender, Told, job, soon},
};

mod proxy;

use proxy::Proxy;

const SESSION: Duration = Duration::from_millis(1500);

fn cluster(server: &ZooKeeper, address: &str, name: &str) -> Cluster {
    let options = ZooKeeperOptions {
        quorum: address.to_owned(),
        root: "flink".to_owned(),
        session_timeout: SESSION,
        connection_timeout: Duration::from_millis(600),
        // A server that has just been started takes its time.
        request_timeout: Duration::from_secs(10),
    };
    let (folder, name) = (server.folder().join("storage"), name.to_owned());
    Cluster::new(move |owner| {
        let blobs = DirectoryRecordStore::new(folder.join(&name), owner, SESSION);
        let control = Handle::current();
        Arc::new(ZooKeeperBackend::new(&options, &name, Arc::new(blobs), &control))
    })
}

async fn becomes(contender: &Contender, wanted: Leadership) {
    let mut leadership = contender.election.leadership();
    soon("a change of leadership", leadership.wait_for(|now| *now == wanted)).await.unwrap();
}

fn a_job(number: u128) -> SubmittedJob {
    SubmittedJob { job: job(number), graph: b"graph".as_slice().into() }
}

async fn lead(process: &HighAvailabilityServices) -> (Contender, FencingToken) {
    let mut contender = Contender::enter(process, LeaderScope::Cluster).await;
    let token = contender.granted().await;
    process.job_graph_store(token).recover().await.unwrap();
    (contender, token)
}

#[tokio::test]
async fn zookeeper_keeps_the_contract() {
    let Some(server) = ZooKeeper::start() else { return };
    contract::run_all(|name| cluster(&server, server.address(), name)).await;
}

#[tokio::test]
async fn a_zookeeper_that_is_killed_and_restarted_costs_no_leadership() {
    let Some(mut server) = ZooKeeper::start() else { return };
    let cluster = cluster(&server, server.address(), "killed");
    let (leading, standing_by) = (cluster.process(), cluster.process());
    let (mut leader, token) = lead(&leading).await;
    let mut standby = Contender::enter(&standing_by, LeaderScope::Cluster).await;
    let retrieval = standing_by.leader_retrieval(LeaderScope::Cluster, "dispatcher");
    leader.election.confirm_leadership(token, "dispatcher", "here:1").await.unwrap();
    soon("the leader", retrieval.watch().wait_for(Option::is_some)).await.unwrap();

    server.kill();
    becomes(&leader, Leadership::Suspended(token)).await;
    // Longer than the session, and than the client's own idea of its end.
    leader.hears_nothing_for(SESSION * 3).await;
    assert!(leader.election.has_leadership(token));
    assert!(retrieval.leader().is_some(), "followers keep what they know");
    // A write waits for the server, and is done when it is back.
    let graphs = leading.job_graph_store(token);
    let write = tokio::spawn(async move { graphs.put(&a_job(1)).await });
    server.restart();
    becomes(&leader, Leadership::Leader(token)).await;
    soon("the write", write).await.unwrap().unwrap();
    leader.hears_nothing_for(SESSION).await;
    standby.hears_nothing_for(Duration::ZERO).await;
    leader.election.close().await;
    assert!(standby.granted().await > token);
}

#[tokio::test]
async fn a_zookeeper_that_stands_still_costs_no_leadership() {
    let Some(server) = ZooKeeper::start() else { return };
    let cluster = cluster(&server, server.address(), "stopped");
    let process = cluster.process();
    let (mut leader, token) = lead(&process).await;
    for pause in [Duration::ZERO, SESSION * 3] {
        server.signal("STOP");
        becomes(&leader, Leadership::Suspended(token)).await;
        // The second time the server ends the session as soon as it goes on; nobody else is there
        // to take over, so nothing is lost.
        leader.hears_nothing_for(pause).await;
        server.signal("CONT");
        becomes(&leader, Leadership::Leader(token)).await;
        process.job_graph_store(token).recover().await.unwrap();
    }
    leader.hears_nothing_for(Duration::ZERO).await;
}

#[tokio::test]
async fn a_leader_that_is_cut_off_is_replaced_and_learns_of_it_when_it_is_back() {
    let Some(server) = ZooKeeper::start() else { return };
    let proxy = Proxy::start(server.address().to_owned()).await;
    let cut_off = cluster(&server, proxy.address(), "cut-off").process();
    let (mut leader, token) = lead(&cut_off).await;
    let others = cluster(&server, server.address(), "cut-off");
    // The same ids in both would make one of them the other.
    let _ = others.backend();
    let other = others.process();
    let mut standby = Contender::enter(&other, LeaderScope::Cluster).await;

    // A short loss changes nothing.
    proxy.cut();
    becomes(&leader, Leadership::Suspended(token)).await;
    proxy.heal();
    becomes(&leader, Leadership::Leader(token)).await;

    proxy.cut();
    becomes(&leader, Leadership::Suspended(token)).await;
    let next = standby.granted().await;
    assert!(next > token);
    let jobs = other.job_graph_store(next).recover().await.unwrap();
    assert!(jobs.is_empty());
    assert!(leader.election.has_leadership(token), "it cannot know");
    proxy.heal();
    let stale = cut_off.job_graph_store(token).put(&a_job(2)).await.unwrap_err();
    assert!(stale.is_fenced(), "{stale:?}");
    assert_eq!(leader.next().await, Told::Revoked(token));
    assert!(other.job_graph_store(next).recover().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_closed_session_frees_its_place_at_once() {
    let Some(server) = ZooKeeper::start() else { return };
    let cluster = cluster(&server, server.address(), "closed");
    let (one, two) = (cluster.process(), cluster.process());
    let (_leader, token) = lead(&one).await;
    let mut standby = Contender::enter(&two, LeaderScope::Cluster).await;
    one.close().await;
    assert!(standby.granted().await > token);
}
