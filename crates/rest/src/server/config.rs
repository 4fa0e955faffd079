//! The server's settings, from a [`Configuration`].

use std::{io, time::Duration};

use hurtig_config::{ConfigError, Configuration, catalogue::rest};
use hurtig_tls::{RestServerTls, TlsError};

/// Most connections that are open at once.
const MOST_CONNECTIONS: usize = 512;

/// How long a client may take for a request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take for a body of JSON, or for the next bytes of an upload.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Settings of a [`super::RestServer`].
#[derive(Clone, Debug)]
pub struct RestServerConfig {
    /// `rest.bind-address`: where to listen; only this host by default.
    pub bind_address: String,
    /// `rest.bind-port`: the first one that is free is taken; 0 is any.
    pub ports: Vec<u16>,
    /// Most connections that are open at once.
    pub max_connections: usize,
    /// `rest.server.max-content-length`: largest body, uploads excepted.
    pub max_content_length_bytes: u64,
    /// How long a client may take for a request's head.
    pub header_timeout: Duration,
    /// How long a client may take for a body of JSON, or for the next bytes of an upload.
    pub body_timeout: Duration,
    /// `rest.idleness-timeout`.
    pub idleness_timeout: Duration,
    /// `web.timeout`: how long a request may take.
    pub request_timeout: Duration,
    /// `rest.async.store-duration`: how long results of asynchronous operations are kept.
    pub async_store_duration: Duration,
    /// `rest.server.bearer-token`: requests must bring it.
    pub bearer_token: Option<String>,
    /// `web.submit.enable`.
    pub submit_enabled: bool,
    /// `web.cancel.enable`.
    pub cancel_enabled: bool,
    /// `web.access-control-allow-origin`.
    pub allow_origin: String,
    /// `web.refresh-interval`.
    pub refresh_interval: Duration,
    /// `security.ssl.rest.enabled`: what encrypts connections.
    pub tls: Option<RestServerTls>,
}

impl Default for RestServerConfig {
    fn default() -> Self {
        Self {
            bind_address: "localhost".to_owned(),
            ports: vec![8081],
            max_connections: MOST_CONNECTIONS,
            max_content_length_bytes: 100 << 20,
            header_timeout: HEADER_TIMEOUT,
            body_timeout: BODY_TIMEOUT,
            idleness_timeout: Duration::from_secs(300),
            request_timeout: Duration::from_secs(600),
            async_store_duration: Duration::from_secs(300),
            bearer_token: None,
            submit_enabled: true,
            cancel_enabled: true,
            allow_origin: "*".to_owned(),
            refresh_interval: Duration::from_secs(3),
            tls: None,
        }
    }
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RestServerError {
    /// No port could be bound.
    #[error("the REST server cannot listen on {address}, ports {ports:?}")]
    Bind {
        /// The address.
        address: String,
        /// The ports that were tried.
        ports: Vec<u16>,
        /// Why the last one could not be bound.
        source: io::Error,
    },
    /// The socket is no good.
    #[error("the REST server cannot listen")]
    Listen(#[source] io::Error),
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// TLS is asked for, and cannot be had.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// `rest.bind-port` is no list of ports.
    #[error("rest.bind-port is a port, a range such as 8081-8090, or a list of them, not {0:?}")]
    Ports(String),
}

impl RestServerConfig {
    /// The settings of a configuration.
    pub fn of(configuration: &Configuration) -> Result<Self, RestServerError> {
        let ports = if configuration.is_set(&rest::REST_BIND_PORT) {
            let text = configuration.get(&rest::REST_BIND_PORT)?;
            parse_ports(&text).ok_or(RestServerError::Ports(text))?
        } else {
            vec![configuration.get(&rest::REST_PORT)?]
        };
        let defaults = Self::default();
        Ok(Self {
            bind_address: configuration
                .get(&rest::REST_BIND_ADDRESS)?
                .unwrap_or(defaults.bind_address),
            ports,
            max_content_length_bytes: configuration
                .get(&rest::REST_SERVER_MAX_CONTENT_LENGTH)?
                .bytes(),
            idleness_timeout: configuration.get(&rest::REST_IDLENESS_TIMEOUT)?,
            request_timeout: configuration.get(&rest::WEB_TIMEOUT)?,
            async_store_duration: configuration.get(&rest::REST_ASYNC_STORE_DURATION)?,
            bearer_token: configuration.get(&rest::REST_SERVER_BEARER_TOKEN)?,
            submit_enabled: configuration.get(&rest::WEB_SUBMIT_ENABLED)?,
            cancel_enabled: configuration.get(&rest::WEB_CANCEL_ENABLED)?,
            allow_origin: configuration.get(&rest::WEB_ACCESS_CONTROL_ALLOW_ORIGIN)?,
            refresh_interval: configuration.get(&rest::WEB_REFRESH_INTERVAL)?,
            tls: RestServerTls::from_configuration(configuration)?,
            ..defaults
        })
    }
}

/// Ports of `8081`, `8081-8090` or `8081,8090-8095`.
fn parse_ports(text: &str) -> Option<Vec<u16>> {
    let mut ports = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (u16, u16) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        if from > to {
            return None;
        }
        ports.extend(from..=to);
    }
    Some(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_numbers_ranges_and_lists() {
        assert_eq!(parse_ports("8081"), Some(vec![8081]));
        assert_eq!(parse_ports("0"), Some(vec![0]));
        assert_eq!(parse_ports("50-52, 60"), Some(vec![50, 51, 52, 60]));
        for wrong in ["", "x", "5-", "9-8", "70000", "1,,2"] {
            assert_eq!(parse_ports(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn it_listens_on_this_host_alone_unless_told() {
        let mut configuration = Configuration::new();
        let config = RestServerConfig::of(&configuration).unwrap();
        assert_eq!((config.bind_address.as_str(), config.ports), ("localhost", vec![8081]));
        configuration.set_dynamic("rest.port", "9000").unwrap();
        configuration.set_dynamic("rest.bind-address", "0.0.0.0").unwrap();
        configuration.set_dynamic("web.cancel.enable", "false").unwrap();
        let config = RestServerConfig::of(&configuration).unwrap();
        assert_eq!((config.bind_address.as_str(), config.ports), ("0.0.0.0", vec![9000]));
        assert!(config.submit_enabled && !config.cancel_enabled);
    }
}
