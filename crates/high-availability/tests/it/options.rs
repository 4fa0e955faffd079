//! From a configuration to services.

use hurtig_config::Configuration;
use hurtig_env::Clock;
use hurtig_filesystem::Stores;
use hurtig_high_availability::{
    ContenderId, HighAvailabilityError, HighAvailabilityOptions, HighAvailabilityServices,
    LeaderScope, options::BackendOptions,
};
use tokio::runtime::Handle;

use crate::harness::Contender;

fn configured(values: &[(&str, &str)]) -> Configuration {
    let mut configuration = Configuration::new();
    for (key, value) in values {
        configuration.set_text(key, value).unwrap();
    }
    configuration
}

fn parse(values: &[(&str, &str)]) -> Result<HighAvailabilityOptions, HighAvailabilityError> {
    HighAvailabilityOptions::from_configuration(&configured(values))
}

#[test]
fn keys_are_those_of_flink() {
    assert_eq!(parse(&[]).unwrap().backend, BackendOptions::Memory);
    let options = parse(&[
        ("high-availability.type", "zookeeper"),
        ("high-availability.zookeeper.quorum", "a:2181,b:2181"),
        ("high-availability.zookeeper.path.root", "/flink"),
        ("high-availability.cluster-id", "/my cluster/../one"),
        ("high-availability.zookeeper.client.session-timeout", "30 s"),
        ("high-availability.storageDir", "/var/ha"),
    ]);
    let options = options.unwrap();
    // No way out of the storage directory.
    assert_eq!(options.cluster_id, "my_cluster/__/one");
    let BackendOptions::ZooKeeper { quorum, root, session_timeout, storage, .. } = options.backend
    else {
        panic!("{:?}", options.backend)
    };
    assert_eq!((&*quorum, &*root, &*storage), ("a:2181,b:2181", "flink", "file:///var/ha"));
    assert_eq!(session_timeout.as_secs(), 30);
}

#[test]
fn what_does_not_fit_together_is_said_with_its_key() {
    let refused: [(&[(&str, &str)], &str); 5] = [
        (&[("high-availability.type", "DIRECTORY")], "high-availability.storageDir"),
        (
            &[("high-availability.type", "ZOOKEEPER"), ("high-availability.storageDir", "/ha")],
            "high-availability.zookeeper.quorum",
        ),
        (&[("high-availability.type", "KUBERNETES")], "high-availability.type"),
        (&[("high-availability.cluster-id", "//")], "high-availability.cluster-id"),
        (
            &[("high-availability.leader-election.lease-duration", "3 s")],
            "high-availability.leader-election.lease-duration",
        ),
    ];
    for (values, expected) in refused {
        match parse(values) {
            Err(HighAvailabilityError::Configuration { key, .. }) => assert_eq!(key, expected),
            other => panic!("{values:?}: {other:?}"),
        }
    }
}

fn open(
    values: &[(&str, &str)],
    me: u128,
) -> Result<HighAvailabilityServices, HighAvailabilityError> {
    let (options, stores) = (parse(values)?, Stores::default());
    let (clock, control) = (Clock::system(), Handle::current());
    HighAvailabilityServices::open(&options, ContenderId(me), &stores, clock, &control)
}

#[tokio::test]
async fn a_configuration_becomes_services() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let storage = ("high-availability.storageDir", path);
    let directory = [("high-availability.type", "DIRECTORY"), storage];
    let memory = [("high-availability.type", "OBJECT_STORE"), (storage.0, "memory:///clusters/ha")];
    for values in [&directory[..], &memory[..], &[][..]] {
        let services = open(values, 1).unwrap();
        let mut contender = Contender::enter(&services, LeaderScope::Cluster).await;
        contender.granted().await;
        contender.election.close().await;
        services.close().await;
    }
    for wrong in [
        [("high-availability.type", "OBJECT_STORE"), storage],
        [("high-availability.type", "DIRECTORY"), (storage.0, "memory:///ha")],
    ] {
        assert!(open(&wrong, 1).is_err(), "{wrong:?}");
    }
}
