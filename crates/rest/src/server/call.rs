//! A request as handlers see it: parameters that are parsed, a body that is read within its limits.

use std::{str::FromStr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Limited};
use hurtig_types::{JobId, JobVertexId, ResourceId};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::{
    Context,
    form::{FormError, FormEvent, FormParser},
    route::PathValues,
};
use crate::error::{RestError, RestResult};

/// Longest name of an uploaded file, in bytes.
const LONGEST_FILE_NAME: usize = 255;

/// One request.
pub(crate) struct Call {
    pub(crate) context: Arc<Context>,
    pub(crate) path: PathValues,
    /// Names and values, decoded; of several values of one name each counts.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Option<Incoming>,
    pub(crate) content_type: Option<String>,
    /// Bytes of the body, if the head says so.
    pub(crate) content_length: Option<u64>,
}

impl Call {
    /// A parameter of the path.
    pub(crate) fn parameter<T: FromStr<Err: std::fmt::Display>>(
        &self,
        name: &'static str,
    ) -> RestResult<T> {
        let value = self.path.iter().find(|(known, _)| *known == name);
        let Some((_, text)) = value else {
            return Err(RestError::internal(format!("the path has no parameter {name}")));
        };
        let wrong = |error: T::Err| {
            RestError::bad_request(format!("Cannot resolve path parameter ({name}): {error}"))
        };
        text.parse().map_err(wrong)
    }

    pub(crate) fn job(&self) -> RestResult<JobId> {
        self.parameter("jobid")
    }

    pub(crate) fn vertex(&self) -> RestResult<JobVertexId> {
        self.parameter("vertexid")
    }

    pub(crate) fn task_manager(&self) -> RestResult<ResourceId> {
        self.parameter("taskmanagerid")
    }

    /// A query parameter with one value.
    pub(crate) fn query<T: FromStr<Err: std::fmt::Display>>(
        &self,
        name: &'static str,
    ) -> RestResult<Option<T>> {
        let value = self.query.iter().find(|(known, _)| known == name);
        let wrong = |error: T::Err| {
            RestError::bad_request(format!("Cannot resolve query parameter ({name}): {error}"))
        };
        value.map(|(_, text)| text.parse().map_err(wrong)).transpose()
    }

    /// A query parameter whose values are separated by commas.
    pub(crate) fn query_list(&self, name: &'static str) -> Vec<String> {
        let values = self.query.iter().filter(|(known, _)| known == name);
        let values = values.flat_map(|(_, text)| text.split(','));
        values.filter(|value| !value.is_empty()).map(str::to_owned).collect()
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.context.services.clock.now_ms()
    }

    /// The body as JSON; an empty one is the empty object.
    pub(crate) async fn read_json<B: DeserializeOwned>(&mut self) -> RestResult<B> {
        let limit = self.context.config.max_content_length_bytes;
        if self.content_length.is_some_and(|length| length > limit) {
            return Err(RestError::too_large(limit));
        }
        let Some(body) = self.body.take() else {
            return Err(RestError::internal("the body was read before"));
        };
        let limited = Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX));
        let read = tokio::time::timeout(self.context.config.body_timeout, limited.collect()).await;
        let bytes = match read {
            Ok(Ok(collected)) => collected.to_bytes(),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                return Err(RestError::too_large(limit));
            }
            Ok(Err(error)) => {
                return Err(RestError::bad_request(format!("cannot read the body: {error}")));
            }
            Err(_) => return Err(too_slow()),
        };
        let json: &[u8] = if bytes.iter().all(u8::is_ascii_whitespace) { b"{}" } else { &bytes };
        serde_json::from_slice(json)
            .map_err(|error| RestError::bad_request(format!("Bad request received: {error}")))
    }

    /// The body as a form with a file.
    pub(crate) fn upload(&mut self) -> RestResult<Upload> {
        let content_type = self.content_type.as_deref().unwrap_or_default();
        let parser = FormParser::new(content_type).map_err(form_error)?;
        let Some(body) = self.body.take() else {
            return Err(RestError::internal("the body was read before"));
        };
        Ok(Upload { parser, body, patience: self.context.config.body_timeout })
    }
}

fn too_slow() -> RestError {
    RestError::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")
}

/// A form under way, of which one part is a file.
pub(crate) struct Upload {
    parser: FormParser,
    body: Incoming,
    /// How long to wait for the next bytes.
    patience: Duration,
}

impl Upload {
    /// Goes to the next part that is a file, and gives its name. Other parts are passed over.
    pub(crate) async fn next_file(&mut self) -> RestResult<Option<String>> {
        loop {
            match self.next_event().await? {
                FormEvent::PartBegins { file_name: Some(name) } => {
                    // Some clients send the whole path.
                    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
                    if name.is_empty() || name.len() > LONGEST_FILE_NAME {
                        let text = "the name of the file is empty or too long";
                        return Err(RestError::bad_request(text));
                    }
                    return Ok(Some(name));
                }
                FormEvent::End => return Ok(None),
                _ => {}
            }
        }
    }

    /// The next bytes of the part; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> RestResult<Option<Bytes>> {
        match self.next_event().await? {
            FormEvent::Data(bytes) => Ok(Some(bytes)),
            _ => Ok(None),
        }
    }

    async fn next_event(&mut self) -> RestResult<FormEvent> {
        loop {
            if let Some(event) = self.parser.next_event().map_err(form_error)? {
                return Ok(event);
            }
            let frame = tokio::time::timeout(self.patience, self.body.frame()).await;
            match frame.map_err(|_| too_slow())? {
                // Trailers say nothing that matters here.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.parser.feed(&data);
                    }
                }
                Some(Err(error)) => {
                    let text = format!("cannot read the body: {error}");
                    return Err(RestError::bad_request(text));
                }
                None => return Err(form_error(FormError::Truncated)),
            }
        }
    }
}

fn form_error(error: FormError) -> RestError {
    RestError::bad_request(format!("the form cannot be read: {error}"))
}
