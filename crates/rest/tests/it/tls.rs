//! REST over TLS.

use std::{fs, path::Path};

use hurtig_config::Configuration;
use hurtig_rest::{ClientError, RestClient, RestServerConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use serde_json::Value;

use super::support::{Cluster, start_with};

/// Settings of a server or client of one authority, with files in a directory.
fn configured(directory: &Path, mutual: bool) -> Configuration {
    let (keystore, truststore) = (directory.join("key.pem"), directory.join("trusted.pem"));
    if !keystore.exists() {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        fs::write(&keystore, format!("{}{}", key.serialize_pem(), certificate.pem())).unwrap();
        fs::write(&truststore, issuer.as_ref().pem()).unwrap();
    }
    let mut config = Configuration::new();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    for (key, value) in [
        ("security.ssl.rest.enabled", "true".to_owned()),
        ("security.ssl.rest.authentication-enabled", mutual.to_string()),
        ("security.ssl.rest.keystore", text(&keystore)),
        ("security.ssl.rest.truststore", text(&truststore)),
        ("rest.bind-address", "127.0.0.1".to_owned()),
    ] {
        config.set_text(key, &value).unwrap();
    }
    config
}

fn client(cluster: &Cluster, config: &Configuration) -> RestClient {
    RestClient::new(&format!("https://{}", cluster.address()), config).unwrap()
}

#[test]
fn who_trusts_the_server_is_answered() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = configured(ours.path(), false);
    let cluster = start_with(RestServerConfig::of(&config).unwrap(), |_| {});
    let overview: Value = cluster.wait(client(&cluster, &config).get("/overview")).unwrap();
    assert_eq!(overview["taskmanagers"], 1, "{overview}");
    let stranger = client(&cluster, &configured(theirs.path(), false));
    let refused = cluster.wait(stranger.get::<Value>("/overview")).unwrap_err();
    assert!(matches!(refused, ClientError::Handshake { .. }), "{refused:?}");
    // Who does not talk TLS gets no answer in plain text.
    let answer = cluster.raw(b"GET /v1/overview HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(!answer.contains("HTTP/1.1"), "{answer:?}");
}

#[test]
fn clients_prove_who_they_are_if_they_must() {
    let ours = tempfile::tempdir().unwrap();
    let config = configured(ours.path(), true);
    let cluster = start_with(RestServerConfig::of(&config).unwrap(), |_| {});
    cluster.wait(client(&cluster, &config).get::<Value>("/overview")).unwrap();
    let silent = client(&cluster, &configured(ours.path(), false));
    assert!(cluster.wait(silent.get::<Value>("/overview")).is_err());
}
