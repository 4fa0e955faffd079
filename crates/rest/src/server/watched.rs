//! A connection that knows when a byte has last moved.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use hurtig_env::Clock;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose reads and writes are noted.
pub(super) struct Watched<S> {
    stream: S,
    moved: Moved,
}

/// When a byte has last moved, in milliseconds of a monotonic clock.
#[derive(Clone)]
pub(super) struct Moved {
    at_ms: Arc<AtomicU64>,
    clock: Clock,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, clock: Clock) -> (Self, Moved) {
        let moved = Moved { at_ms: Arc::default(), clock };
        moved.note();
        (Self { stream, moved: moved.clone() }, moved)
    }
}

impl Moved {
    fn now_ms(&self) -> u64 {
        self.clock.monotonic().as_millis() as u64
    }

    fn note(&self) {
        self.at_ms.store(self.now_ms(), Relaxed);
    }

    /// Ends when no byte has moved for that long.
    pub(super) async fn idle_for(self, patience: Duration) {
        let patience_ms = patience.as_millis() as u64;
        loop {
            let idle_ms = self.now_ms().saturating_sub(self.at_ms.load(Relaxed));
            match patience_ms.checked_sub(idle_ms) {
                None | Some(0) => return,
                Some(left_ms) => tokio::time::sleep(Duration::from_millis(left_ms)).await,
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if polled.is_ready() {
            self.moved.note();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if polled.is_ready() {
            self.moved.note();
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
