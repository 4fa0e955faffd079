//! Options of metrics.

use std::time::Duration;

use crate::option::options;

options! {
    /// Names of the reporters that run. Not set, all that are configured.
    Planned REPORTERS_LIST: Option<String> = "metrics.reporters";

    /// Time between two latency markers of a source. 0 turns them off.
    Planned LATENCY_INTERVAL: Duration = "metrics.latency.interval", default "0 ms";

    /// How finely latency is kept: single, operator or subtask.
    Planned LATENCY_SOURCE_GRANULARITY: String = "metrics.latency.granularity",
        default "operator";

    /// Time between two updates of the metrics that the web interface shows.
    Planned METRIC_FETCHER_UPDATE_INTERVAL: Duration = "metrics.fetcher.update-interval",
        default "10 s";

    /// Character between the parts of a metric's name.
    Planned SCOPE_DELIMITER: String = "metrics.scope.delimiter", default ".";

    /// Metrics of the machine are reported too.
    Planned SYSTEM_RESOURCE_METRICS: bool = "metrics.system-resource", default "false";

    /// Port at which a process is asked for its metrics.
    Planned QUERY_SERVICE_PORT: String = "metrics.internal.query-service.port", default "0";
}
