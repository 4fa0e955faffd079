//! Child processes that run somebody else's code, and end with this process.
//!
//! 1. [`ProcessSupervisor::spawn`] starts a program, by way of a launcher ([`exec_as_child`]): a
//!    first program of ours that asks the kernel to be killed when its parent has gone, and then
//!    becomes the program. So it is killed from its first instruction on, whatever it does.
//! 2. Its standard input is a pipe that nothing is written to: a program that knows of it reads
//!    the end of its parent there ([`ProcessHandle::hang_up`] closes it too).
//! 3. What it writes to standard output and standard error goes to files that roll ([`output`]).
//! 4. [`ProcessHandle::exited`] tells how it ended. Before its id is given back, all processes of
//!    its group are killed: what it has started goes with it.
//!
//! Invariants: no process outlives its handle, nor the supervisor's process; none is left unreaped;
//! ids are not used once they may belong to somebody else.
//!
//! Deliberately absent: restarts, and any word of protocol with the child.

mod launch;
pub mod output;
mod random;
mod supervisor;

pub use launch::{LaunchError, exec_as_child, follow_parent};
pub use output::OutputOptions;
pub use random::random_bits;
pub use supervisor::{
    ExitReason, ProcessExit, ProcessHandle, ProcessSpec, ProcessSupervisor, SpawnError,
};
