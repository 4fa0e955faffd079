//! TLS of the REST server and of its clients, made from their configuration.
//!
//! The server proves who it is; with `security.ssl.rest.authentication-enabled` its clients do as
//! well. Unlike the processes of a cluster, clients compare the server's name with its certificate,
//! unless `security.ssl.verify-hostname` says otherwise.

use std::{io, sync::Arc};

use hurtig_config::{Configuration, catalogue::security};
use rustls::{
    ClientConfig, ServerConfig, SupportedProtocolVersion,
    client::WebPkiServerVerifier,
    crypto::{CryptoProvider, ring},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{
    TlsStream,
    files::{PemFile, TlsError},
    internal::versions,
    verify::AnyNameVerifier,
};

const KEYSTORE: &str = "security.ssl.rest.keystore";
const TRUSTSTORE: &str = "security.ssl.rest.truststore";

/// What is spoken: HTTP/1.1.
const PROTOCOL: &[u8] = b"http/1.1";

/// What both sides read of the configuration.
struct Settings {
    keystore: Option<String>,
    truststore: Option<String>,
    authentication: bool,
    versions: Vec<&'static SupportedProtocolVersion>,
    provider: Arc<CryptoProvider>,
}

impl Settings {
    /// `None` if REST is not encrypted.
    fn of(config: &Configuration) -> Result<Option<Self>, TlsError> {
        if !config.get(&security::SSL_REST_ENABLED)? {
            return Ok(None);
        }
        Ok(Some(Self {
            keystore: config.get(&security::SSL_REST_KEYSTORE)?,
            truststore: config.get(&security::SSL_REST_TRUSTSTORE)?,
            authentication: config.get(&security::SSL_REST_AUTHENTICATION_ENABLED)?,
            versions: versions(&config.get(&security::SSL_PROTOCOL)?)?,
            provider: ring::default_provider().into(),
        }))
    }

    fn keystore(&self) -> Result<PemFile, TlsError> {
        let needs = || TlsError::MissingForRest(KEYSTORE);
        PemFile::read(KEYSTORE, self.keystore.clone().ok_or_else(needs)?.into())
    }

    fn truststore(&self) -> Result<PemFile, TlsError> {
        let needs = || TlsError::MissingForRest(TRUSTSTORE);
        PemFile::read(TRUSTSTORE, self.truststore.clone().ok_or_else(needs)?.into())
    }
}

fn unusable(error: &dyn std::fmt::Display) -> TlsError {
    TlsError::Certificate(rustls::Error::General(error.to_string()))
}

/// TLS of the REST server. Cloning is cheap.
#[derive(Clone)]
pub struct RestServerTls(TlsAcceptor);

impl std::fmt::Debug for RestServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RestServerTls")
    }
}

impl RestServerTls {
    /// As configured; `None` without `security.ssl.rest.enabled`.
    ///
    /// # Errors
    /// If a file is missing or cannot be used.
    pub fn from_configuration(config: &Configuration) -> Result<Option<Self>, TlsError> {
        let Some(settings) = Settings::of(config)? else { return Ok(None) };
        let keystore = settings.keystore()?;
        let (chain, key) = (keystore.certificates()?, keystore.private_key()?);
        let clients: Arc<dyn ClientCertVerifier> = if settings.authentication {
            let roots = settings.truststore()?.trusted()?;
            WebPkiClientVerifier::builder_with_provider(roots, settings.provider.clone())
                .build()
                .map_err(|error| unusable(&error))?
        } else {
            WebPkiClientVerifier::no_client_auth()
        };
        let mut server = ServerConfig::builder_with_provider(settings.provider)
            .with_protocol_versions(&settings.versions)
            .map_err(TlsError::Certificate)?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)
            .map_err(TlsError::Certificate)?;
        server.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Some(Self(TlsAcceptor::from(Arc::new(server)))))
    }

    /// A client has connected.
    pub fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> TlsStream<S> {
        TlsStream::accepting(self.0.accept(stream))
    }
}

/// TLS of a REST client. Cloning is cheap.
#[derive(Clone)]
pub struct RestClientTls(TlsConnector);

impl std::fmt::Debug for RestClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RestClientTls")
    }
}

impl RestClientTls {
    /// As configured; `None` without `security.ssl.rest.enabled`.
    ///
    /// # Errors
    /// If a file is missing or cannot be used.
    pub fn from_configuration(config: &Configuration) -> Result<Option<Self>, TlsError> {
        let Some(settings) = Settings::of(config)? else { return Ok(None) };
        let roots = settings.truststore()?.trusted()?;
        let builder = ClientConfig::builder_with_provider(settings.provider.clone())
            .with_protocol_versions(&settings.versions)
            .map_err(TlsError::Certificate)?;
        let builder = if config.get(&security::SSL_VERIFY_HOSTNAME)? {
            builder.with_root_certificates(roots)
        } else {
            let servers =
                WebPkiServerVerifier::builder_with_provider(roots, settings.provider.clone())
                    .build()
                    .map_err(|error| unusable(&error))?;
            let verifier = Arc::new(AnyNameVerifier(servers));
            builder.dangerous().with_custom_certificate_verifier(verifier)
        };
        let mut client = if settings.authentication {
            let keystore = settings.keystore()?;
            let (chain, key) = (keystore.certificates()?, keystore.private_key()?);
            builder.with_client_auth_cert(chain, key).map_err(TlsError::Certificate)?
        } else {
            builder.with_no_client_auth()
        };
        client.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Some(Self(TlsConnector::from(Arc::new(client)))))
    }

    /// Connected to a server of that host: a name, or an address as it is written.
    ///
    /// # Errors
    /// If that is no name.
    pub fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        host: &str,
        stream: S,
    ) -> io::Result<TlsStream<S>> {
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        Ok(TlsStream::connecting(self.0.connect(name, stream)))
    }
}
