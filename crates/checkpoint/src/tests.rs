//! The coordinator as text scripts, its invariants under random events, and the assignment of
//! state against what it must preserve.

mod assign;
mod lifecycle;
mod random;
mod retention;
mod savepoints;
mod script;
mod stopping;
