//! `hurtig run`, `info`: a program is uploaded unless the cluster has it, then run or planned.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::File,
    io::{self, Read},
    path::Path,
};

use hurtig_config::catalogue::client::{EXECUTION_ATTACHED, SHUTDOWN_ON_ATTACHED_EXIT};
use hurtig_rest::{
    ClientError, RestClient,
    messages::{
        jobs::{JobPlan, JobResultInfo},
        programs::{ClaimMode, JarRunRequestBody},
    },
};
use hurtig_types::{BlobId, JobId};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Failed, ask, connect};
use crate::{
    CommandResult, Outcome,
    args::remote::{ClaimModeArgument, ProgramArguments, RunCommand},
    heartbeats::{Heartbeats, Rhythm},
};

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// What a file's content is called.
fn hash(path: &Path) -> io::Result<BlobId> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(BlobId(hash.finalize().into())),
            length => hash.update(&chunk[..length]),
        }
    }
}

/// Brings a program to the cluster, once.
pub(crate) async fn bring(client: &RestClient, path: &Path) -> Result<BlobId, ClientError> {
    let unreadable = |source| ClientError::File { path: path.display().to_string(), source };
    let id = hash(path).map_err(unreadable)?;
    match client.program(id).await? {
        Some(_) => Ok(id),
        None => client.upload(path).await,
    }
}

fn request(program: &ProgramArguments) -> JarRunRequestBody {
    JarRunRequestBody {
        program_args_list: Some(program.arguments.clone()),
        parallelism: program.parallelism,
        ..JarRunRequestBody::default()
    }
}

pub(crate) fn info(command: &ProgramArguments) -> CommandResult {
    let (client, _) = connect(&command.cluster)?;
    let plan = ask(async {
        let id = bring(&client, &command.binary).await?;
        client.plan(id, &request(command)).await
    })?;
    Outcome::of(&plan, command.cluster.json, describe)
}

fn describe(plan: &JobPlan) -> String {
    let mut text = format!("{}\n", plan.name);
    for (index, node) in plan.nodes.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{index} [{}] parallelism {}", node.description, node.parallelism);
        for input in &node.inputs {
            let producer = plan.nodes.iter().position(|node| node.id == input.id);
            let producer = producer.map_or("?".to_owned(), |index| index.to_string());
            let _ = writeln!(text, "    <- {} {producer}", input.ship_strategy);
        }
    }
    text
}

pub(crate) fn run(command: &RunCommand) -> CommandResult {
    let program = &command.program;
    let json = program.cluster.json;
    let (client, _) = connect(&program.cluster)?;
    let claim_mode = command.claim_mode.map(|mode| match mode {
        ClaimModeArgument::Claim => ClaimMode::Claim,
        ClaimModeArgument::NoClaim => ClaimMode::NoClaim,
    });
    let properties = program.cluster.properties.iter().map(|property| {
        let (key, value) = property.split_once('=').unwrap_or((property, ""));
        (key.trim().to_owned(), value.trim().to_owned())
    });
    let mut configuration: BTreeMap<String, String> =
        properties.filter(|(key, _)| !is_of_client(key)).collect();
    // As Flink's command: whoever does not wait is not waited for.
    if configuration.contains_key(SHUTDOWN_ON_ATTACHED_EXIT.key()) {
        let attached = (!command.detached).to_string();
        configuration.insert(EXECUTION_ATTACHED.key().to_owned(), attached);
    }
    let rhythm = Rhythm::of(&configuration)?;
    let request = JarRunRequestBody {
        savepoint_path: command.from_savepoint.clone(),
        allow_non_restored_state: command
            .from_savepoint
            .as_ref()
            .map(|_| command.allow_non_restored_state),
        claim_mode,
        flink_configuration: Some(configuration),
        ..request(program)
    };
    let job = ask(async {
        let id = bring(&client, &program.binary).await?;
        client.run(id, &request).await
    })?;
    let job: JobId = job.parse()?;
    if command.detached {
        let answer = json!({ "job": job.to_string() });
        return Outcome::of(&answer, json, |_| format!("job {job} is submitted\n"));
    }
    if !json {
        eprintln!("job {job} is submitted");
    }
    let heartbeats = Heartbeats::default();
    if let Some(rhythm) = rhythm {
        heartbeats.start(&client, job, rhythm)?;
    }
    let result = ask(client.result(job))?;
    ended(&result, json)
}

/// Properties that say how this command reaches the cluster are none of the job's business.
pub(crate) fn is_of_client(key: &str) -> bool {
    ["rest.", "security.ssl.rest.", "high-availability."].iter().any(|own| key.starts_with(own))
}

fn ended(result: &JobResultInfo, json: bool) -> CommandResult {
    if result.application_status != "SUCCEEDED" && !json {
        return Err(match &result.failure_cause {
            Some(cause) => Failed::of("the job", cause).into(),
            None => format!("the job was ended by a user: {}", result.application_status).into(),
        });
    }
    let good = result.application_status == "SUCCEEDED";
    let outcome = Outcome::of(result, json, |result| {
        let mut text = format!("job {} has finished after {} ms\n", result.id, result.net_runtime);
        for (name, value) in &result.accumulator_results {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name}: {value}");
        }
        text
    })?;
    Ok(outcome.failed_if(!good))
}
