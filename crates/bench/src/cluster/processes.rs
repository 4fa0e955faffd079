//! A JobManager and TaskManagers as processes, below a directory that goes with them.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use hurtig::{ParameterTool, prelude::BoxError};
use hurtig_rest::{
    ClientError, RestClient,
    messages::{cluster::ClusterOverview, jobs::JobDetailsInfo, programs::JarRunRequestBody},
};
use hurtig_types::{BlobId, JobId};
use tempfile::TempDir;

/// How long anything may take before a benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at something.
const LOOK: Duration = Duration::from_millis(2);

/// One process, which is killed when it is dropped.
pub struct MemberProcess {
    child: Child,
    name: String,
}

impl MemberProcess {
    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it, as a crash does.
    pub fn kill(&mut self) -> Result<(), BoxError> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end.
    pub fn terminate(&self) -> Result<(), BoxError> {
        let status = Command::new("kill").args(["-TERM", &self.id().to_string()]).status()?;
        match status.success() {
            true => Ok(()),
            false => Err(format!("{} is gone", self.name).into()),
        }
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, BoxError> {
        Ok(self.child.try_wait()?)
    }
}

impl Drop for MemberProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processes.
pub struct ProcessCluster {
    /// The JobManager.
    pub job_manager: MemberProcess,
    /// The TaskManagers.
    pub task_managers: Vec<MemberProcess>,
    /// The way to the JobManager.
    pub client: RestClient,
    endpoint: String,
    program: PathBuf,
    settings: Vec<(String, String)>,
    logs: PathBuf,
    /// TaskManagers so far.
    started: usize,
    /// Dropped last.
    directory: TempDir,
}

/// The command `hurtig`: the one that is named, or the one beside this program.
fn program(parameters: &ParameterTool) -> Result<PathBuf, BoxError> {
    let path = match parameters.get("hurtig") {
        Some(path) => PathBuf::from(path),
        None => std::env::current_exe()?.with_file_name("hurtig"),
    };
    if path.is_file() {
        return Ok(path);
    }
    let path = path.display();
    Err(format!("there is no {path}: cargo build --release -p hurtig-cli, or --hurtig PATH").into())
}

/// Starts one, and gives the line that it prints when it is there.
fn start(
    program: &Path,
    name: &str,
    settings: &[(String, String)],
    logs: &Path,
) -> Result<(MemberProcess, String), BoxError> {
    let command = name.split('-').next().unwrap_or(name);
    let properties =
        settings.iter().flat_map(|(key, value)| ["-D".to_owned(), format!("{key}={value}")]);
    let mut child = Command::new(program)
        .arg(command)
        .args(properties)
        .env_remove("HURTIG_CONF_DIR")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(logs.join(format!("{name}.log")))?)
        .spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    let process = MemberProcess { child, name: name.to_owned() };
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    if line.is_empty() {
        let log = fs::read_to_string(logs.join(format!("{name}.log"))).unwrap_or_default();
        return Err(format!("{name} did not start: {log}").into());
    }
    Ok((process, line.trim().to_owned()))
}

impl ProcessCluster {
    /// A JobManager and TaskManagers, all of which have registered.
    pub async fn start(
        parameters: &ParameterTool,
        task_managers: usize,
        settings: &[(&str, &str)],
    ) -> Result<Self, BoxError> {
        let directory = TempDir::new()?;
        let logs = parameters.get("logs").map_or(directory.path().join("logs"), PathBuf::from);
        fs::create_dir_all(&logs)?;
        let work = directory.path().display().to_string();
        let mut settings: Vec<_> =
            settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        settings.push(("process.working-dir".to_owned(), work));
        let program = program(parameters)?;
        let mut own = settings.clone();
        for key in ["jobmanager.rpc.port", "rest.port"] {
            own.push((key.to_owned(), "0".to_owned()));
        }
        let (job_manager, line) = start(&program, "jobmanager", &own, &logs)?;
        let words: Vec<&str> = line.split(' ').collect();
        let ["JobManager", endpoint, "REST", rest] = words[..] else {
            return Err(format!("the JobManager says {line:?}").into());
        };
        let client = RestClient::new(rest, &Default::default())?;
        let endpoint = endpoint.to_owned();
        let mut cluster = Self {
            job_manager,
            task_managers: Vec::new(),
            client,
            endpoint,
            program,
            settings,
            logs,
            started: 0,
            directory,
        };
        for _ in 0..task_managers {
            cluster.add_task_manager()?;
        }
        let number = u32::try_from(task_managers)?;
        cluster.until_registered(number).await?;
        Ok(cluster)
    }

    /// One more TaskManager.
    pub fn add_task_manager(&mut self) -> Result<(), BoxError> {
        let (host, port) = self.endpoint.rsplit_once(':').ok_or("no port")?;
        let mut settings = self.settings.clone();
        settings.push(("jobmanager.rpc.address".to_owned(), host.to_owned()));
        settings.push(("jobmanager.rpc.port".to_owned(), port.to_owned()));
        let name = format!("taskmanager-{}", self.started);
        self.started += 1;
        let (process, _) = start(&self.program, &name, &settings, &self.logs)?;
        self.task_managers.push(process);
        Ok(())
    }

    /// Where files may be.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Waits until so many TaskManagers are registered.
    pub async fn until_registered(&self, number: u32) -> Result<ClusterOverview, BoxError> {
        until(&format!("{number} TaskManagers are registered"), async || {
            let overview = self.client.overview().await?;
            Ok((overview.taskmanagers == number).then_some(overview))
        })
        .await
    }

    /// Brings this program to the cluster.
    pub async fn upload(&self) -> Result<BlobId, ClientError> {
        let path = std::env::current_exe();
        let path = path.unwrap_or_default();
        self.client.upload(&path).await
    }

    /// Starts a job.
    pub async fn run(
        &self,
        program: BlobId,
        arguments: &[String],
        parallelism: u32,
    ) -> Result<JobId, BoxError> {
        let request = JarRunRequestBody {
            program_args_list: Some(arguments.to_vec()),
            parallelism: Some(parallelism),
            ..Default::default()
        };
        Ok(self.client.run(program, &request).await?.parse()?)
    }

    /// Waits until all tasks of a job run.
    pub async fn until_running(&self, job: JobId) -> Result<JobDetailsInfo, BoxError> {
        until("all tasks run", async || {
            let details = self.client.job(job).await?;
            if ["FAILED", "FINISHED", "CANCELED"].contains(&details.state.as_str()) {
                let exceptions = self.client.exceptions(job).await?;
                let text = serde_json::to_string(&exceptions)?;
                return Err(format!("the job is {}: {text}", details.state).into());
            }
            let running = |tasks: &std::collections::BTreeMap<String, u32>| {
                tasks.get("RUNNING").copied().unwrap_or_default()
            };
            let all = !details.vertices.is_empty()
                && details
                    .vertices
                    .iter()
                    .all(|vertex| running(&vertex.tasks) == vertex.parallelism);
            Ok(all.then_some(details))
        })
        .await
    }

    /// Ends a job, and waits until its slots are free.
    pub async fn cancel(&self, job: JobId) -> Result<(), BoxError> {
        self.client.cancel(job).await?;
        let result = self.client.result(job).await?;
        if result.application_status != "CANCELED" {
            return Err(
                format!("the job was cancelled, and is {}", result.application_status).into()
            );
        }
        until("all slots are free", async || {
            let overview = self.client.overview().await?;
            Ok((overview.slots_available == overview.slots_total).then_some(()))
        })
        .await
    }

    /// Processes whose working directory is the one of a host of this cluster.
    pub fn hosts(&self) -> Result<usize, BoxError> {
        let mut hosts = 0;
        for entry in fs::read_dir("/proc")? {
            // What ends while it is looked at is no host any more.
            let Ok(at) = fs::read_link(entry?.path().join("cwd")) else { continue };
            let is_host = at.parent().is_some_and(|parent| parent.ends_with("hosts"));
            hosts += usize::from(at.starts_with(self.directory.path()) && is_host);
        }
        Ok(hosts)
    }
}

/// Asks until there is an answer.
pub async fn until<T>(
    what: &str,
    mut question: impl AsyncFnMut() -> Result<Option<T>, BoxError>,
) -> Result<T, BoxError> {
    let began = Instant::now();
    loop {
        if let Some(answer) = question().await? {
            return Ok(answer);
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("it did not come to pass that {what}").into());
        }
        tokio::time::sleep(LOOK).await;
    }
}
