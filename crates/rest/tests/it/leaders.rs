//! A server whose JobManager does not lead.

use hurtig_config::Configuration;
use hurtig_env::Clock;
use hurtig_rest::{ClientError, RestClient, RestServer, RestServerConfig};
use serde_json::Value;

use super::support::{Cluster, raw, start};

/// A server beside that of a cluster, which nobody leads.
fn standby(cluster: &Cluster, bearer_token: Option<&str>) -> RestServer {
    let config = RestServerConfig {
        ports: vec![0],
        bearer_token: bearer_token.map(str::to_owned),
        ..RestServerConfig::default()
    };
    let control = &cluster.cluster.runtimes().control;
    cluster.wait(RestServer::bind(config, Clock::system(), control)).unwrap()
}

fn ask(cluster: &Cluster, server: &RestServer, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    cluster.wait(raw(server.address(), request.as_bytes()))
}

#[test]
fn a_standby_sends_clients_to_the_leader_or_says_that_there_is_none() {
    let cluster = start();
    let standby = standby(&cluster, None);
    let answer = ask(&cluster, &standby, "/v1/jobs");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains(r#"{"errors":["no JobManager leads at present"]}"#), "{answer}");
    let leader = cluster.address().to_string();
    standby.follow(Some(leader.clone()));
    let answer = ask(&cluster, &standby, "/v1/jobs/overview?a=b%20c");
    assert!(answer.starts_with("HTTP/1.1 307"), "{answer}");
    let location = format!("location: http://{leader}/v1/jobs/overview?a=b%20c\r\n");
    assert!(answer.contains(&location), "{answer}");
    // The client goes there, and remembers it.
    let client = RestClient::new(&standby.address().to_string(), &Configuration::new()).unwrap();
    let overview: Value = cluster.wait(client.get("/overview")).unwrap();
    assert_eq!(overview["taskmanagers"], 1);
    assert_eq!(client.address(), leader);
    // A file is sent once: the standby refuses it, and the next try goes to the leader.
    let client = RestClient::new(&standby.address().to_string(), &Configuration::new()).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![7; 1 << 20]).unwrap();
    cluster.wait(client.upload(file.path())).unwrap_err();
    // What no server follows is an error, and not a circle.
    standby.follow(Some(standby.address().to_string()));
    let client = RestClient::new(&standby.address().to_string(), &Configuration::new()).unwrap();
    let error = cluster.wait(client.get::<Value>("/overview")).unwrap_err();
    assert!(matches!(&error, ClientError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("does not lead"), "{error}");
}

#[test]
fn a_standby_tells_nothing_without_the_token_and_leads_when_it_is_told() {
    let cluster = start();
    let standby = standby(&cluster, Some("open sesame"));
    standby.follow(Some(cluster.address().to_string()));
    let answer = ask(&cluster, &standby, "/jobs");
    assert!(answer.starts_with("HTTP/1.1 401") && !answer.contains("location"), "{answer}");
    let plain = self::standby(&cluster, None);
    plain.lead(super::support::services(&cluster.cluster));
    assert!(ask(&cluster, &plain, "/jobs").starts_with("HTTP/1.1 200"));
    plain.follow(None);
    assert!(ask(&cluster, &plain, "/jobs").starts_with("HTTP/1.1 503"));
}
