//! Snapshots put together by hand: what is read from them, and what is refused.

mod hostile;
mod lists;
mod sample;
