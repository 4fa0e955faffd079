//! The API as a user meets it: whole jobs in an embedded cluster.

#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods)] // some tests look at how long the caller waited

mod configuration;
mod damage;
mod examples;
mod keyed;
mod local_recovery;
mod programs;
mod recovery;
mod savepoints;
mod state;
mod word_count;
