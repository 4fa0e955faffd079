//! A stream that performs its handshake when it is first used.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{Accept, Connect, client, server};

enum State<S> {
    Accepting(Accept<S>),
    Connecting(Connect<S>),
    Server(Box<server::TlsStream<S>>),
    Client(Box<client::TlsStream<S>>),
    /// The handshake has failed; the error was given out.
    Failed,
}

/// An encrypted stream.
pub struct TlsStream<S>(State<S>);

/// What both sides' streams can do.
trait Established: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Established for T {}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    pub(crate) fn accepting(accept: Accept<S>) -> Self {
        Self(State::Accepting(accept))
    }

    pub(crate) fn connecting(connect: Connect<S>) -> Self {
        Self(State::Connecting(connect))
    }

    /// Completes the handshake. It happens by itself when the stream is used; a caller who wants
    /// to know its result first asks for it.
    pub async fn handshake(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_established(cx).map_ok(drop)).await
    }

    fn poll_established(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut dyn Established>>
    where
        S: Unpin,
    {
        let done = match &mut self.0 {
            State::Accepting(accept) => {
                Some(ready!(Pin::new(accept).poll(cx)).map(|s| State::Server(Box::new(s))))
            }
            State::Connecting(connect) => {
                Some(ready!(Pin::new(connect).poll(cx)).map(|s| State::Client(Box::new(s))))
            }
            State::Server(_) | State::Client(_) | State::Failed => None,
        };
        match done {
            Some(Ok(established)) => self.0 = established,
            Some(Err(error)) => {
                self.0 = State::Failed;
                return Poll::Ready(Err(error));
            }
            None => {}
        }
        match &mut self.0 {
            State::Server(stream) => Poll::Ready(Ok(stream)),
            State::Client(stream) => Poll::Ready(Ok(stream)),
            State::Accepting(_) | State::Connecting(_) | State::Failed => {
                Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = ready!(self.get_mut().poll_established(cx))?;
        Pin::new(stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let stream = ready!(self.get_mut().poll_established(cx))?;
        Pin::new(stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = ready!(self.get_mut().poll_established(cx))?;
        Pin::new(stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = ready!(self.get_mut().poll_established(cx))?;
        Pin::new(stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = ready!(self.get_mut().poll_established(cx))?;
        Pin::new(stream).poll_shutdown(cx)
    }
}
