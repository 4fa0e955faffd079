//! The TaskExecutors of a job, as the JobMaster speaks with them.
//!
//! Messages to one TaskExecutor go through one queue and are sent one after the other, so that a
//! cancellation never overtakes the deployment that it is for.

use std::{
    pin::{Pin, pin},
    sync::Arc,
};

use hurtig_cluster_api::{
    FencingToken, Mailbox, RpcError, TaskDeploymentDescriptor, TaskExecutorGateway,
};
use hurtig_env::Runtimes;
use hurtig_types::{
    AllocationId, CheckpointBarrier, CheckpointId, ExecutionAttemptId, JobId, OperatorId,
    ResourceId,
};
use tokio::sync::mpsc;

use crate::actor::Message;

/// What a TaskExecutor is asked to do.
pub(crate) enum Order {
    Deploy(Box<TaskDeploymentDescriptor>),
    Cancel(ExecutionAttemptId),
    Event(ExecutionAttemptId, OperatorId, Vec<u8>),
    TriggerCheckpoint(ExecutionAttemptId, CheckpointBarrier),
    CheckpointComplete(ExecutionAttemptId, CheckpointId),
    CheckpointAborted(ExecutionAttemptId, CheckpointId),
    /// A slot is not needed any more.
    FreeSlot(AllocationId),
    /// The job has ended.
    Disconnect,
    /// Heartbeat, with the job's slots there: asks for metrics, and for slots that are not there.
    Heartbeat(Vec<AllocationId>),
    /// Nobody orders it: the TaskExecutor is known to be gone, before a heartbeat could tell.
    Gone,
}

/// The next order; [`Order::Gone`] when there is none and the TaskExecutor is gone.
async fn next(
    queue: &mut mpsc::UnboundedReceiver<Order>,
    gone: Pin<&mut impl Future<Output = ()>>,
) -> Option<Order> {
    tokio::select! {
        biased;
        order = queue.recv() => order,
        () = gone => Some(Order::Gone),
    }
}

/// The queue to one TaskExecutor. It has no bound of its own: each attempt is deployed once and
/// cancelled once, coordinators bound their events, and a heartbeat waits for the one before.
pub(crate) struct ExecutorLink {
    orders: mpsc::UnboundedSender<Order>,
}

impl ExecutorLink {
    pub(crate) fn start(
        job: JobId,
        resource: ResourceId,
        gateway: Arc<dyn TaskExecutorGateway>,
        token: FencingToken,
        runtimes: &Runtimes,
        master: Mailbox<Message>,
    ) -> Self {
        let (orders, mut queue) = mpsc::unbounded_channel();
        runtimes.control.spawn(async move {
            let mut gone = pin!(gateway.peer().gone());
            while let Some(order) = next(&mut queue, gone.as_mut()).await {
                let done = match order {
                    Order::Deploy(deployment) => {
                        let (attempt, allocation) = (deployment.attempt, deployment.allocation);
                        match gateway.submit_task(*deployment, token).await {
                            // Whether it was deployed is not known: it may not be tried again.
                            Err(
                                error @ (RpcError::Unreachable { .. }
                                | RpcError::Timeout(_)
                                | RpcError::Fenced { .. }),
                            ) => Err(error),
                            Err(error) => {
                                let refused = matches!(error, RpcError::Rejected(_));
                                let reason = error.to_string();
                                let mut told =
                                    master.tell(Message::DeployFailed(attempt, error)).await;
                                if refused {
                                    // The slot is not what it was taken for.
                                    let lost = Message::SlotFailed(allocation, reason);
                                    told = told.and(master.tell(lost).await);
                                }
                                if told.is_err() {
                                    return;
                                }
                                Ok(())
                            }
                            Ok(()) => Ok(()),
                        }
                    }
                    Order::Gone => Err(RpcError::Unreachable {
                        role: "TaskExecutor",
                        reason: "it has ended, or the connection to it broke".to_owned(),
                    }),
                    Order::Cancel(attempt) => gateway.cancel_task(attempt).await,
                    Order::Event(attempt, operator, event) => {
                        gateway.send_operator_event(attempt, operator, event).await
                    }
                    Order::TriggerCheckpoint(attempt, barrier) => {
                        gateway.trigger_checkpoint(attempt, barrier).await
                    }
                    Order::CheckpointComplete(attempt, checkpoint) => {
                        gateway.notify_checkpoint_complete(attempt, checkpoint).await
                    }
                    Order::CheckpointAborted(attempt, checkpoint) => {
                        gateway.notify_checkpoint_aborted(attempt, checkpoint).await
                    }
                    Order::FreeSlot(allocation) => {
                        let reason = "the job does not need it any more".to_owned();
                        gateway.free_slot(allocation, reason).await
                    }
                    Order::Disconnect => {
                        let reason = "the job has ended".to_owned();
                        gateway.disconnect_job_master(job, reason).await
                    }
                    Order::Heartbeat(slots) => {
                        match gateway.heartbeat_from_job_master(job, slots).await {
                            Ok(answer) => {
                                // Readings are worth nothing to a JobMaster that is busy or gone.
                                master.try_tell(Message::Metrics(answer.metrics));
                                let mut told = Ok(());
                                for slot in answer.missing {
                                    let reason = "its TaskExecutor has not got it".to_owned();
                                    let lost = Message::SlotFailed(slot, reason);
                                    told = told.and(master.tell(lost).await);
                                }
                                if told.is_err() {
                                    return;
                                }
                                Ok(())
                            }
                            Err(error) => Err(error),
                        }
                    }
                };
                if let Err(RpcError::Fenced { current, .. }) = &done {
                    tracing::info!(%job, ?current, "another JobMaster has taken over");
                    // One that has ended knows.
                    let _ = master.tell(Message::Superseded).await;
                    return;
                }
                if let Err(error) = done {
                    // If it is there after all, it gives back what it has of the job. First, so
                    // that it cannot give back what it will be given again.
                    let reason = format!("the JobMaster has lost it: {error}");
                    let _ = gateway.disconnect_job_master(job, reason).await;
                    let lost = Message::ExecutorLost(resource, error.to_string());
                    // A JobMaster that has ended does not mind.
                    let _ = master.tell(lost).await;
                    return;
                }
            }
        });
        Self { orders }
    }

    /// Queues an order. One that cannot be delivered is followed by the loss of the TaskExecutor.
    pub(crate) fn send(&self, order: Order) {
        let _ = self.orders.send(order);
    }
}
