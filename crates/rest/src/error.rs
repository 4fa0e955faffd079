//! What a request comes to when it cannot be answered: a status and texts for people, sent as
//! Flink's `{"errors": [...]}`.

use http::StatusCode;
use hurtig_cluster_api::{BlobError, ProgramError, RpcError};
use hurtig_types::chain_text;

use crate::messages::ErrorResponseBody;

/// Answer of a handler.
pub type RestResult<T> = Result<T, RestError>;

/// A request that was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {}", errors.join("; "))]
pub struct RestError {
    /// The HTTP status.
    pub status: StatusCode,
    /// Why, for people.
    pub errors: Vec<String>,
    /// The methods of the path, if another one was used.
    pub(crate) allow: Option<String>,
    /// Where the same request is answered.
    pub(crate) location: Option<String>,
}

impl RestError {
    /// An error of that status.
    pub fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, errors: vec![error.into()], allow: None, location: None }
    }

    /// 400: the request is wrong.
    pub fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    /// 404: there is no such thing.
    pub fn not_found(error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, error)
    }

    /// 403: the configuration forbids it.
    pub fn forbidden(error: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, error)
    }

    /// 500: something is wrong here.
    pub fn internal(error: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error)
    }

    /// 503: not now, or not in this cluster.
    pub fn unavailable(error: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error)
    }

    /// 307: another JobManager leads, whose REST server is at that `host:port`, and talks TLS if
    /// this one does.
    pub(crate) fn elsewhere(leader: &str, path: &str, secure: bool) -> Self {
        let scheme = if secure { "https" } else { "http" };
        let text = format!("this JobManager does not lead; the one at {leader} does");
        let location = Some(format!("{scheme}://{leader}{path}"));
        Self { location, ..Self::new(StatusCode::TEMPORARY_REDIRECT, text) }
    }

    /// 413: more bytes than may be.
    pub fn too_large(limit_bytes: u64) -> Self {
        let text = format!("the request is larger than {limit_bytes} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    }

    pub(crate) fn body(&self) -> ErrorResponseBody {
        ErrorResponseBody { errors: self.errors.clone() }
    }
}

impl From<RpcError> for RestError {
    fn from(error: RpcError) -> Self {
        let status = match error {
            RpcError::NotFound(_) => StatusCode::NOT_FOUND,
            RpcError::Rejected(_) => StatusCode::CONFLICT,
            RpcError::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
            RpcError::Unreachable { .. } | RpcError::Fenced { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Self::new(status, error.to_string())
    }
}

impl From<BlobError> for RestError {
    fn from(error: BlobError) -> Self {
        let status = match error {
            BlobError::NotFound(_) => StatusCode::NOT_FOUND,
            BlobError::InUse { .. } => StatusCode::CONFLICT,
            BlobError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            BlobError::Full { .. } => StatusCode::INSUFFICIENT_STORAGE,
            BlobError::BadName(_) => StatusCode::BAD_REQUEST,
            BlobError::Storage(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, chain_text(&error))
    }
}

impl From<ProgramError> for RestError {
    fn from(error: ProgramError) -> Self {
        match error {
            ProgramError::Invalid(text) => Self::bad_request(text),
            ProgramError::Blob(error) => error.into(),
            ProgramError::Program { message } => Self::bad_request(message),
            ProgramError::Cluster(error) => error.into(),
        }
    }
}
