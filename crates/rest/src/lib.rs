//! Flink's REST API, version 1: what people, tools and the command line talk to a cluster with.
//!
//! - [`messages`]: what goes over the wire, with Flink's field names; shared by both sides.
//! - [`server`]: listens, limits, authenticates, finds the route, answers. Its [`server::routes`]
//!   are one table, from which requests are served and [`openapi`] is made.
//! - [`handlers`]: one function per route; plain data of the Dispatcher in, a message out.
//! - [`operations`]: savepoints and what else takes its time: started, then asked for by trigger id.
//! - [`client`]: a typed client.
//!
//! Paths, fields, states and errors are Flink 2.3's. What has no meaning here (garbage collectors,
//! flame graphs, cached data sets) is absent, or empty where a client would stumble.
//!
//! Invariants: nothing that comes from a socket is believed or kept beyond a named bound; an error
//! is `{"errors": [...]}`; a handler touches the cluster only through the gateways.
//!
//! Deliberately absent: decisions about jobs, and any state of them. Whatever is asked for is asked
//! of the cluster again.

pub mod client;
pub mod error;
pub mod handlers;
pub mod messages;
mod metric_source;
pub mod openapi;
pub mod operations;
pub mod server;

pub use client::{ClientError, LeaderLocator, RestClient};
pub use error::RestError;
pub use operations::TriggerId;
pub use server::{
    RestServer, RestServerConfig, RestServerError, RestServices, ShutdownRequest, TaskManagerLogs,
};
