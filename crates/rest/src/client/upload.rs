//! The upload of a program: a form with one file, sent as it is read.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use bytes::Bytes;
use futures::StreamExt;
use http::Method;
use http_body_util::{BodyExt, StreamBody};
use hurtig_types::BlobId;
use hyper::body::Frame;

use super::{ClientError, ClientResult, RestClient, connection::RequestBody};
use crate::messages::programs::JarUploadResponseBody;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Separates the parts of the form. Whether the file has it, too, is of no use to anybody but the
/// one who uploads it, and the server notices.
const BOUNDARY: &str = "hurtig-7d2c1f64e0b84a5c9f3e-hurtig";

impl RestClient {
    /// Uploads a file, and returns what its content is called.
    pub async fn upload(&self, path: &Path) -> ClientResult<BlobId> {
        let unreadable = |source| ClientError::File { path: path.display().to_string(), source };
        let file = File::open(path).map_err(unreadable)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default().replace(['"', '\r', '\n', ';'], "_");
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"jarfile\"; \
             filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        );
        let tail = format!("\r\n--{BOUNDARY}--\r\n");
        let content = futures::stream::unfold(Some(file), |file| async move {
            // Reading blocks this client's own thread, and nothing else.
            let mut file = file?;
            let mut chunk = vec![0; CHUNK_BYTES];
            match file.read(&mut chunk) {
                Ok(0) => None,
                Ok(length) => {
                    chunk.truncate(length);
                    Some((Ok(Bytes::from(chunk)), Some(file)))
                }
                Err(error) => Some((Err(error), None)),
            }
        });
        let once = |text: String| futures::stream::iter([io::Result::Ok(Bytes::from(text))]);
        let form = once(head).chain(content).chain(once(tail)).map(|chunk| chunk.map(Frame::data));
        let body = RequestBody::Form(BOUNDARY.to_owned(), StreamBody::new(form).boxed_unsync());
        let answer: JarUploadResponseBody =
            self.call(Method::POST, "/binaries/upload", body).await?;
        let id = answer.filename.rsplit('/').next().unwrap_or_default();
        id.parse().map_err(|error: hurtig_types::ParseIdError| ClientError::Answer {
            request: "POST /binaries/upload".to_owned(),
            source: serde::de::Error::custom(error),
        })
    }
}
