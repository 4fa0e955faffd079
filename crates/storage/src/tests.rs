//! Hostile bytes, and the storage on local files and in memory.

mod checkpoints;
mod dispose;
mod format;
mod local;
mod metadata;
mod sample;
