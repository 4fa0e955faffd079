//! The whole embedded cluster from a seed: on one thread, in simulated time, with faults.
//!
//! A [`Scenario`] is drawn from a seed: which program, on which cluster, with which checkpoints,
//! and what goes wrong when. [`run`] lets it happen: all roles and tasks share one runtime of one
//! thread whose clock is paused, and jumps to the next timer when nobody has anything to do. The
//! engine is the one that users run; what differs is what it stands on
//! ([`hurtig_minicluster::ClusterSurroundings`]), and faults come only through decorators of that:
//!
//! | What | Decorator |
//! |---|---|
//! | calls between roles: late, lost, without an answer | [`gateways`] |
//! | the data plane: late, cut | [`transport`] |
//! | the store: slow, refusing, failing behind the effect, torn writes | [`store`] |
//! | disks with local copies: full, changing what is written, losing it | [`local_disk`] |
//! | the records of high availability: failing, without an answer | [`records`] |
//! | user code, sources, sinks, commits: errors and panics | [`programs`], [`input`], [`external`] |
//! | TaskExecutors, JobMasters, JobManagers: killed, replaced | [`run`](mod@run) |
//!
//! Properties are checked at every step and at the end: see [`check`].
//!
//! # To replay a seed
//!
//! `cargo run --release -p hurtig-sim -- --seed 4711` prints the scenario, everything that
//! happens, and what is wrong with it. `--seeds N` runs the seeds 0 to N-1 on all cores, and prints
//! those that fail; `--from M` begins at M. `--twice` runs each seed twice and compares the hashes
//! of what has happened. `--calm` leaves the faults out. `--log FILTER` shows the engine's own log, too.
//!
//! # To add a fault
//!
//! A variant of [`faults::Fault`], a line in `Fault::draw`, and its effect: in
//! [`faults::Weather`] and the decorator that asks for it, or in the driver in [`run`](mod@run).
//! New kinds of draws change what all seeds mean.
//!
//! # To add a program
//!
//! See [`programs`].
//!
//! # What must hold for a run to be repeatable
//!
//! Nothing in the engine may depend on the system's clock, on threads, on addresses, or on the
//! order of a `std` hash map: where order shows, there is a `BTreeMap`; `select!` is `biased`.
//! Deliberately absent: other schedules of the same messages. Tasks run in the order in which they
//! were woken; delays of messages, reads and requests are what varies.

pub mod check;
pub mod external;
pub mod faults;
pub mod gateways;
pub mod input;
pub mod local_disk;
pub mod programs;
pub mod random;
pub mod records;
pub mod run;
pub mod scenario;
pub mod store;
pub mod transport;
pub mod world;

pub use run::{Report, run};
pub use scenario::Scenario;
