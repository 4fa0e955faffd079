//! The table of all routes.

use http::{Method, StatusCode};
use serde_json::Value;

use super::{
    call::Call,
    route::{Permission::*, Route},
};
use crate::{
    error::{RestError, RestResult},
    handlers::{
        checkpoints, cluster, exceptions, jobs, logs, metrics, programs, savepoints, task_managers,
        vertices,
    },
};

/// Everything that is served.
pub fn all() -> Vec<Route> {
    [
        of_cluster(),
        of_jobs(),
        of_vertices(),
        of_checkpoints(),
        of_metrics(),
        of_task_managers(),
        of_programs(),
    ]
    .concat()
}

fn of_cluster() -> Vec<Route> {
    vec![
        Route::get("/overview", "TaskManagers, slots and jobs in numbers.", cluster::overview),
        Route::get("/config", "What a web interface needs to know.", cluster::dashboard),
        Route::new(Method::DELETE, "/cluster", "Ends the cluster.", cluster::shutdown),
        Route::get("/openapi.json", "This API, as an OpenAPI document.", openapi),
        Route::get("/jobmanager/config", "The configuration.", cluster::configuration),
        Route::get("/jobmanager/environment", "The JobManager's process.", cluster::environment),
        Route::get("/jobmanager/thread-dump", "The threads of that process.", cluster::thread_dump),
        Route::get("/jobmanager/logs", "Its logs.", logs::list),
        Route::text("/jobmanager/logs/:filename", "One of its logs.", logs::file),
        Route::text("/jobmanager/log", "Its current log.", logs::log),
        Route::text("/jobmanager/stdout", "Its standard output.", logs::stdout),
    ]
}

/// Of all routes; one that is in the document, too.
async fn openapi(call: Call) -> RestResult<Value> {
    let document = serde_json::from_str(&call.context.openapi);
    document.map_err(|error| RestError::internal(error.to_string()))
}

fn of_jobs() -> Vec<Route> {
    let cancel = Route::new(Method::PATCH, "/jobs/:jobid", "Cancels a job.", jobs::cancel)
        .query(jobs::CANCEL_QUERY)
        .accepted()
        .needs(Cancel);
    vec![
        Route::get("/jobs", "Ids and states of all jobs.", jobs::ids),
        Route::get("/jobs/overview", "All jobs.", jobs::overview),
        Route::get("/jobs/:jobid", "A job with its vertices.", jobs::details),
        cancel,
        Route::get("/jobs/:jobid/plan", "A job's plan.", jobs::plan_of_job),
        Route::get("/jobs/:jobid/config", "A job's settings.", jobs::config),
        Route::get("/jobs/:jobid/status", "A job's state.", jobs::status),
        Route::get(
            "/jobs/:jobid/exceptions",
            "What went wrong, newest first.",
            exceptions::exceptions,
        )
        .query(exceptions::QUERY),
        Route::get("/jobs/:jobid/accumulators", "The user's accumulators.", jobs::accumulators)
            .query(jobs::ACCUMULATORS_QUERY),
        Route::get(
            "/jobs/:jobid/execution-result",
            "How a job has ended, once it has.",
            jobs::execution_result,
        ),
        Route::get(
            "/jobs/:jobid/resource-requirements",
            "Bounds of the parallelism of an elastic job's vertices.",
            jobs::resource_requirements,
        ),
        Route::with_body(
            Method::PUT,
            "/jobs/:jobid/resource-requirements",
            "Changes those bounds; the job is rescaled as slots allow.",
            jobs::update_resource_requirements,
        ),
        Route::with_body(
            Method::PATCH,
            "/jobs/:jobid/clientHeartbeat",
            "The job's client is there; without another word until then, the job is cancelled.",
            jobs::client_heartbeat,
        )
        .accepted()
        .needs(Cancel),
        Route::with_body(
            Method::POST,
            "/jobs/:jobid/coordinators/:operatorUid",
            "Asks the coordinator of an operator, by the operator's id. For clients that know it.",
            jobs::coordination_request,
        ),
        Route::get(
            "/jobs/:jobid/jobmanager/config",
            "The configuration of the job's JobManager.",
            cluster::configuration,
        ),
        Route::get(
            "/jobs/:jobid/jobmanager/environment",
            "The process of the job's JobManager.",
            cluster::environment,
        ),
    ]
}

fn of_vertices() -> Vec<Route> {
    vec![
        Route::get(
            "/jobs/:jobid/vertices/:vertexid",
            "A vertex with its subtasks.",
            vertices::details,
        ),
        Route::get(
            "/jobs/:jobid/vertices/:vertexid/subtasktimes",
            "When its subtasks entered each state.",
            vertices::times,
        ),
        Route::get(
            "/jobs/:jobid/vertices/:vertexid/taskmanagers",
            "Its subtasks by TaskManager.",
            vertices::task_managers,
        ),
        Route::get(
            "/jobs/:jobid/vertices/:vertexid/watermarks",
            "Event time of its subtasks.",
            vertices::watermarks,
        ),
        Route::get(
            "/jobs/:jobid/vertices/:vertexid/backpressure",
            "How much its subtasks wait for those after them.",
            vertices::back_pressure,
        ),
        Route::get(
            "/jobs/:jobid/vertices/:vertexid/accumulators",
            "The user's accumulators, merged over its subtasks.",
            vertices::accumulators,
        ),
        Route::get(
            "/jobs/:jobid/vertices/:vertexid/subtasks/accumulators",
            "The user's accumulators of each subtask.",
            vertices::subtask_accumulators,
        ),
        Route::get(
            "/jobs/:jobid/vertices/:vertexid/subtasks/:subtaskindex",
            "The current attempt of a subtask.",
            vertices::current_attempt,
        ),
        Route::get(
            "/jobs/:jobid/vertices/:vertexid/subtasks/:subtaskindex/attempts/:attempt",
            "An attempt of a subtask; also an earlier one, as long as it is remembered.",
            vertices::any_attempt,
        ),
        Route::get(
            "/jobs/:jobid/vertices/:vertexid/subtasks/:subtaskindex/attempts/:attempt/accumulators",
            "The user's accumulators of an attempt.",
            vertices::attempt_accumulators,
        ),
    ]
}

fn of_checkpoints() -> Vec<Route> {
    vec![
        Route::get("/jobs/:jobid/checkpoints", "Statistics of checkpoints.", checkpoints::all),
        Route::with_body(
            Method::POST,
            "/jobs/:jobid/checkpoints",
            "Takes a checkpoint. It is asked for by the id that is returned.",
            savepoints::trigger_checkpoint,
        )
        .accepted(),
        Route::get("/jobs/:jobid/checkpoints/config", "Their settings.", checkpoints::config),
        Route::get(
            "/jobs/:jobid/checkpoints/details/:checkpointid",
            "A checkpoint with its vertices.",
            checkpoints::details,
        ),
        Route::get(
            "/jobs/:jobid/checkpoints/details/:checkpointid/subtasks/:vertexid",
            "A vertex's share of a checkpoint, subtask by subtask.",
            checkpoints::subtasks,
        ),
        Route::get(
            "/jobs/:jobid/checkpoints/:triggerid",
            "How a checkpoint that was asked for stands.",
            savepoints::checkpoint_status,
        ),
        Route::with_body(
            Method::POST,
            "/jobs/:jobid/savepoints",
            "Takes a savepoint, and cancels the job afterwards if wanted. It is asked for by the id \
             that is returned.",
            savepoints::trigger,
        )
        .accepted()
        .needs(Cancel),
        Route::with_body(
            Method::POST,
            "/jobs/:jobid/stop",
            "Stops a job with a savepoint. It is asked for by the id that is returned, as any \
             savepoint.",
            savepoints::stop,
        )
        .accepted()
        .needs(Cancel),
        Route::get(
            "/jobs/:jobid/savepoints/:triggerid",
            "How a savepoint that was asked for stands.",
            savepoints::status,
        ),
        Route::with_body(
            Method::POST,
            "/savepoint-disposal",
            "Deletes a savepoint. It is asked for by the id that is returned.",
            savepoints::dispose_savepoint,
        ),
        Route::get(
            "/savepoint-disposal/:triggerid",
            "How a disposal stands.",
            savepoints::disposal_status,
        ),
    ]
}

fn of_metrics() -> Vec<Route> {
    vec![
        Route::get("/jobmanager/metrics", "Metrics of the JobManager.", metrics::job_manager)
            .query(metrics::QUERY),
        Route::get("/jobs/metrics", "Metrics over jobs.", metrics::jobs).query(metrics::JOBS_QUERY),
        Route::get("/jobs/:jobid/metrics", "Metrics of a job.", metrics::job).query(metrics::QUERY),
        Route::get(
            "/jobs/:jobid/vertices/:vertexid/metrics",
            "Metrics of a vertex; ids begin with the subtask.",
            metrics::vertex,
        )
        .query(metrics::QUERY),
        Route::get(
            "/jobs/:jobid/vertices/:vertexid/jm-operator-metrics",
            "Metrics of a vertex's coordinators.",
            metrics::coordinators,
        )
        .query(metrics::QUERY),
        Route::get(
            "/jobs/:jobid/vertices/:vertexid/subtasks/metrics",
            "Metrics over the subtasks of a vertex.",
            metrics::subtasks,
        )
        .query(metrics::SUBTASKS_QUERY),
        Route::get(
            "/jobs/:jobid/vertices/:vertexid/subtasks/:subtaskindex/metrics",
            "Metrics of a subtask.",
            metrics::subtask,
        )
        .query(metrics::QUERY),
        Route::get("/taskmanagers/metrics", "Metrics over TaskManagers.", metrics::task_managers)
            .query(metrics::TASK_MANAGERS_QUERY),
        Route::get(
            "/taskmanagers/:taskmanagerid/metrics",
            "Metrics of a TaskManager.",
            metrics::task_manager,
        )
        .query(metrics::QUERY),
    ]
}

fn of_task_managers() -> Vec<Route> {
    vec![
        Route::get("/taskmanagers", "All TaskManagers.", task_managers::all),
        Route::get(
            "/taskmanagers/:taskmanagerid",
            "A TaskManager with its slots.",
            task_managers::details,
        ),
        Route::get("/taskmanagers/:taskmanagerid/logs", "Its logs.", logs::task_manager_list),
        Route::get(
            "/taskmanagers/:taskmanagerid/thread-dump",
            "The threads of its process and of its task hosts.",
            task_managers::thread_dump,
        ),
        Route::text(
            "/taskmanagers/:taskmanagerid/logs/:filename",
            "One of its logs.",
            logs::task_manager_file,
        ),
        Route::text("/taskmanagers/:taskmanagerid/log", "Its current log.", logs::task_manager_log),
        Route::text(
            "/taskmanagers/:taskmanagerid/stdout",
            "Its standard output.",
            logs::task_manager_stdout,
        ),
    ]
}

fn of_programs() -> Vec<Route> {
    let mut routes = vec![
        Route::get("/binaries", "Programs that were uploaded, newest first.", programs::list)
            .needs(Submit),
        Route::upload(
            "/binaries/upload",
            "Uploads a program: one file of a form. It is named by its content.",
            programs::upload,
        )
        .needs(Submit),
        Route::get("/binaries/:jarid", "One of them.", programs::info).needs(Submit),
        Route::new(Method::DELETE, "/binaries/:jarid", "Deletes a program.", programs::delete)
            .needs(Submit),
        Route::with_body(Method::POST, "/binaries/:jarid/run", "Runs a program.", programs::run)
            .query(programs::RUN_QUERY)
            .needs(Submit),
        Route::with_body(
            Method::POST,
            "/binaries/:jarid/plan",
            "The plan of a program, without running it.",
            programs::plan_of,
        )
        .query(programs::QUERY)
        .needs(Submit),
    ];
    // Flink's: with GET, the arguments are in the query.
    let plan = &routes[5];
    routes.push(plan.by(Method::GET));
    let under_jars = [
        "/jars",
        "/jars/upload",
        "/jars/:jarid",
        "/jars/:jarid",
        "/jars/:jarid/run",
        "/jars/:jarid/plan",
        "/jars/:jarid/plan",
    ];
    let jars: Vec<Route> =
        routes.iter().zip(under_jars).map(|(route, path)| route.at(path)).collect();
    routes.extend(jars);
    debug_assert!(routes.iter().all(|route| route.status == StatusCode::OK));
    routes
}
