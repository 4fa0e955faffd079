//! The parent's side: starting, watching, killing.

use std::{
    ffi::OsString,
    fmt, fs, io,
    os::{
        fd::OwnedFd,
        unix::process::{CommandExt, ExitStatusExt},
    },
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, mpsc as blocking},
    time::Duration,
};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};
use tokio::{
    io::unix::AsyncFd,
    net::unix::pipe,
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
};

use crate::output::{LastWords, OutputOptions, RollingFile, keep};

/// How long the rest of the output of a process that has ended is waited for.
const REST_OF_OUTPUT: Duration = Duration::from_secs(2);

/// A program to start.
#[derive(Clone, Debug)]
pub struct ProcessSpec {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables of its environment, over those of this process; `None` takes one away.
    pub environment: Vec<(OsString, Option<OsString>)>,
    /// Where it starts.
    pub directory: PathBuf,
    /// Where its output goes.
    pub output: OutputOptions,
}

/// Why a program was not started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// There is no place for its output.
    #[error("cannot open the files for the output of {program:?}")]
    Output {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The system refused.
    #[error("cannot start {program:?}")]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// By itself, with an exit code.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

impl From<ExitStatus> for ExitReason {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "it ended with exit code {code}"),
            Self::Signal(signal) => match Signal::from_named_raw(*signal) {
                Some(Signal::KILL) => f.write_str("it was killed (SIGKILL)"),
                Some(Signal::TERM) => f.write_str("it was terminated (SIGTERM)"),
                Some(Signal::SEGV) => {
                    f.write_str("it accessed memory that is not its own (SIGSEGV)")
                }
                Some(Signal::ABORT) => f.write_str("it aborted (SIGABRT)"),
                Some(_) | None => write!(f, "it was ended by signal {signal}"),
            },
        }
    }
}

/// How a process ended, and its last words on standard error.
#[derive(Clone, Debug)]
pub struct ProcessExit {
    /// How.
    pub reason: ExitReason,
    /// What it wrote last; a few kilobytes at most.
    pub last_words: String,
}

struct SpawnRequest {
    command: Command,
    answer: oneshot::Sender<io::Result<Child>>,
}

/// Starts processes. Cloning is cheap. When the last clone and the last handle are gone, so are all
/// the processes.
///
/// The kernel kills a child when the *thread* that has started it ends, so all are started by one
/// thread, which ends with the supervisor.
#[derive(Clone)]
pub struct ProcessSupervisor {
    spawner: blocking::Sender<SpawnRequest>,
    launcher: Option<Arc<(PathBuf, Vec<OsString>)>>,
    runtime: Handle,
    /// Number of processes that have not ended.
    running: watch::Sender<usize>,
}

impl ProcessSupervisor {
    /// A supervisor whose watching runs on `runtime`. The launcher is a program, with the arguments
    /// that make it call [`exec_as_child`](crate::exec_as_child) with those that follow; without
    /// one, programs outlive this process if it is killed and they do not watch it themselves.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub fn start(launcher: Option<(PathBuf, Vec<OsString>)>, runtime: Handle) -> io::Result<Self> {
        let (spawner, requests) = blocking::channel::<SpawnRequest>();
        let spawn = move || {
            for mut request in requests {
                // Who asked may have gone: then the child goes too.
                if let Err(Ok(mut child)) = request.answer.send(request.command.spawn()) {
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        };
        let thread = std::thread::Builder::new().name("hurtig-spawn".to_owned());
        thread.stack_size(256 << 10).spawn(spawn)?;
        let running = watch::Sender::new(0);
        Ok(Self { spawner, launcher: launcher.map(Arc::new), runtime, running })
    }

    /// Waits until all processes that were started have ended.
    pub async fn until_idle(&self) {
        // The sender is here, so there is an end.
        let _ = self.running.subscribe().wait_for(|running| *running == 0).await;
    }

    fn command(&self, spec: &ProcessSpec) -> Command {
        let mut command = match self.launcher.as_deref() {
            Some((launcher, arguments)) => {
                let mut command = Command::new(launcher);
                command.args(arguments).arg(std::process::id().to_string()).arg(&spec.program);
                command
            }
            None => Command::new(&spec.program),
        };
        command
            .args(&spec.arguments)
            .current_dir(&spec.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that what it starts can be ended with it, and a terminal's
            // interrupt reaches this process alone.
            .process_group(0);
        for (name, value) in &spec.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Starts a program.
    pub async fn spawn(&self, spec: ProcessSpec) -> Result<ProcessHandle, SpawnError> {
        let program = spec.program.clone();
        let open = |extension: &str| {
            let OutputOptions { directory, name, file_bytes, full_files } = &spec.output;
            fs::create_dir_all(directory)?;
            let path = directory.join(format!("{name}.{extension}"));
            RollingFile::open(path, *file_bytes, *full_files)
        };
        let files = open("out").and_then(|out| Ok((out, open("err")?)));
        let (out, err) =
            files.map_err(|cause| SpawnError::Output { program: program.clone(), cause })?;
        let failed = |cause| SpawnError::Spawn { program: program.clone(), cause };
        let (answer, answered) = oneshot::channel();
        let gone = || io::Error::other("the supervisor has ended");
        self.spawner
            .send(SpawnRequest { command: self.command(&spec), answer })
            .map_err(|_| failed(gone()))?;
        let child = answered.await.map_err(|_| failed(gone()))?.map_err(&failed)?;
        // From here on the child is killed and reaped whatever happens.
        let mut child = Guarded::new(child);
        let exit = child.watch().map_err(&failed)?;
        let words = LastWords::default();
        let mut keepers = Vec::new();
        let pipes = [
            (child.child.stdout.take().map(OwnedFd::from), out, LastWords::default()),
            (child.child.stderr.take().map(OwnedFd::from), err, words.clone()),
        ];
        for (pipe, file, words) in pipes {
            let Some(pipe) = pipe else { continue };
            let pipe = pipe::Receiver::from_owned_fd(pipe).map_err(&failed)?;
            keepers.push(self.runtime.spawn(keep(pipe, file, words)));
        }
        let pid = child.child.id();
        let (orders, ordered) = mpsc::channel(1);
        let (ended, exited) = watch::channel(None);
        let supervisor = self.clone();
        self.running.send_modify(|running| *running += 1);
        self.runtime.spawn(async move {
            let reason = child.until_end(exit, ordered).await;
            // All of its group is gone, so the pipes end; a moment suffices.
            let rest = async {
                for keeper in keepers {
                    let _ = keeper.await;
                }
            };
            if tokio::time::timeout(REST_OF_OUTPUT, rest).await.is_err() {
                tracing::debug!(pid, "somebody holds the output of a process that has ended");
            }
            ended.send_replace(Some(ProcessExit { reason, last_words: words.text() }));
            supervisor.running.send_modify(|running| *running -= 1);
        });
        Ok(ProcessHandle { pid, orders, exited })
    }
}

/// A child that is killed and reaped when this is dropped.
struct Guarded {
    child: Child,
    reaped: bool,
}

impl Guarded {
    fn new(child: Child) -> Self {
        Self { child, reaped: false }
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()).ok()?)
    }

    /// Becomes readable when the process has ended.
    fn watch(&self) -> io::Result<AsyncFd<OwnedFd>> {
        let pid = self.pid().ok_or_else(|| io::Error::other("the process has no id"))?;
        // Deprecated for what may be closed behind its back, which an OwnedFd cannot be.
        #[allow(deprecated)]
        AsyncFd::new(pidfd_open(pid, PidfdFlags::NONBLOCK)?)
    }

    fn kill_group(&self) {
        // While it is not reaped, the number is its own.
        if let Some(pid) = self.pid().filter(|_| !self.reaped) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }

    fn reap(&mut self) -> ExitReason {
        // What it has started goes with it, before its number can become another's.
        self.kill_group();
        let status = self.child.wait();
        self.reaped = true;
        status.map_or(ExitReason::Code(-1), ExitReason::from)
    }

    /// Obeys orders until the process has ended.
    async fn until_end(
        mut self,
        exit: AsyncFd<OwnedFd>,
        mut orders: mpsc::Receiver<Order>,
    ) -> ExitReason {
        let mut deadline = None;
        loop {
            let late = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = exit.readable() => return self.reap(),
                order = orders.recv() => match order {
                    Some(Order::End { signal, grace }) => {
                        if let Some(pid) = self.pid().filter(|_| signal) {
                            // It is not reaped, so the number is its own.
                            let _ = kill_process(pid, Signal::TERM);
                        }
                        drop(self.child.stdin.take());
                        deadline.get_or_insert(tokio::time::Instant::now() + grace);
                    }
                    // The handle is gone.
                    Some(Order::Kill) | None => return self.reap(),
                },
                () = late => return self.reap(),
            }
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if !self.reaped {
            self.reap();
        }
    }
}

enum Order {
    End { signal: bool, grace: Duration },
    Kill,
}

/// A process. Dropping the handle kills it.
#[derive(Debug)]
pub struct ProcessHandle {
    pid: u32,
    orders: mpsc::Sender<Order>,
    exited: watch::Receiver<Option<ProcessExit>>,
}

impl ProcessHandle {
    /// Its id, for people: it may belong to another process once this one has ended.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Tells it to end by closing its standard input; after `grace` it is killed.
    pub fn hang_up(&self, grace: Duration) {
        // A full queue holds an order that does the same.
        let _ = self.orders.try_send(Order::End { signal: false, grace });
    }

    /// Tells it to end by SIGTERM, and by closing its standard input; after `grace` it is killed.
    pub fn terminate(&self, grace: Duration) {
        let _ = self.orders.try_send(Order::End { signal: true, grace });
    }

    /// Kills it.
    pub async fn kill(&self) {
        // One that has ended needs no more.
        let _ = self.orders.send(Order::Kill).await;
    }

    /// How it ended, if it has.
    pub fn exit(&self) -> Option<ProcessExit> {
        self.exited.borrow().clone()
    }

    /// Waits for its end.
    pub fn exited(&self) -> impl Future<Output = ProcessExit> + Send + 'static {
        let mut exited = self.exited.clone();
        async move {
            let exit = exited.wait_for(Option::is_some).await.ok().and_then(|exit| exit.clone());
            // Without the watcher the supervisor's runtime has ended, and the process with it.
            exit.unwrap_or(ProcessExit {
                reason: ExitReason::Signal(Signal::KILL.as_raw()),
                last_words: String::new(),
            })
        }
    }
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::End { .. } => "End",
            Self::Kill => "Kill",
        })
    }
}

#[cfg(test)]
mod tests;
