//! Programs: upload, list, plan, run, delete.

use std::sync::Arc;

use hurtig_cluster_api::{BlobService, ProgramRequest, ProgramRunner};
use hurtig_graph::RestoreFrom;
use hurtig_types::{BlobId, RecoveryClaimMode};

use super::plan::plan;
use crate::{
    error::{RestError, RestResult},
    messages::{
        EmptyResponseBody,
        programs::{
            ClaimMode, JarEntryInfo, JarFileInfo, JarListInfo, JarRunRequestBody,
            JarRunResponseBody, JarUploadResponseBody, ProgramPlanInfo,
        },
    },
    server::{
        call::{Call, Upload},
        route::QueryParameter,
    },
};

/// Most arguments of a program.
const MOST_ARGUMENTS: usize = 4096;

pub(crate) const QUERY: &[QueryParameter] = &[
    QueryParameter {
        name: "programArg",
        description: "Arguments of the program, comma-separated; the request's body goes first.",
    },
    QueryParameter { name: "entry-class", description: "Ignored: a binary has one main function." },
    QueryParameter { name: "parallelism", description: "Parallelism of operators that set none." },
];

pub(crate) const RUN_QUERY: &[QueryParameter] = &[
    QUERY[0],
    QUERY[1],
    QUERY[2],
    QueryParameter {
        name: "allowNonRestoredState",
        description: "State that no operator wants is left out, instead of refusing to start.",
    },
    QueryParameter {
        name: "savepointPath",
        description: "The checkpoint or savepoint to start from.",
    },
];

fn blobs(call: &Call) -> RestResult<Arc<dyn BlobService>> {
    let blobs = call.context.services.blobs.clone();
    blobs.ok_or_else(|| RestError::unavailable("this cluster takes no programs"))
}

fn programs(call: &Call) -> RestResult<Arc<dyn ProgramRunner>> {
    let programs = call.context.services.programs.clone();
    programs.ok_or_else(|| RestError::unavailable("this cluster runs no programs"))
}

fn binary(call: &Call) -> RestResult<BlobId> {
    let text: String = call.parameter("jarid")?;
    // Flink's clients append the file's name to the id.
    let id = text.split('_').next().unwrap_or_default();
    id.parse().map_err(|_| RestError::not_found(format!("There is no program {text:?}.")))
}

pub(crate) async fn list(call: Call) -> RestResult<JarListInfo> {
    let blobs = blobs(&call)?.list().await?;
    let files = blobs.into_iter().map(|blob| JarFileInfo {
        id: blob.id.to_string(),
        entry: vec![JarEntryInfo { name: "main".to_owned(), description: None }],
        name: blob.name,
        uploaded: blob.uploaded_ms,
        size: blob.size_bytes,
    });
    Ok(JarListInfo { address: "/binaries/upload".to_owned(), files: files.collect() })
}

/// One program, so that a client can see whether it must be uploaded.
pub(crate) async fn info(call: Call) -> RestResult<JarFileInfo> {
    let blob = blobs(&call)?.info(binary(&call)?).await?;
    Ok(JarFileInfo {
        id: blob.id.to_string(),
        name: blob.name,
        uploaded: blob.uploaded_ms,
        size: blob.size_bytes,
        entry: vec![JarEntryInfo { name: "main".to_owned(), description: None }],
    })
}

pub(crate) async fn upload(call: Call, mut upload: Upload) -> RestResult<JarUploadResponseBody> {
    let blobs = blobs(&call)?;
    let name = upload.next_file().await?;
    let name =
        name.ok_or_else(|| RestError::bad_request("Exactly 1 file must be sent, received 0."))?;
    let mut blob = blobs.begin_upload(&name).await?;
    while let Some(bytes) = upload.chunk().await? {
        blob.write(&bytes).await?;
    }
    // Until the form has ended as it should, nothing counts.
    if upload.next_file().await?.is_some() {
        return Err(RestError::bad_request("Exactly 1 file must be sent, received more."));
    }
    let blob = blob.finish().await?;
    tracing::info!(id = %blob.id, name, bytes = blob.size_bytes, "program uploaded");
    Ok(JarUploadResponseBody { filename: format!("/{}", blob.id), status: "success".to_owned() })
}

pub(crate) async fn delete(call: Call) -> RestResult<EmptyResponseBody> {
    blobs(&call)?.delete(binary(&call)?).await?;
    Ok(EmptyResponseBody {})
}

/// What to run: the body's word counts more than the query's.
fn request(call: &Call, body: JarRunRequestBody) -> RestResult<ProgramRequest> {
    let arguments = body.program_args_list.unwrap_or_else(|| call.query_list("programArg"));
    if arguments.len() > MOST_ARGUMENTS {
        let text = format!("a program takes at most {MOST_ARGUMENTS} arguments");
        return Err(RestError::bad_request(text));
    }
    let parallelism = match body.parallelism {
        Some(parallelism) => Some(parallelism),
        None => call.query("parallelism")?,
    };
    if parallelism == Some(0) {
        return Err(RestError::bad_request("parallelism must be at least 1"));
    }
    let savepoint = match body.savepoint_path {
        Some(path) => Some(path),
        None => call.query("savepointPath")?,
    };
    let allow_non_restored_state = match body.allow_non_restored_state {
        Some(allow) => allow,
        None => call.query("allowNonRestoredState")?.unwrap_or(false),
    };
    let claim_mode = match body.claim_mode.or(body.restore_mode) {
        Some(ClaimMode::Claim) => RecoveryClaimMode::Claim,
        Some(ClaimMode::NoClaim) | None => RecoveryClaimMode::NoClaim,
    };
    let job_id = body.job_id.map(|id| id.parse()).transpose();
    Ok(ProgramRequest {
        binary: binary(call)?,
        arguments,
        parallelism,
        restore: savepoint.filter(|path| !path.is_empty()).map(|pointer| RestoreFrom {
            pointer,
            allow_non_restored_state,
            claim_mode,
        }),
        configuration: body.flink_configuration.unwrap_or_default(),
        job_id: job_id.map_err(|error: hurtig_types::ParseIdError| {
            RestError::bad_request(error.to_string())
        })?,
    })
}

pub(crate) async fn run(call: Call, body: JarRunRequestBody) -> RestResult<JarRunResponseBody> {
    let request = request(&call, body)?;
    let job = programs(&call)?.run(request).await?;
    Ok(JarRunResponseBody { jobid: job.to_string(), application_id: None })
}

pub(crate) async fn plan_of(call: Call, body: JarRunRequestBody) -> RestResult<ProgramPlanInfo> {
    let request = request(&call, body)?;
    let graph = programs(&call)?.plan(request).await?;
    Ok(ProgramPlanInfo { plan: plan(&graph) })
}
