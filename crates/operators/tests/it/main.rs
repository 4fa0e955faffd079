//! Operators as their tasks see them: driven by scripts, and against naive models.

#![allow(clippy::unwrap_used)]

mod harness;
mod restored;
mod timers;
mod window_model;
mod windows;
