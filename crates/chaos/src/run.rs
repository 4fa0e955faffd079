//! One run: start, submit, hit, wait, compare.

use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use hurtig_env::Clock;

use crate::{
    cluster::{Cluster, Programs},
    faults::{PlannedStrike, Strike, Victim},
    input::InputFiles,
    pause::pause,
};

/// What a run does.
#[derive(Clone, Debug)]
pub struct Options {
    /// The programs.
    pub programs: Programs,
    /// Where everything goes; must be empty.
    pub directory: PathBuf,
    /// What is read.
    pub input: InputFiles,
    /// Lines per second and file.
    pub rate: u64,
    /// TaskManagers.
    pub task_managers: usize,
    /// Two JobManagers compete under ZooKeeper; otherwise there is one, which nobody hits.
    pub high_availability: bool,
    /// What happens.
    pub plan: Vec<PlannedStrike>,
    /// How long the job may take from its submission to its end.
    pub patience: Duration,
    /// Says what happens, as it happens.
    pub verbose: bool,
}

/// What was seen.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Faults, all of which struck before the job had ended.
    pub faults: usize,
    /// From the submission to the end.
    pub took: Duration,
    /// Lines of output, all of them right.
    pub lines: usize,
}

/// Time between two questions for the job's state.
const POLL: Duration = Duration::from_millis(100);
/// An answer that takes longer is none.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Body of the answer to a GET; `None` if there is none, or it is no success.
fn get(address: &str, path: &str) -> Option<String> {
    let address = address.parse().ok()?;
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN).ok()?;
    stream.set_read_timeout(Some(ANSWER_WITHIN)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
}

/// State of a job, as the JobManager that leads sees it.
fn job_state(rest: &[String], job: &str) -> Option<String> {
    rest.iter().find_map(|address| {
        let status = get(address, &format!("/jobs/{job}/status"))?;
        let status: serde_json::Value = serde_json::from_str(&status).ok()?;
        Some(status["status"].as_str()?.to_owned())
    })
}

struct Run<'a> {
    options: &'a Options,
    cluster: Cluster,
    clock: Clock,
    began: Duration,
    job: String,
}

impl Run<'_> {
    fn say(&self, text: &str) {
        if self.options.verbose {
            let at = (self.clock.monotonic() - self.began).as_millis();
            println!("{at:>8} {text}");
        }
    }

    /// Submits the job, as soon as a JobManager takes it; returns its id.
    fn submit(&self) -> Result<String, String> {
        let Options { programs, directory, rate, .. } = self.options;
        let mut said = String::new();
        while self.clock.monotonic() - self.began < self.options.patience {
            for address in &self.cluster.rest {
                let output = Command::new(&programs.hurtig)
                    .args(["run", "--detached", "--json", "-m", address])
                    .arg(&programs.job)
                    .arg("--")
                    .arg("--input")
                    .arg(directory.join("input"))
                    .arg("--output")
                    .arg(directory.join("output"))
                    .args(["--rate", &rate.to_string()])
                    .output()
                    .map_err(|error| format!("cannot run the command: {error}"))?;
                if output.status.success() {
                    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)
                        .map_err(|error| format!("the command says no JSON: {error}"))?;
                    let job = answer["job"].as_str().ok_or("the command names no job")?;
                    return Ok(job.to_owned());
                }
                said = String::from_utf8_lossy(&output.stderr).into_owned();
            }
            pause(POLL);
        }
        Err(format!("the job was not taken: {said}"))
    }

    fn wait_for(&self, wanted: &str) -> Result<(), String> {
        let mut seen = None;
        while self.clock.monotonic() - self.began < self.options.patience {
            let state = job_state(&self.cluster.rest, &self.job);
            if state != seen {
                self.say(&format!("the job is {state:?}"));
                seen = state;
            }
            match seen.as_deref() {
                Some(state) if state == wanted => return Ok(()),
                Some(state @ ("FAILED" | "CANCELED" | "FINISHED")) => {
                    return Err(format!("the job has ended as {state}"));
                }
                _ => pause(POLL),
            }
        }
        Err(format!("the job is not {wanted} in time, but {seen:?}"))
    }

    fn strike(&mut self, PlannedStrike { victim, fault, .. }: PlannedStrike) {
        self.say(&format!("{victim:?}: {fault:?}"));
        match (&mut self.cluster.zookeeper, victim, fault) {
            (Some(zookeeper), Victim::ZooKeeper, Strike::Kill { back_after }) => {
                zookeeper.kill();
                pause(back_after);
                zookeeper.restart();
            }
            (Some(zookeeper), Victim::ZooKeeper, Strike::Stop { for_ }) => {
                zookeeper.signal("STOP");
                pause(for_);
                zookeeper.signal("CONT");
            }
            _ => {
                let Some(process) = self.cluster.process(victim) else { return };
                match fault {
                    Strike::Kill { back_after } => {
                        process.kill();
                        pause(back_after);
                    }
                    Strike::Stop { for_ } => {
                        process.signal("STOP");
                        pause(for_);
                        process.signal("CONT");
                    }
                    Strike::Restart => {
                        process.terminate();
                    }
                }
                process.launch();
            }
        }
    }

    /// No process may have ended by itself.
    fn check_processes(&mut self) -> Result<(), String> {
        let cluster = &mut self.cluster;
        for process in cluster.job_managers.iter_mut().chain(&mut cluster.task_managers) {
            if let Some(status) = process.has_ended() {
                return Err(format!("{} has ended by itself: {status}", process.name()));
            }
        }
        Ok(())
    }
}

/// The visible lines of output, sorted; hidden files are not output.
fn output(directory: &Path) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    let entries = fs::read_dir(directory).map_err(|error| format!("no output: {error}"))?;
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
            lines.extend(text.lines().map(str::to_owned));
        }
    }
    lines.sort_unstable();
    Ok(lines)
}

/// Compares every visible line with what the input gives; their number, if all are right.
///
/// # Errors
/// Says what is lost, repeated or wrong.
pub fn compare(directory: &Path, input: InputFiles) -> Result<usize, String> {
    let (found, expected) = (output(directory)?, input.expected());
    if found == expected {
        return Ok(found.len());
    }
    let first = found.iter().zip(&expected).find(|(found, expected)| found != expected);
    let mut text = format!("{} lines found, {} expected", found.len(), expected.len());
    if let Some((found, expected)) = first {
        let _ = write!(text, "; the first difference: {found:?} instead of {expected:?}");
    }
    Err(text)
}

/// Runs it; `None`, with a loud word, where there is no ZooKeeper.
///
/// # Errors
/// Says what is wrong.
pub fn run(options: &Options) -> Result<Option<Outcome>, String> {
    let input = options.directory.join("input");
    fs::create_dir_all(&input).map_err(|error| error.to_string())?;
    options.input.write(&input).map_err(|error| error.to_string())?;
    let started = Cluster::start(
        &options.programs,
        &options.directory,
        options.task_managers,
        options.high_availability,
    );
    let Some(cluster) = started else { return Ok(None) };
    let clock = Clock::system();
    let (began, job) = (clock.monotonic(), String::new());
    let mut run = Run { options, cluster, clock, began, job };
    run.job = run.submit()?;
    run.wait_for("RUNNING")?;
    let mut faults = 0;
    for planned in &options.plan {
        pause(planned.after);
        if job_state(&run.cluster.rest, &run.job).as_deref() == Some("FINISHED") {
            break;
        }
        run.strike(*planned);
        run.check_processes()?;
        faults += 1;
    }
    run.wait_for("FINISHED")?;
    let took = clock.monotonic() - run.began;
    drop(run);
    let planned = options.plan.len();
    if faults < planned {
        return Err(format!(
            "the job ended after {faults} of {planned} faults: it needs more lines"
        ));
    }
    let lines = compare(&options.directory.join("output"), options.input)?;
    Ok(Some(Outcome { faults, took, lines }))
}
