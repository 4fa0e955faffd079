//! A task between its neighbours, under random interleavings of all that can happen to it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cluster;
mod dice;
mod interleavings;
mod neighbours;
mod plan;
mod tally;
