//! The processes of the kill test: two JobManagers that compete under ZooKeeper, and TaskManagers.

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use hurtig_test_util::ZooKeeper;

use crate::faults::Victim;

/// The programs that are run.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The command `hurtig`.
    pub hurtig: PathBuf,
    /// The job.
    pub job: PathBuf,
}

/// One process, which may be down.
pub struct Process {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    fn start(name: String, program: &Path, arguments: Vec<String>, logs: &Path) -> Self {
        let log = logs.join(format!("{name}.log"));
        let program = program.to_owned();
        let mut process = Self { name, program, arguments, log, child: None };
        process.launch();
        process
    }

    /// Starts it, if it is down. What it prints goes to the end of its log.
    pub fn launch(&mut self) {
        if self.child.is_some() {
            return;
        }
        let log =
            || -> File { OpenOptions::new().create(true).append(true).open(&self.log).unwrap() };
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log())
            .stderr(log())
            .spawn();
        self.child = Some(child.unwrap());
    }

    /// Its name, as in the file of its log.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends a signal by its name, such as `STOP`, if it is up.
    pub fn signal(&self, signal: &str) {
        if let Some(child) = &self.child {
            let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
            assert!(sent.unwrap().success(), "{} is gone", self.name);
        }
    }

    /// Kills it, as a crash does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(&mut self) -> Option<ExitStatus> {
        self.signal("TERM");
        self.child.take().map(|mut child| child.wait().unwrap())
    }

    /// How it has ended by itself, which none should.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Its end may have come before.
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// All of them.
pub struct Cluster {
    /// ZooKeeper, if there is high availability.
    pub zookeeper: Option<ZooKeeper>,
    /// They compete for leadership.
    pub job_managers: Vec<Process>,
    /// Where the JobManagers answer REST, as `host:port`.
    pub rest: Vec<String>,
    /// They follow the leader.
    pub task_managers: Vec<Process>,
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The configuration of a process, with what differs between them.
fn configuration(directory: &Path, own: &[(&str, String)]) -> String {
    let at = |name: &str| format!("file://{}", directory.join(name).display());
    let common = [
        ("heartbeat.interval", "500 ms".to_owned()),
        ("heartbeat.timeout", "4 s".to_owned()),
        ("jobmanager.scheduler", "adaptive".to_owned()),
        ("execution.checkpointing.interval", "400 ms".to_owned()),
        ("execution.checkpointing.timeout", "10 s".to_owned()),
        ("execution.checkpointing.dir", at("checkpoints")),
        ("restart-strategy.type", "fixed-delay".to_owned()),
        ("restart-strategy.fixed-delay.attempts", "100000".to_owned()),
        ("restart-strategy.fixed-delay.delay", "100 ms".to_owned()),
        ("taskmanager.numberOfTaskSlots", "2".to_owned()),
        // As many slots as two TaskManagers have: with one it is half of that, and never one alone,
        // which would read one file after the other, and find the second one late.
        ("parallelism.default", "4".to_owned()),
        ("process.working-dir", directory.join("work").display().to_string()),
    ];
    let own = own.iter().map(|(key, value)| (*key, value.clone()));
    common.into_iter().chain(own).map(|(key, value)| format!("{key}: {value}\n")).collect()
}

impl Cluster {
    /// Starts everything below a directory: two JobManagers under ZooKeeper, or one alone. `None`,
    /// with a loud word, where there is no ZooKeeper.
    pub fn start(
        programs: &Programs,
        directory: &Path,
        task_managers: usize,
        high_availability: bool,
    ) -> Option<Self> {
        let zookeeper = if high_availability { Some(ZooKeeper::start()?) } else { None };
        let logs = directory.join("logs");
        fs::create_dir_all(&logs).unwrap();
        let mut common = Vec::new();
        if let Some(zookeeper) = &zookeeper {
            let storage = format!("file://{}", directory.join("ha").display());
            common = vec![
                ("high-availability.type", "zookeeper".to_owned()),
                ("high-availability.zookeeper.quorum", zookeeper.address().to_owned()),
                ("high-availability.zookeeper.client.session-timeout", "4 s".to_owned()),
                ("high-availability.storageDir", storage),
            ];
        }
        let start = |name: String, command: &str, own: Vec<(&'static str, String)>| {
            let conf = directory.join("conf").join(&name);
            fs::create_dir_all(&conf).unwrap();
            let own: Vec<_> = common.iter().cloned().chain(own).collect();
            fs::write(conf.join("config.yaml"), configuration(directory, &own)).unwrap();
            let conf = conf.display().to_string();
            let arguments = vec![command.to_owned(), "--conf-dir".to_owned(), conf];
            Process::start(name, &programs.hurtig, arguments, &logs)
        };
        let (mut rest, mut job_managers) = (Vec::new(), Vec::new());
        let mut leader = Vec::new();
        for index in 0..if high_availability { 2 } else { 1 } {
            let port = free_port();
            rest.push(format!("127.0.0.1:{port}"));
            let rpc = vec![
                ("jobmanager.rpc.address", "127.0.0.1".to_owned()),
                ("jobmanager.rpc.port", free_port().to_string()),
            ];
            // With high availability TaskManagers find the leader by themselves.
            leader = if high_availability { Vec::new() } else { rpc.clone() };
            let own = rpc.into_iter().chain([("rest.port", port.to_string())]).collect();
            job_managers.push(start(format!("jobmanager-{index}"), "jobmanager", own));
        }
        let task_managers = (0..task_managers)
            .map(|index| start(format!("taskmanager-{index}"), "taskmanager", leader.clone()))
            .collect();
        Some(Self { zookeeper, job_managers, rest, task_managers })
    }

    /// One of the processes besides ZooKeeper.
    pub fn process(&mut self, victim: Victim) -> Option<&mut Process> {
        match victim {
            Victim::JobManager(index) => self.job_managers.get_mut(index),
            Victim::TaskManager(index) => self.task_managers.get_mut(index),
            Victim::ZooKeeper => None,
        }
    }
}
