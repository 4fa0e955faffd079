//! TLS over another transport.

use std::{io, sync::Arc};

use futures::future::BoxFuture;
use hurtig_tls::InternalTls;

use super::{BoxedStream, Listener, Transport};

/// Another transport's connections, encrypted. The handshake happens when a connection is first
/// used, within the time for the handshake of the network stack itself.
#[derive(Clone)]
pub struct TlsTransport {
    below: Arc<dyn Transport>,
    tls: InternalTls,
}

impl TlsTransport {
    /// Encrypts the connections of `below`.
    pub fn new(below: Arc<dyn Transport>, tls: InternalTls) -> Self {
        Self { below, tls }
    }
}

struct TlsAccept(Box<dyn Listener>, InternalTls);

impl Listener for TlsAccept {
    fn address(&self) -> String {
        self.0.address()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<BoxedStream>> {
        Box::pin(async {
            let stream = self.0.accept().await?;
            Ok(Box::new(self.1.accept(stream)) as BoxedStream)
        })
    }
}

impl Transport for TlsTransport {
    fn listen(&self) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async {
            let listener = self.below.listen().await?;
            Ok(Box::new(TlsAccept(listener, self.tls.clone())) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<BoxedStream>> {
        Box::pin(async move {
            let stream = self.below.connect(address).await?;
            Ok(Box::new(self.tls.connect(stream)) as BoxedStream)
        })
    }
}
