//! Every option, one table per topic.
//!
//! Keys, deprecated keys, types and defaults are those of Flink 2; descriptions say what an option
//! does here. Options of Flink that are about the JVM are known by their prefix, so that a Flink
//! configuration can be used as it is.
//!
//! Deliberately absent: options of connectors, formats and SQL, which belong to their crates.

use std::{collections::HashMap, sync::OnceLock};

use crate::option::{OptionPrefix, OptionSpec};

pub mod adaptive;
pub mod checkpointing;
pub mod client;
pub mod cluster;
pub mod filesystem;
pub mod job_manager;
pub mod metrics;
pub mod pipeline;
mod prefixes;
pub mod resource_manager;
pub mod rest;
pub mod restart;
pub mod rpc;
pub mod security;
pub mod state;
pub mod task_manager;

static TABLES: &[&[&OptionSpec]] = &[
    pipeline::OPTIONS,
    checkpointing::OPTIONS,
    restart::OPTIONS,
    state::OPTIONS,
    filesystem::OPTIONS,
    cluster::OPTIONS,
    client::OPTIONS,
    job_manager::OPTIONS,
    adaptive::OPTIONS,
    resource_manager::OPTIONS,
    rest::OPTIONS,
    rpc::OPTIONS,
    task_manager::OPTIONS,
    metrics::OPTIONS,
    security::OPTIONS,
];

/// What a key stands for.
#[derive(Clone, Copy, Debug)]
pub enum Known {
    /// An option, by its key or a deprecated one.
    Option(&'static OptionSpec),
    /// An entry of a map option.
    MapEntry(&'static OptionSpec),
    /// A key of which only the beginning is known.
    Prefix(&'static OptionPrefix),
}

/// All options, table by table.
pub fn options() -> impl Iterator<Item = &'static OptionSpec> {
    TABLES.iter().copied().flatten().copied()
}

/// All prefixes.
pub fn prefixes() -> &'static [OptionPrefix] {
    prefixes::PREFIXES
}

fn by_key() -> &'static HashMap<&'static str, &'static OptionSpec> {
    static BY_KEY: OnceLock<HashMap<&'static str, &'static OptionSpec>> = OnceLock::new();
    BY_KEY.get_or_init(|| {
        let keys = |spec: &'static OptionSpec| {
            [spec.key].into_iter().chain(spec.deprecated.iter().copied())
        };
        options().flat_map(|spec| keys(spec).map(move |key| (key, spec))).collect()
    })
}

/// The option of a key, which may be a deprecated one.
pub fn option(key: &str) -> Option<&'static OptionSpec> {
    by_key().get(key).copied()
}

/// What a key stands for; `None` if it is unknown.
pub fn lookup(key: &str) -> Option<Known> {
    if let Some(spec) = option(key) {
        return Some(Known::Option(spec));
    }
    let below = |prefix: &str| key.starts_with(prefix) && !key.ends_with('.');
    let entry = |spec: &&OptionSpec| {
        spec.is_map()
            && key.strip_prefix(spec.key).is_some_and(|r| r.len() > 1 && r.starts_with('.'))
    };
    let map = options().find(entry).map(Known::MapEntry);
    map.or_else(|| prefixes().iter().find(|p| below(p.prefix)).map(Known::Prefix))
}

/// The known key that is most like an unknown one, if any is like it.
pub fn nearest(key: &str) -> Option<&'static str> {
    const LONGEST: usize = 128;
    if key.len() > LONGEST {
        return None;
    }
    let lower = key.to_ascii_lowercase();
    let distance = |known: &str| strsim::osa_distance(&known.to_ascii_lowercase(), &lower);
    let candidates = options().map(|spec| (distance(spec.key), spec.key));
    let best = candidates.min().filter(|(distance, _)| *distance <= 2.max(key.len() / 5));
    // Failing that, the key may lack its beginning or end.
    let part = |spec: &&OptionSpec| {
        let dots = lower.matches('.').count();
        let end = spec.key.match_indices('.').nth(dots).map_or(spec.key.len(), |(at, _)| at);
        lower.len() >= 6
            && (spec.key.to_ascii_lowercase().ends_with(&lower) || distance(&spec.key[..end]) <= 2)
    };
    best.map(|(_, key)| key).or_else(|| options().find(part).map(|spec| spec.key))
}
