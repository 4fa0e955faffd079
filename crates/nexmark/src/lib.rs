//! The Nexmark event stream, generated: event `i` is a pure function of `i`.
//!
//! `GENERATOR.md` beside this crate is the specification; `testdata/`, `golden/` and `queries/`
//! hold its test vectors, the result rows that Flink 2.3 gave for it, and the queries. Because
//! there is no seed, no clock and no state, two engines can be compared on identical input and a
//! source resumes from an index alone.
//!
//! * [`generator`] iterates the events of one split; this is what a source runs.
//! * [`lazy`] is the definition of every column, computed only when asked for.
//! * [`model`] holds the complete records.
//! * [`projection`] names columns, for readers that want only some of them.
//! * `columns` (feature `arrow`) generates Arrow record batches of just those columns.
//!
//! Deliberately absent: any connector or watermark (sources belong to the connectors), pacing
//! by wall-clock time, and query code.

mod arithmetic;
#[cfg(feature = "arrow")]
pub mod columns;
pub mod generator;
pub mod lazy;
pub mod model;
pub mod projection;
mod tables;

pub use generator::{Events, NexmarkGenerator, SplitError};
pub use lazy::{LazyAuction, LazyBid, LazyPerson};
pub use model::{Auction, Bid, Event, EventKind, Person};
pub use projection::{
    AuctionColumn, BidColumn, Column, ColumnSet, PersonColumn, Projection, UnknownColumn,
};
