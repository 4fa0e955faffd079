//! The surroundings of the engine: clock, threads and wake-ups, so that a test can replace them.
//!
//! - [`Clock`] is the only source of time. Its wall clock advances with tokio's clock, so a
//!   runtime with paused time simulates both.
//! - [`Runtimes`] holds the two executors: *compute* for tasks, *control* for actors, heartbeats
//!   and network I/O, so that a busy task never starves a heartbeat. In simulation both are the
//!   same single-threaded runtime.
//! - [`Pace`] says how many records to handle before looking up again.
//! - [`Background`] is work beside a task, whose end wakes it.
//! - [`Doorway`] bounds those who have connected and shown nothing yet.
//! - [`Signal`] wakes one waiting task; posting it is cheap when nobody waits.
//!
//! Deliberately absent: randomness (callers carry seeds) and any global.

pub mod background;
pub mod clock;
pub mod doorway;
pub mod pace;
pub mod runtimes;
pub mod signal;

pub use background::Background;
pub use clock::Clock;
pub use doorway::{Doorway, Visitor};
pub use pace::Pace;
pub use runtimes::{OwnedRuntimes, Runtimes, with_stack};
pub use signal::Signal;
