//! TLS between the processes of a cluster, calls and records alike, and towards clients of REST.
//!
//! - [`InternalTls`] is made from `security.ssl.internal.*`, and turns connections into encrypted
//!   ones, from either side.
//! - A [`TlsStream`] performs its handshake when it is first read or written, so that whoever
//!   accepts connections never waits for one of them.
//!
//! **Both sides prove who they are**, as in Flink: a process is of the cluster if its certificate
//! chains to the trusted ones. Host names are not compared, since processes come and go and may
//! share one certificate; so what is trusted should be an authority of the cluster's own.
//!
//! **Files are PEM**, where Flink takes Java key stores:
//!
//! | Option | Content |
//! |---|---|
//! | `security.ssl.internal.keystore` | the private key (PKCS#8, PKCS#1 or SEC1, not encrypted) and the chain of certificates, the process's own first |
//! | `security.ssl.internal.truststore` | the trusted certificates |
//!
//! `openssl pkcs12 -in keystore.p12 -nodes` turns one into the other. Passwords have no meaning
//! here: the key's file must be readable by the process alone.
//!
//! REST has settings of its own, `security.ssl.rest.*`: see [`RestServerTls`] and [`RestClientTls`].
//!
//! Deliberately absent: revocation lists, and reloading of files; a process reads them when it
//! starts.

mod files;
mod internal;
mod rest;
mod stream;
mod verify;

pub use files::TlsError;
pub use internal::{InternalTls, Protocol};
pub use rest::{RestClientTls, RestServerTls};
pub use stream::TlsStream;
