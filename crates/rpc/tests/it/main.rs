//! Gateways between processes, through real sockets.

mod contract;
mod exports;
mod fabricate;
mod hostile;
mod recorder;
mod support;
mod wire;
