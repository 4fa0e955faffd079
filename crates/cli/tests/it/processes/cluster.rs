//! A cluster of processes in a directory of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use hurtig_cluster::JobManagerProcess;
use hurtig_cluster_api::{
    ExecutionState, JobDetails, JobResult, ProgramError, ProgramRequest, TaskExecutorOverview,
};
use hurtig_config::Configuration;
use hurtig_env::{Clock, Runtimes};
use hurtig_types::{BlobId, JobId};

/// Longest wait for something that must happen; only a failing test waits so long.
const SOON: Duration = Duration::from_secs(60);

/// Returns what the question gives, once it does.
pub async fn until<T>(what: &str, mut question: impl AsyncFnMut() -> Option<T>) -> T {
    let answered = async {
        loop {
            if let Some(answer) = question().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    match tokio::time::timeout(SOON, answered).await {
        Ok(answer) => answer,
        Err(_) => panic!("{what} did not come to pass"),
    }
}

/// A process that is killed at the end of a test.
pub struct TestProcess(pub Child);

impl Drop for TestProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A JobManager, and TaskManagers as processes.
pub struct Cluster {
    pub manager: JobManagerProcess,
    pub task_managers: Vec<TestProcess>,
    /// Dropped last.
    pub directory: tempfile::TempDir,
}

/// The job's binary: the example of this crate.
pub fn job_binary() -> PathBuf {
    let directory = Path::new(env!("CARGO_BIN_EXE_hurtig")).parent().unwrap();
    let path = directory.join("examples").join("cluster_job");
    assert!(path.exists(), "{path:?} is built by `cargo test -p hurtig-cli`");
    path
}

impl Cluster {
    /// A JobManager alone.
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut configuration = Configuration::new();
        let work = directory.path().display().to_string();
        for (key, value) in [
            ("jobmanager.rpc.port", "0"),
            ("rest.port", "0"),
            ("process.working-dir", &work),
            ("heartbeat.interval", "100 ms"),
        ] {
            configuration.set_dynamic(key, value).unwrap();
        }
        let launcher = Path::new(env!("CARGO_BIN_EXE_hurtig"));
        let runtimes = Runtimes::current();
        let manager =
            JobManagerProcess::start(&configuration, launcher, &runtimes, Clock::system());
        let manager = manager.await.unwrap();
        Self { manager, task_managers: Vec::new(), directory }
    }

    /// One with TaskManagers, all of which have registered.
    pub async fn with_task_managers(number: usize, slots: u32) -> Self {
        let mut cluster = Self::start().await;
        for _ in 0..number {
            cluster.add_task_manager(slots);
        }
        cluster.until_registered(number).await;
        cluster
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The file without which jobs that are told `--until` it do not end.
    pub fn end_of_jobs(&self) -> PathBuf {
        self.path("end-of-jobs")
    }

    /// Lets jobs end that wait for it.
    pub fn let_jobs_end(&self) {
        fs::write(self.end_of_jobs(), "").unwrap();
    }

    pub fn add_task_manager(&mut self, slots: u32) {
        let (host, port) = self.manager.endpoint().rsplit_once(':').unwrap();
        let work = self.directory.path().display();
        let log = self.path(&format!("taskmanager-{}.log", self.task_managers.len()));
        let child = Command::new(env!("CARGO_BIN_EXE_hurtig"))
            .arg("taskmanager")
            .args(["-D", &format!("jobmanager.rpc.address={host}")])
            .args(["-D", &format!("jobmanager.rpc.port={port}")])
            .args(["-D", &format!("process.working-dir={work}")])
            .args(["-D", &format!("taskmanager.numberOfTaskSlots={slots}")])
            .args(["-D", "heartbeat.interval=100 ms"])
            .env_remove("HURTIG_CONF_DIR")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(log).unwrap())
            .spawn()
            .unwrap();
        self.task_managers.push(TestProcess(child));
    }

    pub async fn task_executors(&self) -> Vec<TaskExecutorOverview> {
        self.manager.resource_manager().unwrap().task_executors().await.unwrap()
    }

    pub async fn until_registered(&self, number: usize) {
        until("registration", async || (self.task_executors().await.len() == number).then_some(()))
            .await;
    }

    /// Uploads a file.
    pub async fn upload(&self, path: &Path) -> BlobId {
        let mut upload = self.manager.blobs().begin_upload("job").await.unwrap();
        for chunk in fs::read(path).unwrap().chunks(1 << 20) {
            upload.write(chunk).await.unwrap();
        }
        upload.finish().await.unwrap().id
    }

    /// A request to run the job's binary.
    pub async fn request(&self, arguments: &[&str]) -> ProgramRequest {
        let binary = self.upload(&job_binary()).await;
        let mut request = ProgramRequest::new(binary);
        let output = self.path("output").display().to_string();
        let output = ["--output".to_owned(), output];
        request.arguments = arguments.iter().map(|word| (*word).to_owned()).chain(output).collect();
        request
    }

    pub async fn run(&self, arguments: &[&str]) -> Result<JobId, ProgramError> {
        self.run_wide(arguments, 2).await
    }

    pub async fn run_wide(&self, arguments: &[&str], width: u32) -> Result<JobId, ProgramError> {
        let mut request = self.request(arguments).await;
        request.parallelism = Some(width);
        self.manager.programs().unwrap().run(request).await
    }

    pub async fn details(&self, job: JobId) -> JobDetails {
        self.manager.dispatcher().unwrap().job_details(job).await.unwrap()
    }

    /// Waits until all tasks run.
    pub async fn until_running(&self, job: JobId) {
        until("all tasks run", async || {
            let tasks = self.details(job).await.overview.tasks;
            (tasks.keys().all(|state| *state == ExecutionState::Running)).then_some(())
        })
        .await;
    }

    pub async fn result(&self, job: JobId) -> JobResult {
        let dispatcher = self.manager.dispatcher().unwrap();
        match tokio::time::timeout(SOON, dispatcher.job_result(job)).await {
            Ok(result) => result.unwrap(),
            Err(_) => panic!("the job has not ended: {:?}", self.details(job).await),
        }
    }

    /// The numbers that the job has written, sorted.
    pub fn output(&self) -> Vec<u64> {
        numbers_below(&self.path("output"))
    }

    /// Processes that are hosts of this cluster, by the name of their directory and their id.
    pub fn hosts(&self) -> Vec<(String, u32)> {
        hosts_below(self.directory.path())
    }
}

/// The numbers in all visible files of a directory and those below it, sorted.
pub fn numbers_below(directory: &Path) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let hidden = path.file_name().unwrap().to_string_lossy().starts_with('.');
            match path.is_dir() {
                _ if hidden => {}
                true => directories.push(path),
                false => {
                    let text = fs::read_to_string(path).unwrap();
                    numbers.extend(text.lines().map(|line| line.parse::<u64>().unwrap()));
                }
            }
        }
    }
    numbers.sort_unstable();
    numbers
}

/// Processes whose working directory is the one of a host below a directory.
pub fn hosts_below(directory: &Path) -> Vec<(String, u32)> {
    let mut hosts = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path();
        let pid = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        // A process may end while it is looked at; one that has ended is no host any more.
        let (Some(pid), Ok(cwd)) = (pid, fs::read_link(path.join("cwd"))) else { continue };
        if cwd.starts_with(directory) && cwd.parent().is_some_and(|p| p.ends_with("hosts")) {
            let name = cwd.file_name().unwrap().to_string_lossy().into_owned();
            hosts.push((name, pid));
        }
    }
    hosts
}

/// Sends a signal to a process.
pub fn signal(pid: u32, signal: &str) {
    let status = Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
    assert!(status.success());
}
