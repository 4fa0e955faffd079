//! `/jobs/:jobid/exceptions`.

use std::collections::BTreeMap;

use hurtig_cluster_api::{
    ExceptionHistoryEntry, FailureClass, FailureInfo, RootExceptionHistoryEntry,
};

use super::job_details;
use crate::{
    error::{RestError, RestResult},
    messages::{
        jobs::{
            ExceptionInfo, JobExceptionHistory, JobExceptionsInfoWithHistory, RootExceptionInfo,
        },
        operations::SerializedThrowable,
    },
    server::{call::Call, route::QueryParameter},
};

/// Failures that are told unless `maxExceptions` says otherwise, as in Flink.
const DEFAULT_EXCEPTIONS: usize = 20;

pub(crate) const QUERY: &[QueryParameter] = &[
    QueryParameter {
        name: "maxExceptions",
        description: "Most failures to return; 20 by default.",
    },
    QueryParameter {
        name: "failureLabelFilter",
        description: "Only failures with these labels: key:value, comma-separated.",
    },
];

pub(crate) async fn exceptions(call: Call) -> RestResult<JobExceptionsInfoWithHistory> {
    let most = call.query("maxExceptions")?.unwrap_or(DEFAULT_EXCEPTIONS);
    let labels = call.query_list("failureLabelFilter").into_iter().map(|label| {
        let pair = label.split_once(':').map(|(k, v)| (k.to_owned(), v.to_owned()));
        pair.ok_or_else(|| RestError::bad_request(format!("{label:?} is not a key:value pair")))
    });
    let labels = labels.collect::<RestResult<Vec<_>>>()?;
    let details = job_details(&call).await?;
    Ok(JobExceptionsInfoWithHistory {
        exception_history: history(&details.exceptions, most, &labels),
    })
}

fn history(
    entries: &[RootExceptionHistoryEntry],
    most: usize,
    labels: &[(String, String)],
) -> JobExceptionHistory {
    let newest_first = entries.iter().rev().map(|entry| RootExceptionInfo {
        exception: info(&entry.root),
        concurrent_exceptions: entry.concurrent.iter().map(info).collect(),
    });
    let wanted = newest_first.filter(|entry| {
        let has = |(key, value): &(String, String)| {
            entry.exception.failure_labels.get(key) == Some(value)
        };
        labels.iter().all(has)
    });
    let mut entries: Vec<RootExceptionInfo> = wanted.collect();
    let truncated = entries.len() > most;
    entries.truncate(most);
    JobExceptionHistory { entries, truncated }
}

/// The name of a failure's class.
fn class_name(class: FailureClass) -> &'static str {
    match class {
        FailureClass::User => "UserError",
        FailureClass::External => "ExternalError",
        FailureClass::InputLost => "InputLost",
        FailureClass::DamagedState(_) => "DamagedState",
        FailureClass::Internal => "InternalError",
        FailureClass::Fatal => "FatalError",
    }
}

fn info(entry: &ExceptionHistoryEntry) -> ExceptionInfo {
    let ExceptionHistoryEntry { failure, location } = entry;
    // Flink's labels come from plug-ins; this one is what its own of the same key tells.
    let kind = if failure.class == FailureClass::User { "USER" } else { "SYSTEM" };
    ExceptionInfo {
        exception_name: class_name(failure.class).to_owned(),
        stacktrace: failure.message.clone(),
        timestamp: failure.timestamp_ms,
        failure_labels: BTreeMap::from([("type".to_owned(), kind.to_owned())]),
        task_name: failure.task.clone(),
        endpoint: location.as_ref().map(|location| location.address.clone()),
        task_manager_id: location.as_ref().map(|location| location.resource.to_string()),
    }
}

/// A failure as operations and results tell it.
pub(crate) fn throwable(failure: &FailureInfo) -> SerializedThrowable {
    SerializedThrowable {
        class: class_name(failure.class).to_owned(),
        stack_trace: failure.to_string(),
        serialized_throwable: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(class: FailureClass, at: i64) -> RootExceptionHistoryEntry {
        let failure = FailureInfo { class, message: "no".to_owned(), task: None, timestamp_ms: at };
        let root = ExceptionHistoryEntry { failure, location: None };
        RootExceptionHistoryEntry { root, concurrent: Vec::new() }
    }

    #[test]
    fn the_newest_come_first_and_more_are_announced() {
        let entries = [
            failure(FailureClass::User, 1),
            failure(FailureClass::External, 2),
            failure(FailureClass::User, 3),
        ];
        let times = |history: &JobExceptionHistory| -> Vec<i64> {
            history.entries.iter().map(|entry| entry.exception.timestamp).collect()
        };
        let two = history(&entries, 2, &[]);
        assert_eq!((times(&two), two.truncated), (vec![3, 2], true));
        let label = ("type".to_owned(), "USER".to_owned());
        let of_users = history(&entries, 2, &[label]);
        assert_eq!((times(&of_users), of_users.truncated), (vec![3, 1], false));
    }
}
