//! Logs: of the JobManager and of TaskManagers; lists, and files as they are read.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures::StreamExt;
use hurtig_cluster_api::LogSource;

use crate::{
    error::{RestError, RestResult},
    messages::cluster::{LogInfo, LogListInfo},
    server::{call::Call, reply::Reply},
};

/// Bytes that are read at once.
const CHUNK_BYTES: u32 = 64 * 1024;

/// Most bytes of one answer: a log that grows as fast as it is read must end.
const LARGEST_LOG_BYTES: u64 = 1 << 30;

fn job_manager_logs(call: &Call) -> RestResult<Arc<dyn LogSource>> {
    let logs = call.context.services.logs.clone();
    logs.ok_or_else(|| RestError::unavailable("the JobManager keeps no logs"))
}

async fn list_of(source: &dyn LogSource) -> RestResult<LogListInfo> {
    let logs = source.list_logs().await?.into_iter().map(|log| LogInfo {
        name: log.name,
        size: log.size_bytes,
        mtime: log.modified_ms,
    });
    Ok(LogListInfo { logs: logs.collect() })
}

pub(crate) async fn list(call: Call) -> RestResult<LogListInfo> {
    match &call.context.services.logs {
        Some(logs) => list_of(&**logs).await,
        None => Ok(LogListInfo::default()),
    }
}

pub(crate) async fn file(call: Call) -> RestResult<Reply> {
    let name: String = call.parameter("filename")?;
    read(job_manager_logs(&call)?, name).await
}

/// Of the files that end in the given way, the one that was written last.
async fn newest(logs: Arc<dyn LogSource>, ending: &str) -> RestResult<Reply> {
    let files = logs.list_logs().await?.into_iter();
    let newest = files.filter(|file| file.name.ends_with(ending)).max_by_key(|f| f.modified_ms);
    let newest = newest.ok_or_else(|| RestError::not_found("The process has no such file."))?;
    read(logs, newest.name).await
}

pub(crate) async fn log(call: Call) -> RestResult<Reply> {
    newest(job_manager_logs(&call)?, ".log").await
}

pub(crate) async fn stdout(call: Call) -> RestResult<Reply> {
    newest(job_manager_logs(&call)?, ".out").await
}

/// The logs of the request's TaskManager.
pub(super) async fn task_manager_logs(call: &Call) -> RestResult<Arc<dyn LogSource>> {
    let id = call.task_manager()?;
    super::task_managers::find(call, id).await?;
    let logs = call.context.services.task_manager_logs.as_ref();
    let logs = logs.ok_or_else(|| RestError::unavailable("TaskManagers keep no logs"))?;
    let of_it = logs.of_task_manager(id).await;
    of_it.ok_or_else(|| RestError::unavailable(format!("TaskManager {id} cannot be asked")))
}

pub(crate) async fn task_manager_list(call: Call) -> RestResult<LogListInfo> {
    if call.context.services.task_manager_logs.is_none() {
        super::task_managers::find(&call, call.task_manager()?).await?;
        return Ok(LogListInfo::default());
    }
    list_of(&*task_manager_logs(&call).await?).await
}

pub(crate) async fn task_manager_file(call: Call) -> RestResult<Reply> {
    let name: String = call.parameter("filename")?;
    read(task_manager_logs(&call).await?, name).await
}

pub(crate) async fn task_manager_log(call: Call) -> RestResult<Reply> {
    newest(task_manager_logs(&call).await?, ".log").await
}

pub(crate) async fn task_manager_stdout(call: Call) -> RestResult<Reply> {
    newest(task_manager_logs(&call).await?, ".out").await
}

/// A file, chunk by chunk. The first is read before the answer begins, so that an unknown name is
/// an error with its own status.
async fn read(source: Arc<dyn LogSource>, name: String) -> RestResult<Reply> {
    // Whoever keeps the logs checks it too.
    if name.contains(['/', '\\', '\0']) || name.contains("..") {
        return Err(RestError::not_found(format!("There is no file {name:?}.")));
    }
    let first = source.read_log(name.clone(), 0, CHUNK_BYTES).await?;
    let begin = (source, name, 0u64, Some(first));
    let chunks = futures::stream::unfold(begin, |(source, name, offset, read)| async move {
        let chunk = match read {
            Some(first) => Ok(first),
            None => source.read_log(name.clone(), offset, CHUNK_BYTES).await,
        };
        match chunk {
            Ok(chunk) if chunk.is_empty() || offset >= LARGEST_LOG_BYTES => None,
            Ok(chunk) => {
                let next = offset + chunk.len() as u64;
                Some((Ok(Bytes::from(chunk)), (source, name, next, None)))
            }
            Err(error) => {
                // The end is never reached after this: the answer breaks off.
                let state = (source, name, LARGEST_LOG_BYTES, Some(Vec::new()));
                Some((Err(io::Error::other(error.to_string())), state))
            }
        }
    });
    Ok(Reply::Text(chunks.boxed()))
}
