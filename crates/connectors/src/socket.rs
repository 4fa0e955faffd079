//! Lines of text from a TCP connection, as Flink's `socketTextStream`.
//!
//! # Protocol
//!
//! 1. One reader gets the only split, and connects from a background task.
//! 2. The task cuts what it receives at the delimiter (for `\n`, a `\r` before it is cut, too) and
//!    puts lines, up to [`LINES_PER_BATCH`] at a time, into a queue of [`QUEUED_BATCHES`]; when
//!    that is full, it stops receiving, so that the sender feels the back pressure.
//! 3. When the connection ends or cannot be made, the task tries again after the retry delay, as
//!    often as allowed. Then the source ends if the last connection was closed by the peer, and
//!    fails if it was an error. What the peer sent behind the last delimiter is the last line.
//!
//! A connection cannot be rewound: **the source does not resume.** After a failure it connects
//! again, and what was received but not processed is lost. It is for demonstrations.
//!
//! Bytes that are not UTF-8 are replaced by U+FFFD.

use std::{io, sync::Arc, time::Duration};

use hurtig_connector_api::{
    Boundedness, ReadStatus, ReaderContext, Source, SourceOutput, SourceReader, SourceSplit,
    SplitEnumerator,
};
use hurtig_types::BoxError;
use memchr::memmem;
use serde::{Deserialize, Serialize};
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    sync::mpsc::{self, error::TryRecvError},
    task::AbortHandle,
};

use crate::splits::SplitQueue;

/// Most lines of one batch.
pub const LINES_PER_BATCH: usize = 1024;
/// Most batches that wait for the reader.
pub const QUEUED_BATCHES: usize = 64;
/// Most bytes of a line; a longer one is an error.
pub const MAX_LINE_BYTES: usize = 16 << 20;
/// Default of [`SocketTextSource::retry_delay`].
pub const DEFAULT_RETRY_DELAY: Duration = Duration::from_millis(500);

const RECEIVE_BYTES: usize = 64 << 10;

/// A source of the lines that a peer sends.
#[derive(Clone, Debug)]
pub struct SocketTextSource {
    host: String,
    port: u16,
    delimiter: String,
    max_retries: Option<u32>,
    retry_delay: Duration,
}

impl SocketTextSource {
    /// Lines, ended by `delimiter`, from `host:port`. A connection that ends or fails is made again
    /// up to `max_retries` times; `None` means for ever.
    pub fn new(
        host: impl Into<String>,
        port: u16,
        delimiter: impl Into<String>,
        max_retries: Option<u32>,
    ) -> Self {
        Self {
            host: host.into(),
            port,
            delimiter: delimiter.into(),
            max_retries,
            retry_delay: DEFAULT_RETRY_DELAY,
        }
    }

    /// How long to wait before a retry.
    #[must_use]
    pub fn retry_delay(mut self, delay: Duration) -> Self {
        self.retry_delay = delay;
        self
    }
}

/// The connection; it has no position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketSplit {
    host: String,
    port: u16,
}

impl SourceSplit for SocketSplit {
    fn split_id(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// Why no more lines come.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The peer cannot be reached, or the connection broke.
    #[error("cannot receive from {address}, after {retries} retries")]
    Connection {
        /// The peer.
        address: String,
        /// How often it was tried again.
        retries: u32,
        /// Why the last time.
        source: io::Error,
    },
    /// A line exceeds the limit.
    #[error("{address} sent a line longer than {MAX_LINE_BYTES} bytes")]
    LineTooLong {
        /// The peer.
        address: String,
    },
    /// The background task ended without a word, which only a stopping process does to it.
    #[error("receiving from {address} was interrupted")]
    Interrupted {
        /// The peer.
        address: String,
    },
}

impl Source for SocketTextSource {
    type Record = String;
    type Split = SocketSplit;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Unbounded
    }

    fn create_enumerator(&self, _: u32) -> Result<Box<dyn SplitEnumerator<SocketSplit>>, BoxError> {
        if self.delimiter.is_empty() {
            return Err("the delimiter of a socket source must not be empty".into());
        }
        Ok(Box::new(SplitQueue::of([SocketSplit { host: self.host.clone(), port: self.port }])))
    }

    fn restore_enumerator(
        &self,
        _: u32,
        state: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<SocketSplit>>, BoxError> {
        Ok(Box::new(SplitQueue::<SocketSplit>::restored(state)?))
    }

    fn create_reader(
        &self,
        context: ReaderContext,
    ) -> Result<Box<dyn SourceReader<String, SocketSplit>>, BoxError> {
        Ok(Box::new(SocketReader { source: Arc::new(self.clone()), context, receiving: None }))
    }
}

/// From the background task to the reader.
enum Received {
    Lines(Vec<String>),
    End,
    Failed(SocketError),
}

struct Receiving {
    split: SocketSplit,
    queue: mpsc::Receiver<Received>,
    /// What of the last batch did not fit.
    rest: std::vec::IntoIter<String>,
    task: AbortHandle,
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct SocketReader {
    source: Arc<SocketTextSource>,
    context: ReaderContext,
    receiving: Option<Receiving>,
}

impl SourceReader<String, SocketSplit> for SocketReader {
    fn add_splits(&mut self, splits: Vec<SocketSplit>) -> Result<(), BoxError> {
        // There is only one.
        let Some(split) = splits.into_iter().next_back() else {
            return Ok(());
        };
        let (sender, queue) = mpsc::channel(QUEUED_BATCHES);
        let receiver = Receiver {
            source: self.source.clone(),
            split: split.clone(),
            finder: memmem::Finder::new(&self.source.delimiter).into_owned(),
            sender,
            signal: self.context.signal.clone(),
            buffer: Vec::new(),
            scanned: 0,
        };
        let task = self.context.runtimes.control.spawn(receiver.run());
        self.receiving = Some(Receiving {
            split,
            queue,
            rest: Vec::new().into_iter(),
            task: task.abort_handle(),
        });
        Ok(())
    }

    fn read(
        &mut self,
        max_records: usize,
        out: &mut SourceOutput<String>,
    ) -> Result<ReadStatus, BoxError> {
        let Some(receiving) = &mut self.receiving else {
            return Ok(ReadStatus::NeedSplit);
        };
        out.split = 0;
        if receiving.rest.len() == 0 {
            match receiving.queue.try_recv() {
                Ok(Received::Lines(lines)) => receiving.rest = lines.into_iter(),
                Ok(Received::End) => {
                    self.receiving = None;
                    out.split_finished = true;
                    return Ok(ReadStatus::More);
                }
                Ok(Received::Failed(error)) => return Err(error.into()),
                Err(TryRecvError::Empty) => return Ok(ReadStatus::Wait { until_ms: None }),
                Err(TryRecvError::Disconnected) => {
                    let address = receiving.split.split_id();
                    return Err(SocketError::Interrupted { address }.into());
                }
            }
        }
        let lines = receiving.rest.by_ref().take(max_records.max(1));
        out.values.extend(lines);
        Ok(ReadStatus::More)
    }

    fn snapshot(&self) -> Vec<SocketSplit> {
        let split = self.receiving.as_ref().map(|r| r.split.clone());
        split.into_iter().collect()
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.receiving = None;
        Ok(())
    }
}

/// The background task. It ends when the reader has gone.
struct Receiver {
    source: Arc<SocketTextSource>,
    split: SocketSplit,
    finder: memmem::Finder<'static>,
    sender: mpsc::Sender<Received>,
    signal: hurtig_env::Signal,
    /// Received and not yet cut; it begins with a line.
    buffer: Vec<u8>,
    /// No delimiter begins before this in the buffer.
    scanned: usize,
}

/// The reader does not want more.
struct Gone;

enum Ended {
    ByPeer,
    ByError(io::Error),
    LineTooLong,
}

impl Receiver {
    async fn run(mut self) {
        // If the reader has gone, nobody is to be told.
        if let Ok(last) = self.receive_with_retries().await {
            let _ = self.send(last).await;
        }
    }

    async fn receive_with_retries(&mut self) -> Result<Received, Gone> {
        let mut retries = 0;
        loop {
            let ended = self.receive().await?;
            let address = self.split.split_id();
            if matches!(ended, Ended::LineTooLong) {
                return Ok(Received::Failed(SocketError::LineTooLong { address }));
            }
            if self.source.max_retries.is_some_and(|max| retries >= max) {
                return match ended {
                    Ended::ByError(source) => {
                        Ok(Received::Failed(SocketError::Connection { address, retries, source }))
                    }
                    Ended::ByPeer | Ended::LineTooLong => {
                        self.send_rest().await?;
                        Ok(Received::End)
                    }
                };
            }
            retries = retries.saturating_add(1);
            tracing::warn!(address, retries, "connection lost, connecting again");
            tokio::time::sleep(self.source.retry_delay).await;
        }
    }

    /// One connection, from its beginning to its end.
    async fn receive(&mut self) -> Result<Ended, Gone> {
        let address = (self.split.host.as_str(), self.split.port);
        let mut stream = match TcpStream::connect(address).await {
            Ok(stream) => stream,
            Err(e) => return Ok(Ended::ByError(e)),
        };
        loop {
            self.buffer.reserve(RECEIVE_BYTES);
            match stream.read_buf(&mut self.buffer).await {
                Ok(0) => return Ok(Ended::ByPeer),
                Ok(_) => self.cut().await?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Ok(Ended::ByError(e)),
            }
            if self.buffer.len() > MAX_LINE_BYTES {
                return Ok(Ended::LineTooLong);
            }
        }
    }

    /// Sends the complete lines of the buffer.
    async fn cut(&mut self) -> Result<(), Gone> {
        let delimiter = self.source.delimiter.len();
        let mut lines = Vec::new();
        let mut line = 0;
        while let Some(found) = self.finder.find(&self.buffer[self.scanned..]) {
            let end = self.scanned + found;
            lines.push(self.text(line, end));
            line = end + delimiter;
            self.scanned = line;
            if lines.len() == LINES_PER_BATCH {
                self.send(Received::Lines(std::mem::take(&mut lines))).await?;
            }
        }
        self.buffer.drain(..line);
        // The beginning of a delimiter may be there already.
        self.scanned = (self.buffer.len() + 1).saturating_sub(delimiter);
        if lines.is_empty() {
            return Ok(());
        }
        self.send(Received::Lines(lines)).await
    }

    async fn send_rest(&mut self) -> Result<(), Gone> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let line = self.text(0, self.buffer.len());
        self.send(Received::Lines(vec![line])).await
    }

    fn text(&self, from: usize, to: usize) -> String {
        let mut bytes = &self.buffer[from..to];
        if self.source.delimiter == "\n" {
            bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        }
        String::from_utf8_lossy(bytes).into_owned()
    }

    async fn send(&self, received: Received) -> Result<(), Gone> {
        let sent = self.sender.send(received).await;
        self.signal.post();
        sent.map_err(|_| Gone)
    }
}
