//! What the job does when a task finds that its checkpoint is damaged.
//!
//! 1. The task fails with a failure of the class `DamagedState`, which names the checkpoint and, in
//!    its text, the file.
//! 2. The checkpoint is taken out of those that are retained, and out of the register. If there is
//!    no other, the job fails: to begin anew would repeat what it has done.
//! 3. Coordinators start anew from the earlier checkpoint. Those that run have forgotten what they
//!    did before the one that is damaged was complete.
//! 4. All regions restart, whatever failed: state, and splits that coordinators have handed out,
//!    must be of one checkpoint.
//!
//! What sinks have committed between the two checkpoints stays, and is committed again: exactly-once
//! towards the outside needs the latest checkpoint. The warning says so.

use hurtig_checkpoint::coordinator::restore::DamageVerdict;
use hurtig_cluster_api::{FailureClass, JobStatus, TaskStateUpdate};
use hurtig_scheduler::Command;
use hurtig_types::{CheckpointId, FlowResult};

use crate::JobMaster;

impl JobMaster {
    /// Looks whether a task has failed since its checkpoint is damaged; if so, what it is restored
    /// from next is another, or the failure is one that restarting cannot help.
    pub(crate) async fn look_for_damage(&mut self, update: &mut TaskStateUpdate) -> Vec<Command> {
        let mut commands = Vec::new();
        let goes_on = matches!(self.scheduler.status(), JobStatus::Running | JobStatus::Restarting);
        let counts = goes_on && self.scheduler.graph().current(update.attempt).is_some();
        let Some(failure) = update.failure.as_mut().filter(|_| counts) else { return commands };
        let FailureClass::DamagedState(damaged) = failure.class else { return commands };
        match self.checkpoints.on_damaged(damaged).await {
            Ok(DamageVerdict::NotRetained) => {}
            Ok(DamageVerdict::FallBack(checkpoint_id)) => {
                tracing::warn!(
                    job_id = %self.scheduler.graph().graph.job_id,
                    %checkpoint_id,
                    %damaged,
                    error = failure.message,
                    "a completed checkpoint is damaged, an earlier one is used; what was committed \
                     since is committed again"
                );
                if let Err(error) = self.fall_back(&mut commands).await {
                    commands.extend(self.fail(error));
                }
            }
            Ok(DamageVerdict::NothingElse) => {
                failure.class = FailureClass::Fatal;
                failure.message.push_str("; there is no other completed checkpoint");
            }
            Err(_) => self.superseded = true,
        }
        commands
    }

    /// Coordinators start from what is the latest checkpoint now.
    async fn fall_back(&mut self, commands: &mut Vec<Command>) -> FlowResult {
        let restored: Option<CheckpointId> = self.prepare_restart(commands).await?;
        if self.scheduler.elastic().is_some() {
            // They start anew with their next parallelism.
            return Ok(());
        }
        let restored = restored.and_then(|_| self.checkpoints.coordinators());
        let (program, runtimes) = (&self.services.program, &self.services.runtimes);
        let coordinators = std::mem::take(&mut self.coordinators);
        let graph = &self.scheduler.graph().graph;
        self.coordinators =
            coordinators.start_anew(graph, program, runtimes, &self.mailbox, restored)?;
        Ok(())
    }
}
