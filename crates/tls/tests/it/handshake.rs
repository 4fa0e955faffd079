//! Handshakes, and files that cannot be used.

use std::{error::Error, io};

use hurtig_config::Configuration;
use hurtig_tls::{InternalTls, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::authority::{Authority, configured};

fn tls(config: &Configuration) -> InternalTls {
    InternalTls::from_configuration(config, Protocol::Rpc).unwrap().unwrap()
}

/// What each side has read of what the other one said.
async fn talk(dialler: &InternalTls, dialled: &InternalTls) -> (io::Result<u8>, io::Result<u8>) {
    let (near, far) = duplex(64 << 10);
    let (mut near, mut far) = (dialler.connect(near), dialled.accept(far));
    let near = async {
        near.write_u8(1).await?;
        near.flush().await?;
        near.read_u8().await
    };
    let far = async {
        far.write_u8(2).await?;
        far.flush().await?;
        far.read_u8().await
    };
    tokio::join!(near, far)
}

#[tokio::test]
async fn processes_of_one_authority_talk_whatever_their_hosts_are_called() {
    let authority = Authority::new();
    let near = tls(&authority.configured("near.example"));
    let far = tls(&authority.configured("far.example"));
    for (dialler, dialled) in [(&near, &far), (&far, &near), (&near, &near)] {
        let (heard, overheard) = talk(dialler, dialled).await;
        assert_eq!((heard.unwrap(), overheard.unwrap()), (2, 1));
    }
}

#[tokio::test]
async fn strangers_are_refused_on_both_sides() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (us, them) = (tls(&ours.configured("a")), tls(&theirs.configured("a")));
    // One that trusts us, and whom we do not trust.
    let keystore = theirs.file("spy.pem", theirs.process("a"));
    let spy = tls(&configured(&keystore, &theirs.file("ours.pem", ours.certificate())));
    for (dialler, dialled) in [(&us, &them), (&them, &us), (&spy, &us), (&us, &spy)] {
        let (heard, overheard) = talk(dialler, dialled).await;
        assert!(heard.is_err() && overheard.is_err(), "{heard:?} {overheard:?}");
    }
}

#[tokio::test]
async fn plain_bytes_are_no_handshake() {
    let authority = Authority::new();
    let tls = tls(&authority.configured("a"));
    let (mut near, far) = duplex(1024);
    near.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut far = tls.accept(far);
    let refused = far.handshake().await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidData, "{refused}");
    // From then on it is an error, and no panic.
    assert_eq!(far.read_u8().await.unwrap_err().kind(), io::ErrorKind::NotConnected);
}

#[tokio::test]
async fn a_call_at_a_port_for_records_is_refused() {
    let authority = Authority::new();
    let config = authority.configured("a");
    let calls = tls(&config);
    let records = InternalTls::from_configuration(&config, Protocol::Data).unwrap().unwrap();
    let (heard, overheard) = talk(&calls, &records).await;
    assert!(heard.is_err() && overheard.is_err());
}

#[tokio::test]
async fn only_the_newest_version_if_it_is_asked_for() {
    let authority = Authority::new();
    let mut config = authority.configured("a");
    config.set_text("security.ssl.protocol", "TLSv1.3").unwrap();
    let (heard, overheard) = talk(&tls(&config), &tls(&authority.configured("b"))).await;
    assert_eq!((heard.unwrap(), overheard.unwrap()), (2, 1));
    config.set_text("security.ssl.protocol", "SSLv3").unwrap();
    let refused = InternalTls::from_configuration(&config, Protocol::Rpc).unwrap_err();
    assert!(refused.to_string().starts_with("security.ssl.protocol is \"SSLv3\""), "{refused}");
}

#[test]
fn nothing_is_encrypted_unless_it_is_asked_for() {
    let off = InternalTls::from_configuration(&Configuration::new(), Protocol::Rpc).unwrap();
    assert!(off.is_none());
    let authority = Authority::new();
    let mut config = authority.configured("a");
    config.set_text("taskmanager.data.ssl.enabled", "false").unwrap();
    assert!(InternalTls::from_configuration(&config, Protocol::Data).unwrap().is_none());
    assert!(InternalTls::from_configuration(&config, Protocol::Rpc).unwrap().is_some());
}

#[test]
fn files_that_cannot_be_used_are_named_with_the_reason() {
    let authority = Authority::new();
    let good = authority.file("good.pem", authority.process("a"));
    let trusted = authority.file("trusted.pem", authority.certificate());
    let key_of_another = {
        let (one, other) = (authority.process("a"), authority.process("b"));
        let at = one.find("-----BEGIN CERTIFICATE").unwrap();
        let from = other.find("-----BEGIN CERTIFICATE").unwrap();
        authority.file("mixed.pem", format!("{}{}", &one[..at], &other[from..]))
    };
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let encrypted = format!("{encrypted}{}", authority.certificate());
    let cases = [
        (authority.directory.path().join("none.pem"), trusted.clone(), "cannot read"),
        (authority.file("empty", ""), trusted.clone(), "holds no certificate in PEM"),
        (authority.file("java", [0xfe, 0xed, 0xfe, 0xed]), trusted.clone(), "for Java"),
        (authority.file("p12", [0x30, 0x82, 1, 2]), trusted.clone(), "for Java"),
        (trusted.clone(), trusted.clone(), "holds no private key in PEM"),
        (authority.file("encrypted", encrypted), trusted.clone(), "encrypted private key"),
        (key_of_another, trusted, "the certificate cannot be used"),
        (good.clone(), authority.file("large", vec![b'a'; 5 << 20]), "more than"),
        (good, authority.file("text", "hello"), "holds no certificate in PEM"),
    ];
    for (keystore, truststore, expected) in cases {
        let config = configured(&keystore, &truststore);
        let error = InternalTls::from_configuration(&config, Protocol::Rpc).unwrap_err();
        let text = format!("{error}: {:?}", error.source());
        assert!(text.contains(expected), "{expected:?} expected, got {text}");
    }
    let mut config = Configuration::new();
    config.set_text("security.ssl.internal.enabled", "true").unwrap();
    let error = InternalTls::from_configuration(&config, Protocol::Rpc).unwrap_err();
    assert_eq!(
        error.to_string(),
        "security.ssl.internal.enabled needs security.ssl.internal.keystore to be set"
    );
}
