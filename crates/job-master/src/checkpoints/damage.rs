//! Checkpoints that are found damaged while the job runs.

use hurtig_checkpoint::coordinator::restore::DamageVerdict;

use super::*;

impl Checkpoints {
    /// A task has found a file of that checkpoint damaged. When this returns, the register does not
    /// know a checkpoint any more in whose place another is restored: the next JobMaster would else
    /// take tasks that run on from the earlier one for tasks that run on from it.
    pub(crate) async fn on_damaged(
        &mut self,
        id: CheckpointId,
    ) -> Result<DamageVerdict, Superseded> {
        let verdict = self.coordinator.on_damaged(id);
        if let DamageVerdict::FallBack(_) = verdict
            && let Err(error) = self.let_go(vec![id]).await
        {
            tracing::warn!(%error, "the register of checkpoints is another's");
            return Err(Superseded);
        }
        Ok(verdict)
    }

    /// Takes damaged checkpoints out of the register.
    pub(super) async fn let_go(&self, damaged: Vec<CheckpointId>) -> RpcResult<()> {
        let Some(latest) = self.coordinator.completed().latest().filter(|_| !damaged.is_empty())
        else {
            return Ok(());
        };
        // The one that takes their place is in it already, or is a snapshot that the job was
        // started from, and is the next JobMaster's to start from as well.
        let pointer = CheckpointPointer {
            id: latest.id(),
            external_pointer: latest.external_pointer.to_string(),
            owned: latest.owned,
        };
        let (register, reserved) = (self.register.clone(), CheckpointId(latest.id().0 + 1));
        let add = || register.add(pointer.clone(), damaged.clone(), reserved);
        registered(&self.mailbox, add).await
    }
}
