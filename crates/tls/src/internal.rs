//! The settings of a cluster's own connections, made from its configuration.

use std::{path::PathBuf, sync::Arc};

use hurtig_config::{Configuration, catalogue::security};
use rustls::{
    ClientConfig, ServerConfig, SupportedProtocolVersion,
    client::WebPkiServerVerifier,
    crypto::{CryptoProvider, ring},
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{
    TlsStream,
    files::{PemFile, TlsError},
    verify::AnyNameVerifier,
};

/// What is spoken over a connection: a call never ends up at a port for records, or the other way
/// round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Calls, over HTTP/2.
    Rpc,
    /// Records between tasks.
    Data,
}

impl Protocol {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Rpc => b"h2",
            Self::Data => b"hurtig-data",
        }
    }
}

/// TLS of a cluster's own connections, for one protocol. Cloning is cheap.
#[derive(Clone)]
pub struct InternalTls {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

impl std::fmt::Debug for InternalTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InternalTls")
    }
}

const KEYSTORE: &str = "security.ssl.internal.keystore";
const TRUSTSTORE: &str = "security.ssl.internal.truststore";

impl InternalTls {
    /// As configured; `None` if connections of the protocol are not encrypted
    /// (`security.ssl.internal.enabled`, for records also `taskmanager.data.ssl.enabled`).
    pub fn from_configuration(
        config: &Configuration,
        protocol: Protocol,
    ) -> Result<Option<Self>, TlsError> {
        let enabled = config.get(&security::SSL_INTERNAL_ENABLED)?
            && (protocol == Protocol::Rpc || config.get(&security::DATA_SSL_ENABLED)?);
        if !enabled {
            return Ok(None);
        }
        let keystore = config.get(&security::SSL_INTERNAL_KEYSTORE)?;
        let keystore = keystore.ok_or(TlsError::Missing(KEYSTORE))?;
        let truststore = config.get(&security::SSL_INTERNAL_TRUSTSTORE)?;
        let truststore = truststore.ok_or(TlsError::Missing(TRUSTSTORE))?;
        let versions = versions(&config.get(&security::SSL_PROTOCOL)?)?;
        Self::from_files(keystore.into(), truststore.into(), versions, protocol).map(Some)
    }

    fn from_files(
        keystore: PathBuf,
        truststore: PathBuf,
        versions: Vec<&'static SupportedProtocolVersion>,
        protocol: Protocol,
    ) -> Result<Self, TlsError> {
        let keystore = PemFile::read(KEYSTORE, keystore)?;
        let (chain, key) = (keystore.certificates()?, keystore.private_key()?);
        let roots = PemFile::read(TRUSTSTORE, truststore)?.trusted()?;
        let provider: Arc<CryptoProvider> = ring::default_provider().into();

        let unusable = |error: &dyn std::fmt::Display| {
            TlsError::Certificate(rustls::Error::General(error.to_string()))
        };
        let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(|error| unusable(&error))?;
        let servers = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
            .build()
            .map_err(|error| unusable(&error))?;

        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&versions)
            .map_err(TlsError::Certificate)?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(TlsError::Certificate)?;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .map_err(TlsError::Certificate)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyNameVerifier(servers)))
            .with_client_auth_cert(chain, key)
            .map_err(TlsError::Certificate)?;
        server.alpn_protocols = vec![protocol.name().to_vec()];
        client.alpn_protocols = vec![protocol.name().to_vec()];
        // Host names mean nothing here, so they need not be told either.
        client.enable_sni = false;
        let acceptor = TlsAcceptor::from(Arc::new(server));
        Ok(Self { acceptor, connector: TlsConnector::from(Arc::new(client)) })
    }

    /// The side that was dialled.
    pub fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> TlsStream<S> {
        TlsStream::accepting(self.acceptor.accept(stream))
    }

    /// The side that has dialled.
    pub fn connect<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> TlsStream<S> {
        // Any name will do: it is neither sent nor compared.
        let name = ServerName::IpAddress(std::net::Ipv4Addr::LOCALHOST.into());
        TlsStream::connecting(self.connector.connect(name, stream))
    }
}

/// `security.ssl.protocol` is the oldest version that is spoken.
pub(crate) fn versions(protocol: &str) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    match protocol {
        "TLSv1.2" => Ok(vec![&TLS13, &TLS12]),
        "TLSv1.3" => Ok(vec![&TLS13]),
        _ => Err(TlsError::Unsupported {
            key: "security.ssl.protocol",
            value: protocol.to_owned(),
            expected: "TLSv1.2 (and newer) or TLSv1.3",
        }),
    }
}
