//! Options of state backends.

use std::time::Duration;

use crate::{option::options, value::StateBackendType};

options! {
    /// Where the working state of tasks lives.
    Planned STATE_BACKEND: StateBackendType = "state.backend.type", default "hashmap",
        was ["state.backend"];

    /// The backend measures how long each access to state takes.
    Planned LATENCY_TRACK_ENABLED: bool = "state.latency-track.keyed-state-enabled",
        default "false", was ["state.backend.latency-track.keyed-state-enabled"];

    /// One access in so many is measured.
    Planned LATENCY_TRACK_SAMPLE_INTERVAL: u32 = "state.latency-track.sample-interval",
        default "100", was ["state.backend.latency-track.sample-interval"];

    /// Snapshots consist of changes that are written all the time.
    Planned STATE_CHANGELOG_ENABLED: bool = "state.changelog.enabled", default "false",
        was ["state.backend.changelog.enabled"];

    /// Time between two materialisations of state with a changelog.
    Planned STATE_CHANGELOG_MATERIALIZATION_INTERVAL: Duration =
        "state.changelog.periodic-materialize.interval", default "10 min",
        was ["state.backend.changelog.periodic-materialize.interval"];
}
