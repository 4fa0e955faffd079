//! REST's TLS: one side proves who it is, or both.

use std::io;

use hurtig_config::Configuration;
use hurtig_tls::{RestClientTls, RestServerTls};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::authority::Authority;

fn configured(authority: &Authority, host: &str, more: &[(&str, &str)]) -> Configuration {
    let keystore = authority.file(&format!("rest-{host}.pem"), authority.process(host));
    let truststore = authority.file("rest-trusted.pem", authority.certificate());
    let mut config = Configuration::new();
    config.set_text("security.ssl.rest.enabled", "true").unwrap();
    config.set_text("security.ssl.rest.keystore", keystore.to_str().unwrap()).unwrap();
    config.set_text("security.ssl.rest.truststore", truststore.to_str().unwrap()).unwrap();
    for (key, value) in more {
        config.set_text(key, value).unwrap();
    }
    config
}

async fn talk(client: &Configuration, server: &Configuration, host: &str) -> io::Result<u8> {
    let client = RestClientTls::from_configuration(client).unwrap().unwrap();
    let server = RestServerTls::from_configuration(server).unwrap().unwrap();
    let (near, far) = duplex(64 << 10);
    let (mut near, mut far) = (client.connect(host, near)?, server.accept(far));
    let near = async {
        near.write_u8(1).await?;
        near.flush().await?;
        near.read_u8().await
    };
    let far = async {
        let heard = far.read_u8().await?;
        far.write_u8(heard + 1).await?;
        far.flush().await
    };
    let (near, far) = tokio::join!(near, far);
    // Who refuses knows better why than who is refused.
    near.and_then(|heard| far.map(|()| heard))
}

const MUTUAL: (&str, &str) = ("security.ssl.rest.authentication-enabled", "true");

#[tokio::test]
async fn the_server_proves_its_name() {
    let authority = Authority::new();
    let server = configured(&authority, "cluster.example", &[]);
    let client = configured(&authority, "client", &[]);
    assert_eq!(talk(&client, &server, "cluster.example").await.unwrap(), 2);
    let refused = talk(&client, &server, "other.example").await.unwrap_err();
    assert!(refused.to_string().contains("certificate"), "{refused}");
    let lenient = configured(&authority, "client", &[("security.ssl.verify-hostname", "false")]);
    assert_eq!(talk(&lenient, &server, "other.example").await.unwrap(), 2);
    let stranger = configured(&Authority::new(), "cluster.example", &[]);
    assert!(talk(&lenient, &stranger, "cluster.example").await.is_err());
}

#[tokio::test]
async fn clients_prove_who_they_are_if_they_must() {
    let authority = Authority::new();
    let server = configured(&authority, "cluster.example", &[MUTUAL]);
    let known = configured(&authority, "client", &[MUTUAL]);
    assert_eq!(talk(&known, &server, "cluster.example").await.unwrap(), 2);
    let silent = configured(&authority, "client", &[]);
    assert!(talk(&silent, &server, "cluster.example").await.is_err());
}

#[test]
fn what_is_missing_is_named() {
    let mut config = Configuration::new();
    assert!(RestServerTls::from_configuration(&config).unwrap().is_none());
    config.set_text("security.ssl.rest.enabled", "true").unwrap();
    let server = RestServerTls::from_configuration(&config).unwrap_err().to_string();
    assert!(server.contains("security.ssl.rest.keystore"), "{server}");
    let client = RestClientTls::from_configuration(&config).unwrap_err().to_string();
    assert!(client.contains("security.ssl.rest.truststore"), "{client}");
}
