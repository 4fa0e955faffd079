//! Calls over TLS.

use std::sync::Arc;

use hurtig_cluster_api::*;
use hurtig_config::Configuration;
use hurtig_env::{Clock, Runtimes};
use hurtig_rpc::{RpcConfig, RpcServer};
use hurtig_tls::{InternalTls, Protocol};

use crate::{
    authority::Authority,
    recorder::{Log, RecordingJobMaster, exercise_job_master},
    support::{one, server, soon},
};

type Master = Arc<dyn JobMasterGateway>;

async fn secured(instance: u128, config: &Configuration) -> RpcServer {
    let tls = InternalTls::from_configuration(config, Protocol::Rpc).unwrap();
    let config = RpcConfig { tls, ..RpcConfig::loopback(instance) };
    RpcServer::start(config, &Runtimes::current(), Clock::system()).await.unwrap()
}

#[tokio::test]
async fn every_call_and_every_loss_is_as_without_tls() {
    let authority = Authority::new();
    let callee = secured(1, &authority.configured("callee")).await;
    let caller = secured(2, &authority.configured("caller")).await;
    let master = RecordingJobMaster::new(Log::default());
    let expected = exercise_job_master(&master).await;
    let export = callee.service().export::<dyn JobMasterGateway>(Arc::new(master), NOT_FENCED);
    let export = export.unwrap();
    let client: Master = caller.service().connect(export.address()).unwrap();
    assert_eq!(exercise_job_master(&*client).await, expected);

    let (hold, master) = RecordingJobMaster::held();
    let held = callee.service().export(master, NOT_FENCED).unwrap();
    let client: Master = caller.service().connect(held.address()).unwrap();
    let gone = tokio::spawn(client.peer().gone());
    let waiting = tokio::spawn(async move { client.result().await });
    one(&hold.entered).await;
    drop(callee);
    soon(gone).await.unwrap();
    assert!(matches!(soon(waiting).await.unwrap(), Err(RpcError::Unreachable { .. })));
}

#[tokio::test]
async fn strangers_reach_nothing_whether_they_have_a_certificate_or_not() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let callee = secured(1, &ours.configured("callee")).await;
    let export = callee.service().export(RecordingJobMaster::plain(), NOT_FENCED).unwrap();
    let (stranger, plain) = (secured(2, &theirs.configured("stranger")).await, server(3).await);
    for caller in [&stranger, &plain] {
        let client: Master = caller.service().connect(export.address()).unwrap();
        let refused = soon(client.status()).await.unwrap_err();
        assert!(matches!(refused, RpcError::Unreachable { .. }), "{refused:?}");
    }
    // And a process without TLS is none of ours.
    let open = plain.service().export(RecordingJobMaster::plain(), NOT_FENCED).unwrap();
    let client: Master = callee.service().connect(open.address()).unwrap();
    let refused = soon(client.status()).await.unwrap_err();
    assert!(refused.to_string().contains("TLS"), "{refused}");
}
