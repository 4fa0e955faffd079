//! What a handler gives back: JSON, or text chunk by chunk.

use std::io;

use bytes::Bytes;
use futures::stream::BoxStream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use serde::Serialize;

use crate::error::{RestError, RestResult};

/// The body of an answer.
pub(crate) type ReplyBody = UnsyncBoxBody<Bytes, io::Error>;

/// An answer without its head.
pub(crate) enum Reply {
    /// JSON.
    Json(Vec<u8>),
    /// Text, of which the end is not known yet.
    Text(BoxStream<'static, io::Result<Bytes>>),
}

impl Reply {
    pub(crate) fn json(value: &impl Serialize) -> RestResult<Self> {
        let bytes = serde_json::to_vec(value);
        bytes.map(Self::Json).map_err(|error| RestError::internal(error.to_string()))
    }

    pub(crate) fn content_type(&self) -> &'static str {
        match self {
            Self::Json(_) => "application/json; charset=UTF-8",
            Self::Text(_) => "text/plain; charset=UTF-8",
        }
    }

    pub(crate) fn into_body(self) -> ReplyBody {
        match self {
            Self::Json(bytes) => full(bytes),
            Self::Text(chunks) => {
                let frames = futures::StreamExt::map(chunks, |chunk| chunk.map(Frame::data));
                StreamBody::new(frames).boxed_unsync()
            }
        }
    }
}

pub(crate) fn full(bytes: Vec<u8>) -> ReplyBody {
    Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed_unsync()
}
