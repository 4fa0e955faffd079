//! A typed client of the REST API.
//!
//! Each request has a connection of its own: the command line sends a few. Answers are bounded by
//! `rest.client.max-content-length`; files are sent chunk by chunk.
//!
//! A JobManager that does not lead names the one that does: the request is sent there, and those
//! after it at once. When nobody is there, a request is sent again to where the [`LeaderLocator`]
//! says, if there is one; without, the next request goes to where the first went. What was sent and
//! not answered is not sent again, since nobody knows its effect: only waiting for a job's end
//! outlasts that ([`RestClient::result`]).

mod calls;
mod connection;
mod upload;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, StatusCode};
use hurtig_config::{ConfigError, Configuration, catalogue::rest};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};

use self::connection::RequestBody;
use crate::messages::ErrorResponseBody;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not `host:port`.
    #[error("{0:?} is no address: host:port, or http://host:port")]
    Address(String),
    /// Nobody is there.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The connection broke, or what came is no HTTP.
    #[error("the connection to {address} failed")]
    Connection {
        /// Where.
        address: String,
        /// Why.
        source: hyper::Error,
    },
    /// No answer in time.
    #[error("no answer from {address} within {} s", timeout.as_secs_f64())]
    Timeout {
        /// From where.
        address: String,
        /// How long it was waited.
        timeout: Duration,
    },
    /// The server refused.
    #[error("{}", errors.join("; "))]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// Why.
        errors: Vec<String>,
    },
    /// The answer is larger than may be.
    #[error("the answer is larger than {limit_bytes} bytes (rest.client.max-content-length)")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The answer is not what was asked for.
    #[error("the answer to {request} cannot be understood")]
    Answer {
        /// The request.
        request: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The request cannot be built.
    #[error("the request cannot be sent")]
    Request(#[from] http::Error),
    /// A file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl ClientError {
    /// True if another try may find a leader: nobody was there, or nobody leads at present.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Connection { .. } | Self::Timeout { .. } => true,
            Self::Refused { status, .. } => {
                matches!(*status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
            }
            _ => false,
        }
    }

    /// The status of a refusal.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// Answer of a client.
pub type ClientResult<T> = Result<T, ClientError>;

/// Knows who leads.
#[async_trait]
pub trait LeaderLocator: Send + Sync {
    /// The leader's REST server as `host:port`; `None` if nobody is known to lead.
    async fn leader(&self) -> Option<String>;
}

/// A client of one cluster. Clones learn from each other where the leader is.
#[derive(Clone)]
pub struct RestClient {
    /// `host:port` of whom it was given.
    first: String,
    /// `host:port` of whom it asks next.
    address: Arc<Mutex<String>>,
    locator: Option<Arc<dyn LeaderLocator>>,
    retries: u32,
    retry_pause: Duration,
    bearer_token: Option<String>,
    connect_timeout: Duration,
    answer_timeout: Duration,
    max_content_length_bytes: u64,
}

impl RestClient {
    /// Of the cluster at `host:port`, with the settings of a configuration.
    pub fn new(address: &str, configuration: &Configuration) -> ClientResult<Self> {
        let first = parse_address(address)?;
        Ok(Self {
            address: Arc::new(Mutex::new(first.clone())),
            first,
            locator: None,
            retries: configuration.get(&rest::REST_RETRY_MAX_ATTEMPTS)?,
            retry_pause: configuration.get(&rest::REST_RETRY_DELAY)?,
            bearer_token: configuration.get(&rest::REST_SERVER_BEARER_TOKEN)?,
            connect_timeout: configuration.get(&rest::REST_CONNECTION_TIMEOUT)?,
            answer_timeout: configuration.get(&rest::WEB_TIMEOUT)?,
            max_content_length_bytes: configuration
                .get(&rest::REST_CLIENT_MAX_CONTENT_LENGTH)?
                .bytes(),
        })
    }

    /// Of the cluster that a configuration names: `rest.address` and `rest.port`.
    pub fn of(configuration: &Configuration) -> ClientResult<Self> {
        let host = configuration.get(&rest::REST_ADDRESS)?;
        let host = host.unwrap_or_else(|| "localhost".to_owned());
        let port = configuration.get(&rest::REST_PORT)?;
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        Self::new(&format!("{host}:{port}"), configuration)
    }

    /// The same, which asks `locator` when a leader is gone.
    #[must_use]
    pub fn with_locator(mut self, locator: Arc<dyn LeaderLocator>) -> Self {
        self.locator = Some(locator);
        self
    }

    /// Where it sends to.
    pub fn address(&self) -> String {
        self.address.lock().clone()
    }

    /// Nobody was at the address: the next request goes elsewhere, if it is known where.
    /// A locator may name the one that is gone until its lease has run out.
    async fn look_elsewhere(&self) {
        let found = match &self.locator {
            Some(locator) => locator.leader().await,
            None => None,
        };
        let found = found.and_then(|address| parse_address(&address).ok());
        *self.address.lock() = found.unwrap_or_else(|| self.first.clone());
    }

    /// Asks for something.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> ClientResult<T> {
        self.call(Method::GET, path, RequestBody::Nothing).await
    }

    /// Sends JSON.
    pub async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> ClientResult<T> {
        let json = serde_json::to_vec(body);
        let json =
            json.map_err(|source| ClientError::Answer { request: format!("POST {path}"), source })?;
        self.call(Method::POST, path, RequestBody::Json(json)).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: RequestBody,
    ) -> ClientResult<T> {
        let request = format!("{method} {path}");
        let bytes = self.send(method, path, body).await?;
        // Empty answers are those without a message.
        let bytes = if bytes.is_empty() { Bytes::from_static(b"{}") } else { bytes };
        serde_json::from_slice(&bytes).map_err(|source| ClientError::Answer { request, source })
    }
}

/// `host:port` of an address that may have a scheme before it and a slash after it.
fn parse_address(text: &str) -> ClientResult<String> {
    let address = text.strip_prefix("http://").unwrap_or(text);
    let address = address.strip_suffix('/').unwrap_or(address);
    let known = address.rsplit_once(':').is_some_and(|(host, port)| {
        let plain = |c: char| !c.is_whitespace() && !"/?#@".contains(c);
        !host.is_empty() && host.chars().all(plain) && port.parse::<u16>().is_ok()
    });
    known.then(|| address.to_owned()).ok_or_else(|| ClientError::Address(text.to_owned()))
}

/// `host:port` of where a request is answered instead: at the same path of another server.
fn redirected(location: &str, path: &str) -> Option<String> {
    let address = location.strip_suffix(path)?;
    address.starts_with("http://").then(|| parse_address(address).ok()).flatten()
}

/// The texts of an error's body, or something better than nothing.
fn errors_of(status: StatusCode, body: &[u8]) -> Vec<String> {
    match serde_json::from_slice::<ErrorResponseBody>(body) {
        Ok(body) if !body.errors.is_empty() => body.errors,
        _ => vec![format!("the server answered {status}")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_path_elsewhere_is_followed() {
        let path = "/v1/jobs?x=1";
        let to = |location: &str| redirected(location, path);
        assert_eq!(to("http://a:1/v1/jobs?x=1").as_deref(), Some("a:1"));
        for wrong in ["http://a:1/v1/other", "https://a:1/v1/jobs?x=1", "/v1/jobs?x=1", "a:1", ""] {
            assert_eq!(to(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_address_is_host_and_port() {
        for (text, address) in [
            ("localhost:8081", "localhost:8081"),
            ("http://10.0.0.1:80/", "10.0.0.1:80"),
            ("[::1]:8081", "[::1]:8081"),
        ] {
            assert_eq!(parse_address(text).unwrap(), address);
        }
        for wrong in ["", "localhost", ":1", "a b:1", "h:70000", "http://u@h:1", "h/x:1"] {
            let error = parse_address(wrong).unwrap_err().to_string();
            assert!(error.contains("is no address"), "{error}");
        }
    }
}
