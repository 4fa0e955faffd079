//! Certificates for tests, as files.

use std::{fs, path::PathBuf};

use hurtig_config::Configuration;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

/// An authority, and a directory for what it signs.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub directory: TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer, directory: tempfile::tempdir().unwrap() }
    }

    /// A file of that content.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Key and certificate of a process with that host name.
    pub fn process(&self, host: &str) -> String {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        format!("{}{}", key.serialize_pem(), certificate.pem())
    }

    /// The authority's own certificate.
    pub fn certificate(&self) -> String {
        self.issuer.as_ref().pem()
    }

    /// The settings of a process of this authority.
    pub fn configured(&self, host: &str) -> Configuration {
        let keystore = self.file(&format!("{host}.pem"), self.process(host));
        let truststore = self.file("trusted.pem", self.certificate());
        configured(&keystore, &truststore)
    }
}

/// Settings with those files.
pub fn configured(keystore: &std::path::Path, truststore: &std::path::Path) -> Configuration {
    let mut config = Configuration::new();
    config.set_text("security.ssl.internal.enabled", "true").unwrap();
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    config.set_text("security.ssl.internal.keystore", &text(keystore)).unwrap();
    config.set_text("security.ssl.internal.truststore", &text(truststore)).unwrap();
    config
}
