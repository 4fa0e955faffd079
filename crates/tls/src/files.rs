//! Keys and certificates from PEM files.

use std::{fs, io::Read, path::PathBuf, sync::Arc};

use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// Largest file of keys or certificates that is read.
const MOST_FILE_BYTES: u64 = 4 << 20;

/// Why TLS cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// TLS is on, and an option that it needs is not set.
    #[error("security.ssl.internal.enabled needs {0} to be set")]
    Missing(&'static str),
    /// TLS is on for REST, and an option that it needs is not set.
    #[error("security.ssl.rest.enabled needs {0} to be set")]
    MissingForRest(&'static str),
    /// An option has a value that is not supported.
    #[error("{key} is {value:?}: {expected}")]
    Unsupported {
        /// The option.
        key: &'static str,
        /// Its value.
        value: String,
        /// What would do.
        expected: &'static str,
    },
    /// An option cannot be read.
    #[error(transparent)]
    Configuration(#[from] hurtig_config::ConfigError),
    /// A file cannot be read.
    #[error("cannot read {path}, which {key} names")]
    Read {
        /// The option.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{path}, which {key} names, {problem}")]
    Content {
        /// The option.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Key and certificate do not belong together, or are of a kind that is not supported.
    #[error("the certificate cannot be used")]
    Certificate(#[source] rustls::Error),
}

/// A file that an option names.
pub(crate) struct PemFile {
    key: &'static str,
    path: PathBuf,
    bytes: Vec<u8>,
}

impl PemFile {
    pub(crate) fn read(key: &'static str, path: PathBuf) -> Result<Self, TlsError> {
        let mut bytes = Vec::new();
        let read = fs::File::open(&path)
            .and_then(|file| file.take(MOST_FILE_BYTES + 1).read_to_end(&mut bytes));
        if let Err(source) = read {
            return Err(TlsError::Read { key, path, source });
        }
        let file = Self { key, path, bytes };
        if file.bytes.len() as u64 > MOST_FILE_BYTES {
            return Err(file.wrong(format!("has more than {MOST_FILE_BYTES} bytes")));
        }
        Ok(file)
    }

    fn wrong(&self, problem: String) -> TlsError {
        TlsError::Content { key: self.key, path: self.path.clone(), problem }
    }

    pub(crate) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.bytes).collect();
        let certificates =
            certificates.map_err(|error| self.wrong(format!("is malformed: {error}")))?;
        if certificates.is_empty() {
            // The beginnings of a Java key store, and of PKCS#12.
            let java = [&[0xfe, 0xed, 0xfe, 0xed][..], &[0x30, 0x82]];
            let problem = if java.iter().any(|magic| self.bytes.starts_with(magic)) {
                "is a key store for Java: turn it into PEM with `openssl pkcs12 -nodes`"
            } else {
                "holds no certificate in PEM"
            };
            return Err(self.wrong(problem.to_owned()));
        }
        Ok(certificates)
    }

    pub(crate) fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(&self.bytes).map_err(|_| {
            let encrypted = self.bytes.windows(11).any(|window| window == b"ENCRYPTED P");
            let problem = if encrypted {
                "holds an encrypted private key: decrypt it with `openssl pkey`"
            } else {
                "holds no private key in PEM"
            };
            self.wrong(problem.to_owned())
        })
    }

    pub(crate) fn trusted(&self) -> Result<Arc<RootCertStore>, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            roots
                .add(certificate)
                .map_err(|error| self.wrong(format!("holds a certificate that is bad: {error}")))?;
        }
        Ok(Arc::new(roots))
    }
}
