//! Operators as their tasks see them: driven by scripts, and against naive models.

#![allow(clippy::unwrap_used)]

mod broadcast;
mod harness;
mod state;
mod timers;
mod window_model;
mod window_state;
mod windows;
