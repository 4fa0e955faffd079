//! Options of metrics.

use std::{num::NonZeroU32, time::Duration};

use crate::option::options;

options! {
    /// Names of the reporters that run. Not set, all that are configured.
    Effective REPORTERS_LIST: Option<String> = "metrics.reporters";

    /// Time between two latency markers of a source. 0 turns them off.
    Effective LATENCY_INTERVAL: Duration = "metrics.latency.interval", default "0 ms";

    /// How finely latency is kept: single, operator or subtask.
    Effective LATENCY_SOURCE_GRANULARITY: String = "metrics.latency.granularity",
        default "operator";

    /// Samples of latency that are kept of each pair of source and operator.
    Effective LATENCY_HISTORY_SIZE: NonZeroU32 = "metrics.latency.history-size", default "128";

    /// Name of a JobManager's scope: components between dots, variables in angle brackets.
    Effective SCOPE_NAMING_JM: String = "metrics.scope.jm", default "<host>.jobmanager";

    /// Name of the scope of a job in a JobManager.
    Effective SCOPE_NAMING_JM_JOB: String = "metrics.scope.jm-job",
        default "<host>.jobmanager.<job_name>", was ["metrics.scope.jm.job"];

    /// Name of the scope of an operator's coordinator.
    Effective SCOPE_NAMING_JM_OPERATOR: String = "metrics.scope.jm-operator",
        default "<host>.jobmanager.<job_name>.<operator_name>";

    /// Name of a TaskManager's scope.
    Effective SCOPE_NAMING_TM: String = "metrics.scope.tm",
        default "<host>.taskmanager.<tm_id>";

    /// Name of the scope of a job in a TaskManager.
    Effective SCOPE_NAMING_TM_JOB: String = "metrics.scope.tm-job",
        default "<host>.taskmanager.<tm_id>.<job_name>", was ["metrics.scope.tm.job"];

    /// Name of a task's scope.
    Effective SCOPE_NAMING_TASK: String = "metrics.scope.task",
        default "<host>.taskmanager.<tm_id>.<job_name>.<task_name>.<subtask_index>";

    /// Name of an operator's scope.
    Effective SCOPE_NAMING_OPERATOR: String = "metrics.scope.operator",
        default "<host>.taskmanager.<tm_id>.<job_name>.<operator_name>.<subtask_index>";

    /// Time between two updates of the metrics that the web interface shows.
    Planned METRIC_FETCHER_UPDATE_INTERVAL: Duration = "metrics.fetcher.update-interval",
        default "10 s";

    /// Character between the parts of a metric's name.
    Effective SCOPE_DELIMITER: String = "metrics.scope.delimiter", default ".";

    /// Metrics of the machine are reported too.
    Planned SYSTEM_RESOURCE_METRICS: bool = "metrics.system-resource", default "false";

    /// Port at which a process is asked for its metrics.
    Planned QUERY_SERVICE_PORT: String = "metrics.internal.query-service.port", default "0";
}
