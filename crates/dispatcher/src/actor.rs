//! The Dispatcher's actor: carries out what [`crate::jobs`] decides.

mod clients;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hurtig_cluster_api::{
    FencingToken, Inbox, JobMasterGateway, JobMasterLauncher, JobResult, Mailbox, RpcError,
    RpcResult,
};
use hurtig_env::{Clock, Runtimes};
use hurtig_graph::JobGraph;
use hurtig_metrics::Gauge;
use hurtig_types::JobId;
use tokio::sync::oneshot;

use clients::NextLook;

use crate::{
    DispatcherServices,
    clients::{ClientTable, client_timeout_ms},
    earlier::EarlierJobs,
    jobs::{JobCommand, JobStoreOptions, JobTable, Phase},
    storage::{JobStorage, LeftJob, failed, unknown},
};

/// Requests that may wait for one job's next JobMaster.
const MOST_WAITERS: usize = 1024;

pub(crate) enum Message {
    Submit(Box<JobGraph>, oneshot::Sender<RpcResult<()>>),
    Stored(JobId, Result<(), String>, oneshot::Sender<RpcResult<()>>),
    Launched(JobId, FencingToken, RpcResult<Arc<dyn JobMasterGateway>>),
    Lost(JobId, FencingToken, String),
    PauseOver(JobId),
    Ended(JobId, FencingToken, Box<JobResult>),
    /// The result of a job is stored.
    Known(JobId, Box<JobResult>),
    Clean(JobId),
    Cancel(JobId, oneshot::Sender<RpcResult<()>>),
    /// The client of a job is there, and counts as being there until then.
    ClientHeartbeat(JobId, i64, oneshot::Sender<RpcResult<()>>),
    /// A client may be gone.
    ClientsDue,
    Job(JobId, oneshot::Sender<RpcResult<View>>),
    /// The same, but waits while a JobMaster is being started.
    JobMaster(JobId, oneshot::Sender<RpcResult<View>>),
    All(oneshot::Sender<Vec<View>>),
    /// The results of jobs of earlier leaders, if they could be read.
    Earlier(Option<Vec<JobResult>>),
    /// The JobMasters of jobs that have not ended.
    Running(oneshot::Sender<Vec<(JobId, Arc<dyn JobMasterGateway>)>>),
    Result(JobId, oneshot::Sender<RpcResult<JobResult>>),
    /// Answered once jobs are recovered.
    Ready(oneshot::Sender<()>),
    /// Another Dispatcher leads.
    Superseded,
}

/// A job as requests find it.
#[derive(Clone)]
pub(crate) enum View {
    /// Its JobMaster, which answers also when the job has ended.
    JobMaster(Arc<dyn JobMasterGateway>),
    /// It has no JobMaster at present; since when it is known here.
    Waiting(Arc<JobGraph>, i64),
    /// It has ended, and only its result is known.
    Result(Arc<JobResult>),
}

#[derive(Default)]
struct Job {
    /// When it was submitted, or recovered.
    since_ms: i64,
    graph: Option<Arc<JobGraph>>,
    job_master: Option<Arc<dyn JobMasterGateway>>,
    result: Option<Arc<JobResult>>,
    /// Those who wait for a JobMaster.
    waiters: Vec<oneshot::Sender<RpcResult<View>>>,
    result_waiters: Vec<oneshot::Sender<RpcResult<JobResult>>>,
    /// Looks whether the JobMaster is there.
    watch: Option<tokio::task::AbortHandle>,
}

/// The actor.
pub struct Dispatcher {
    table: JobTable,
    jobs: BTreeMap<JobId, Job>,
    storage: JobStorage,
    launcher: Arc<dyn JobMasterLauncher>,
    mailbox: Mailbox<Message>,
    runtimes: Runtimes,
    clock: Clock,
    heartbeat_interval: Duration,
    heartbeat_timeout: Duration,
    job_store: JobStoreOptions,
    earlier: EarlierJobs,
    clients: ClientTable,
    /// When clients are looked at; none if nobody is waited for.
    next_look: Option<NextLook>,
    /// Number of jobs that have not ended.
    pub(crate) running: Gauge,
}

impl Dispatcher {
    pub(crate) fn new(services: DispatcherServices, mailbox: Mailbox<Message>) -> Self {
        Self {
            table: JobTable::new(services.token, services.job_store),
            job_store: services.job_store,
            jobs: BTreeMap::new(),
            storage: JobStorage { services: services.high_availability, leader: services.token },
            launcher: services.launcher,
            mailbox,
            runtimes: services.runtimes,
            clock: services.clock,
            heartbeat_interval: services.heartbeat_interval,
            heartbeat_timeout: services.heartbeat_timeout,
            earlier: EarlierJobs::default(),
            clients: ClientTable::default(),
            next_look: None,
            running: Gauge::default(),
        }
    }

    pub(crate) async fn run(mut self, mut inbox: Inbox<Message>) {
        match self.storage.recover().await {
            Ok(left) => left.into_iter().for_each(|job| self.take_over(job)),
            Err(_) => return,
        }
        while let Some(message) = inbox.recv().await {
            if let Message::Superseded = message {
                return;
            }
            let mut commands = self.table.forget(self.clock.now_ms());
            commands.extend(self.on_message(message));
            self.carry_out(commands);
            self.watch_clients();
            self.running.set(i64::try_from(self.table.running()).unwrap_or(i64::MAX));
        }
    }

    /// Takes over a job of an earlier leader.
    fn take_over(&mut self, left: LeftJob) {
        let now_ms = self.clock.now_ms();
        match left {
            LeftJob::Submitted(graph) => {
                let id = graph.job_id;
                tracing::info!(job_id = %id, "job recovered");
                self.clients.on_job(id, client_timeout_ms(&graph));
                let graph = Some(Arc::new(graph));
                self.jobs.insert(id, Job { since_ms: now_ms, graph, ..Job::default() });
                let commands = self.table.on_recovered(id);
                self.carry_out(commands);
            }
            LeftJob::Ended(graph, result) => {
                let id = result.job_id;
                self.table.on_recovered_ending(id);
                let graph = graph.map(Arc::new);
                let known = Some(Arc::new(result.clone()));
                self.jobs.insert(id, Job { graph, result: known, ..Job::default() });
                self.finish(id, result, false);
            }
            LeftJob::Damaged(id, problem) => {
                tracing::error!(job_id = %id, problem, "a job cannot be recovered, and fails");
                self.table.on_recovered_ending(id);
                self.jobs.insert(id, Job::default());
                self.finish(
                    id,
                    failed(id, "?", format!("it cannot be recovered: {problem}"), now_ms),
                    false,
                );
            }
        }
    }

    fn on_message(&mut self, message: Message) -> Vec<JobCommand> {
        let now_ms = self.clock.now_ms();
        match message {
            Message::Submit(graph, reply) => self.submit(*graph, reply),
            Message::Stored(id, Ok(()), reply) => {
                // Who asked may have gone; the job runs all the same.
                let _ = reply.send(Ok(()));
                self.table.on_stored(id)
            }
            Message::Stored(id, Err(problem), reply) => {
                self.table.on_refused(id);
                self.clients.on_ended(id);
                self.jobs.remove(&id);
                let _ = reply.send(Err(RpcError::Rejected(problem)));
                Vec::new()
            }
            Message::Launched(id, token, Ok(gateway)) => {
                let Some(commands) = self.table.on_launched(id, token, now_ms) else {
                    return Vec::new();
                };
                self.clients.on_launched(id, now_ms);
                let watch = self.watch(id, token, gateway.clone());
                if let Some(job) = self.jobs.get_mut(&id) {
                    for waiter in job.waiters.drain(..) {
                        let _ = waiter.send(Ok(View::JobMaster(gateway.clone())));
                    }
                    job.job_master = Some(gateway);
                    job.watch = Some(watch);
                }
                commands
            }
            Message::Launched(id, token, Err(error)) => {
                let forever = matches!(error, RpcError::NotFound(_) | RpcError::Rejected(_));
                self.table.on_lost(id, token, &error.to_string(), forever, now_ms)
            }
            Message::Lost(id, token, reason) => {
                let commands = self.table.on_lost(id, token, &reason, false, now_ms);
                if !commands.is_empty() {
                    tracing::warn!(job_id = %id, reason, "a JobMaster is lost");
                    if let Some(job) = self.jobs.get_mut(&id) {
                        job.job_master = None;
                        job.watch = None;
                    }
                }
                commands
            }
            Message::PauseOver(id) => self.table.on_pause_over(id),
            Message::Ended(id, token, result) => {
                if !self.table.on_ended(id, token).is_empty() {
                    self.finish(id, *result, true);
                }
                Vec::new()
            }
            Message::Clean(id) => self.table.on_clean(id, now_ms),
            Message::Known(id, result) => {
                let result = Arc::new(*result);
                if let Some(job) = self.jobs.get_mut(&id) {
                    for waiter in job.result_waiters.drain(..) {
                        let _ = waiter.send(Ok((*result).clone()));
                    }
                    for waiter in job.waiters.drain(..) {
                        let _ = waiter.send(Ok(View::Result(result.clone())));
                    }
                    job.result = Some(result);
                }
                Vec::new()
            }
            Message::Cancel(id, reply) => {
                if self.table.phase(id).is_some() {
                    let _ = reply.send(Ok(()));
                } else {
                    // One that has ended under an earlier leader needs no cancellation.
                    let storage = self.storage.clone();
                    self.runtimes.control.spawn(async move {
                        let ended = storage.result(id).await.ok().flatten().is_some();
                        let _ = reply.send(if ended { Ok(()) } else { Err(unknown(id)) });
                    });
                }
                self.table.on_cancel(id)
            }
            Message::ClientHeartbeat(id, expires_ms, reply) => {
                let _ = reply.send(self.on_client_heartbeat(id, expires_ms));
                Vec::new()
            }
            Message::ClientsDue => self.on_clients_due(),
            Message::JobMaster(id, reply) => match (self.view(id), self.jobs.get_mut(&id)) {
                (Some(View::Waiting(..)), Some(job)) => {
                    job.waiters.retain(|waiter| !waiter.is_closed());
                    if job.waiters.len() < MOST_WAITERS {
                        job.waiters.push(reply);
                    } else {
                        let problem = format!("{MOST_WAITERS} requests wait for job {id}");
                        let _ = reply.send(Err(RpcError::Rejected(problem)));
                    }
                    Vec::new()
                }
                _ => self.on_message(Message::Job(id, reply)),
            },
            Message::Job(id, reply) => {
                match self.view(id) {
                    Some(view) => drop(reply.send(Ok(view))),
                    None if self.jobs.contains_key(&id) => drop(reply.send(Err(unknown(id)))),
                    // As for its result.
                    None => {
                        let storage = self.storage.clone();
                        self.runtimes.control.spawn(async move {
                            let result = storage.result(id).await.ok().flatten();
                            let view = result.map(|result| View::Result(Arc::new(result)));
                            let _ = reply.send(view.ok_or_else(|| unknown(id)));
                        });
                    }
                }
                Vec::new()
            }
            Message::All(reply) => {
                let (reply, reads) = self.earlier.ask(reply);
                if let Some(reply) = reply {
                    let _ = reply.send(self.all());
                }
                if reads {
                    let (storage, mailbox) = (self.storage.clone(), self.mailbox.clone());
                    let most = self.job_store.max_capacity;
                    self.runtimes.control.spawn(async move {
                        let earlier = storage.earlier(most).await;
                        // If this actor has ended, those who wait see that.
                        let _ = mailbox.tell(Message::Earlier(earlier)).await;
                    });
                }
                Vec::new()
            }
            Message::Earlier(results) => {
                for reply in self.earlier.on_read(results) {
                    let _ = reply.send(self.all());
                }
                Vec::new()
            }
            Message::Running(reply) => {
                let running = self.jobs.iter().filter(|(id, _)| {
                    !matches!(self.table.phase(**id), None | Some(Phase::Ending | Phase::Ended))
                });
                let running =
                    running.filter_map(|(id, job)| Some((*id, job.job_master.as_ref()?.clone())));
                let _ = reply.send(running.collect());
                Vec::new()
            }
            Message::Result(id, reply) => {
                self.on_result_wanted(id, reply);
                Vec::new()
            }
            Message::Ready(reply) => {
                let _ = reply.send(());
                Vec::new()
            }
            Message::Superseded => Vec::new(),
        }
    }

    fn all(&self) -> Vec<View> {
        let own = self.table.jobs().filter_map(|id| self.view(id));
        let now_ms = self.clock.now_ms();
        let is_earlier = |result: &&Arc<JobResult>| {
            !self.jobs.contains_key(&result.job_id)
                && !self.job_store.has_expired(result.end_time_ms, now_ms)
        };
        let earlier = self.earlier.all().filter(is_earlier);
        own.chain(earlier.map(|result| View::Result(result.clone()))).collect()
    }

    fn view(&self, id: JobId) -> Option<View> {
        let Some(job) = self.jobs.get(&id) else {
            return self.earlier.get(id).map(|result| View::Result(result.clone()));
        };
        if let Some(gateway) = &job.job_master {
            return Some(View::JobMaster(gateway.clone()));
        }
        match (&job.result, &job.graph) {
            (Some(result), _) => Some(View::Result(result.clone())),
            (None, Some(graph)) if self.table.phase(id) != Some(Phase::Storing) => {
                Some(View::Waiting(graph.clone(), job.since_ms))
            }
            _ => None,
        }
    }

    fn submit(
        &mut self,
        graph: JobGraph,
        reply: oneshot::Sender<RpcResult<()>>,
    ) -> Vec<JobCommand> {
        let id = graph.job_id;
        let Some(command) = self.table.on_submitted(id) else {
            let error = RpcError::Rejected(format!("job {id} was submitted before"));
            let _ = reply.send(Err(error));
            return Vec::new();
        };
        debug_assert_eq!(command, JobCommand::Store(id), "a job is stored first");
        self.clients.on_job(id, client_timeout_ms(&graph));
        let graph = Arc::new(graph);
        let since_ms = self.clock.now_ms();
        self.jobs.insert(id, Job { since_ms, graph: Some(graph.clone()), ..Job::default() });
        let (storage, mailbox) = (self.storage.clone(), self.mailbox.clone());
        self.runtimes.control.spawn(async move {
            let message = match storage.put(&graph).await {
                Ok(stored) => Message::Stored(id, stored, reply),
                Err(_) => Message::Superseded,
            };
            // If this actor has ended, another leads.
            let _ = mailbox.tell(message).await;
        });
        Vec::new()
    }

    fn on_result_wanted(&mut self, id: JobId, reply: oneshot::Sender<RpcResult<JobResult>>) {
        match self.jobs.get_mut(&id) {
            Some(Job { result: Some(result), .. }) => {
                let _ = reply.send(Ok((**result).clone()));
            }
            Some(job) => {
                job.result_waiters.retain(|waiter| !waiter.is_closed());
                if job.result_waiters.len() < MOST_WAITERS {
                    job.result_waiters.push(reply);
                } else {
                    let problem =
                        format!("{MOST_WAITERS} requests wait for the result of job {id}");
                    let _ = reply.send(Err(RpcError::Rejected(problem)));
                }
            }
            // A job of an earlier leader, or one that has been forgotten.
            None => {
                let storage = self.storage.clone();
                self.runtimes.control.spawn(async move {
                    let result = storage.result(id).await.ok().flatten();
                    let _ = reply.send(result.ok_or_else(|| unknown(id)));
                });
            }
        }
    }

    fn carry_out(&mut self, commands: Vec<JobCommand>) {
        for command in commands {
            match command {
                // Those that come with more than the command carries are done where they come up.
                JobCommand::Store(_) | JobCommand::End(_) => {}
                JobCommand::Launch(id, token) => self.launch(id, token),
                JobCommand::Pause(id, pause_ms) => {
                    let mailbox = self.mailbox.clone();
                    self.runtimes.control.spawn(async move {
                        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                        let _ = mailbox.tell(Message::PauseOver(id)).await;
                    });
                }
                JobCommand::Cancel(id) => self.cancel(id),
                JobCommand::Fail(id, reason) => {
                    let job = self.jobs.get(&id);
                    let name = job.and_then(|job| job.graph.as_ref()).map(|g| g.name.clone());
                    let name = name.unwrap_or_default();
                    self.finish(id, failed(id, &name, reason, self.clock.now_ms()), false);
                }
                JobCommand::Forget(id) => {
                    self.jobs.remove(&id);
                }
            }
        }
    }

    fn launch(&mut self, id: JobId, token: FencingToken) {
        let Some(graph) = self.jobs.get(&id).and_then(|job| job.graph.clone()) else { return };
        let (launcher, mailbox) = (self.launcher.clone(), self.mailbox.clone());
        let register = self.storage.register(id, token);
        self.runtimes.control.spawn(async move {
            // What is left of the one before would only find out later that it is superseded.
            launcher.stop(id).await;
            let launched = launcher.launch((*graph).clone(), token, register).await;
            // If this actor has ended, another leads, and goes on with the job.
            let _ = mailbox.tell(Message::Launched(id, token, launched)).await;
        });
    }

    /// Waits for the job's end, or for the JobMaster's.
    fn watch(
        &self,
        id: JobId,
        token: FencingToken,
        gateway: Arc<dyn JobMasterGateway>,
    ) -> tokio::task::AbortHandle {
        let mailbox = self.mailbox.clone();
        let (interval, timeout) = (self.heartbeat_interval, self.heartbeat_timeout);
        let watching = self.runtimes.control.spawn(async move {
            let message = tokio::select! {
                biased;
                result = gateway.result() => match result {
                    Ok(result) => Message::Ended(id, token, Box::new(result)),
                    Err(error) => Message::Lost(id, token, error.to_string()),
                },
                () = gateway.peer().gone() => {
                    let reason = "it has ended, or the connection to it broke";
                    Message::Lost(id, token, reason.to_owned())
                }
                reason = silent(&*gateway, interval, timeout) => Message::Lost(id, token, reason),
            };
            let _ = mailbox.tell(message).await;
        });
        watching.abort_handle()
    }

    /// Tells the JobMaster that a user cancels; again until it has heard of it. One that is lost
    /// meanwhile is followed by one that is told.
    fn cancel(&self, id: JobId) {
        let Some(gateway) = self.jobs.get(&id).and_then(|job| job.job_master.clone()) else {
            return;
        };
        let pause = self.heartbeat_interval;
        self.runtimes.control.spawn(async move {
            while let Err(RpcError::Timeout(_)) = gateway.cancel().await {
                tokio::time::sleep(pause).await;
            }
        });
    }

    /// Stores the result of a job, and then cleans up what it has left. `orderly`: all its tasks had
    /// ended, if its JobMaster was the only one.
    fn finish(&mut self, id: JobId, result: JobResult, orderly: bool) {
        self.clients.on_ended(id);
        let graph = self.jobs.get(&id).and_then(|job| job.graph.clone());
        let token = self.table.next_token();
        let (storage, launcher) = (self.storage.clone(), self.launcher.clone());
        let mailbox = self.mailbox.clone();
        let patience = self.heartbeat_timeout + self.heartbeat_interval;
        self.runtimes.control.spawn(async move {
            let ending = async {
                let result = storage.end(result).await?;
                let ended = (id, result.status);
                let told = mailbox.clone();
                let known = || async move {
                    // If this actor has ended, the next one tells.
                    let _ = told.tell(Message::Known(id, Box::new(result))).await;
                };
                let retired =
                    storage.clean_up(graph.as_deref(), ended, token, &*launcher, known).await?;
                // If this actor has ended, the next one does all of it again.
                let _ = mailbox.tell(Message::Clean(id)).await;
                if let (Some(graph), Some(retired)) = (graph, retired)
                    && !(orderly && retired.job_masters == 1)
                {
                    // Tasks of a JobMaster that was lost may have outlived the job; so long at most.
                    tokio::time::sleep(patience).await;
                    storage.clean_up_late(&graph, &retired, &*launcher).await;
                }
                storage.forget(id).await
            };
            if ending.await.is_err() {
                let _ = mailbox.tell(Message::Superseded).await;
            }
        });
    }
}

/// Ends when a JobMaster has not answered for so long; says so.
async fn silent(gateway: &dyn JobMasterGateway, interval: Duration, timeout: Duration) -> String {
    let mut heard = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(interval).await;
        let answer = tokio::time::timeout_at(heard + timeout, gateway.status()).await;
        if let Ok(Ok(_)) = answer {
            heard = tokio::time::Instant::now();
        } else if heard.elapsed() >= timeout {
            return format!("no answer to heartbeats for {} ms", timeout.as_millis());
        }
    }
}
