//! The data plane in memory, with connections that break and bytes that are late.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use futures::future::BoxFuture;
use hurtig_network::{BoxedStream, Listener, MemoryTransport, Transport};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

use crate::world::World;

/// Whether one end of a connection is cut, and who waits for it.
#[derive(Default)]
struct End {
    cut: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Wraps connections in memory.
#[derive(Clone)]
pub struct SimTransport {
    world: World,
    inner: MemoryTransport,
    ends: Arc<Mutex<Vec<Weak<Mutex<End>>>>>,
}

impl SimTransport {
    /// Connections of that world.
    pub fn new(world: World) -> Self {
        Self { world, inner: MemoryTransport::default(), ends: Arc::default() }
    }

    /// Breaks every connection that there is.
    pub fn cut_all(&self) {
        let ends = std::mem::take(&mut *self.ends.lock());
        for end in ends.iter().filter_map(Weak::upgrade) {
            let mut end = end.lock();
            end.cut = true;
            end.reader.take().into_iter().chain(end.writer.take()).for_each(Waker::wake);
        }
    }

    fn wrap(&self, inner: BoxedStream) -> BoxedStream {
        let end = Arc::new(Mutex::new(End::default()));
        let mut ends = self.ends.lock();
        ends.retain(|end| end.strong_count() > 0);
        ends.push(Arc::downgrade(&end));
        Box::new(SimStream { inner, end, world: self.world.clone(), late: None, on_time: false })
    }
}

impl Transport for SimTransport {
    fn listen(&self) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async {
            let inner = self.inner.listen().await?;
            Ok(Box::new(SimListener { inner, transport: self.clone() }) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<BoxedStream>> {
        Box::pin(async move {
            self.world.note(format_args!("connect {address}"));
            tokio::time::sleep(Duration::from_millis(self.world.network_delay_ms())).await;
            Ok(self.wrap(self.inner.connect(address).await?))
        })
    }
}

struct SimListener {
    inner: Box<dyn Listener>,
    transport: SimTransport,
}

impl Listener for SimListener {
    fn address(&self) -> String {
        self.inner.address()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<BoxedStream>> {
        Box::pin(async {
            let stream = self.inner.accept().await?;
            Ok(self.transport.wrap(stream))
        })
    }
}

struct SimStream {
    inner: BoxedStream,
    end: Arc<Mutex<End>>,
    world: World,
    /// The next bytes are late.
    late: Option<Pin<Box<Sleep>>>,
    /// The next bytes have been late already.
    on_time: bool,
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the connection was cut")
}

impl SimStream {
    fn check(&self, context: &Context<'_>, reads: bool) -> io::Result<()> {
        let mut end = self.end.lock();
        if end.cut {
            return Err(broken());
        }
        let waker = if reads { &mut end.reader } else { &mut end.writer };
        *waker = Some(context.waker().clone());
        Ok(())
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context, true)?;
        if self.late.is_none() && !self.on_time {
            let delay_ms = self.world.network_delay_ms();
            if delay_ms > 0 {
                let sleep = tokio::time::sleep(Duration::from_millis(delay_ms));
                self.late = Some(Box::pin(sleep));
            }
        }
        if let Some(late) = &mut self.late {
            ready!(late.as_mut().poll(context));
            self.late = None;
            self.on_time = true;
        }
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        self.on_time = false;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context, false)?;
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context, false)?;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
