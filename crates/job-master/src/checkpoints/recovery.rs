//! What a JobMaster starts from: a snapshot that the user names, or the checkpoints of an earlier
//! JobMaster, by the pointers in their register.

use super::*;

/// How often a checkpoint is read before the JobMaster gives up, to be launched again.
const LOAD_TRIES: u32 = 60;

impl Checkpoints {
    /// The job starts from a snapshot. Returns what coordinators start from.
    pub(crate) async fn start_from(
        &mut self,
        from: &RestoreFrom,
        now_ms: i64,
    ) -> FlowResult<(CheckpointId, BTreeMap<OperatorId, Vec<u8>>)> {
        let fail = |error: StorageError| FlowError::fatal(chain_text(&error));
        let pointer = location_url(&from.pointer).map_err(|error| fail(error.into()))?;
        let stored = self.storage.load(&pointer).await.map_err(fail)?;
        self.allow_non_restored_state = from.allow_non_restored_state;
        let id = stored.metadata.checkpoint_id;
        let assignment =
            assign_states(&stored.metadata, &self.topology, self.allow_non_restored_state)
                .map_err(|error| FlowError::fatal(chain_text(&error)))?;
        for lost in &assignment.left_behind {
            tracing::warn!(checkpoint_id = %id, operator = %lost, "state is left behind");
        }
        // Where the job leaves it open, key groups are divided as they were.
        self.topology.take_over_max_parallelism(&assignment.max_parallelism);
        self.coordinator.take_over_max_parallelism(&assignment.max_parallelism);
        let coordinators = assignment.coordinators.clone();
        self.assignment = Some((id, assignment));
        let external_pointer = stored.external_pointer.to_string();
        let pointer = CheckpointPointer { id, external_pointer, owned: true };
        let commands =
            self.coordinator.start_from(stored.metadata, stored.external_pointer, from.claim_mode);
        self.coordinator.on_restored(now_ms);
        // Nothing runs yet that could be told of anything.
        let effects = self.carry_out(commands);
        debug_assert!(effects.is_empty(), "a job that has not started has no effects");
        if from.claim_mode == RecoveryClaimMode::Claim {
            // It is the job's from now on, also for its next JobMaster.
            let reserved = CheckpointId(id.0 + 1);
            let (register, mailbox) = (self.register.clone(), &self.mailbox);
            let add = || register.add(pointer.clone(), Vec::new(), reserved);
            registered(mailbox, add).await.map_err(FlowError::external)?;
        }
        Ok((id, coordinators))
    }

    /// Numbers of checkpoints from here on may be reserved.
    pub(crate) fn share_ids(&mut self, first_id: CheckpointId) {
        self.coordinator.share_ids(first_id);
    }

    /// Goes on with the checkpoints of an earlier JobMaster. Returns what coordinators start from.
    /// One that is damaged is passed over, and an earlier one used.
    pub(crate) async fn recover(
        &mut self,
        pointers: &[CheckpointPointer],
        first_id: CheckpointId,
        now_ms: i64,
    ) -> FlowResult<Option<CoordinatorStates>> {
        let mut checkpoints = Vec::new();
        let mut damaged = Vec::new();
        for pointer in pointers {
            match self.load_retrying(pointer).await? {
                Ok(stored) => checkpoints.push(CompletedCheckpoint {
                    metadata: stored.metadata,
                    external_pointer: stored.external_pointer,
                    owned: pointer.owned,
                }),
                Err(error) => {
                    tracing::warn!(
                        checkpoint_id = %pointer.id,
                        error = chain_text(&error),
                        "a completed checkpoint cannot be read, an earlier one is used"
                    );
                    damaged.push(pointer.id);
                }
            }
        }
        if checkpoints.is_empty() && !pointers.is_empty() {
            // To begin anew would repeat what the job has done.
            let problem = "none of the job's completed checkpoints can be read";
            return Err(FlowError::fatal(problem));
        }
        let commands = self.coordinator.recover(checkpoints, first_id);
        let effects = self.carry_out(commands);
        debug_assert!(effects.is_empty(), "a job that has not started has no effects");
        self.let_go(damaged).await.map_err(FlowError::external)?;
        self.sweep_unfinished(pointers, first_id).await;
        let RestorePoint::From(latest) = self.coordinator.restore_point() else {
            return Ok(None);
        };
        let id = latest.id();
        let assignment = assign_states(&latest.metadata, &self.topology, true)
            .map_err(|error| FlowError::fatal(chain_text(&error)))?;
        self.topology.take_over_max_parallelism(&assignment.max_parallelism);
        self.coordinator.take_over_max_parallelism(&assignment.max_parallelism);
        let coordinators = assignment.coordinators.clone();
        self.assignment = Some((id, assignment));
        let _ = now_ms;
        Ok(Some((id, coordinators)))
    }

    /// Loads a checkpoint; again and again while the store does not answer well. The inner error
    /// is one that will stay.
    async fn load_retrying(
        &self,
        pointer: &CheckpointPointer,
    ) -> FlowResult<Result<StoredCheckpoint, StorageError>> {
        let mut tries = LOAD_TRIES;
        loop {
            let loaded =
                self.storage.load_verified(&pointer.external_pointer, Verification::Present).await;
            match loaded {
                Ok(stored) => return Ok(Ok(stored)),
                Err(error) if error.is_damage() => return Ok(Err(error)),
                Err(error) => {
                    tries -= 1;
                    if tries == 0 {
                        return Err(FlowError::external(error));
                    }
                    tracing::info!(error = chain_text(&error), "a checkpoint is not reachable yet");
                    tokio::time::sleep(REGISTER_RETRY).await;
                }
            }
        }
    }

    /// Deletes what earlier JobMasters have left of checkpoints that they did not complete. Nobody
    /// can complete them any more.
    async fn sweep_unfinished(&mut self, pointers: &[CheckpointPointer], first_id: CheckpointId) {
        let listed = match self.storage.list().await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::info!(
                    error = chain_text(&error),
                    "unfinished checkpoints are left for now"
                );
                return;
            }
        };
        let named = |id: &CheckpointId| pointers.iter().any(|pointer| pointer.id == *id);
        for checkpoint_id in listed.into_iter().filter(|id| *id < first_id && !named(id)) {
            let left = DiscardedPending { checkpoint_id, target: None, files: Vec::new() };
            self.discard(async move |storage| storage.discard_pending(&left).await);
        }
    }
}

/// Makes a call to the register until there is a certain answer, or the JobMaster has ended.
pub(crate) async fn registered<'a, R>(
    mailbox: &Mailbox<Message>,
    call: impl Fn() -> Pin<Box<dyn Future<Output = RpcResult<R>> + Send + 'a>> + Send,
) -> RpcResult<R> {
    let calling = async {
        loop {
            match call().await {
                Err(error @ (RpcError::Unreachable { .. } | RpcError::Timeout(_))) => {
                    tracing::warn!(%error, "the register of checkpoints is not reachable");
                    tokio::time::sleep(REGISTER_RETRY).await;
                }
                answer => return answer,
            }
        }
    };
    tokio::select! {
        biased;
        answer = calling => answer,
        () = mailbox.ended() => Err(RpcError::Unreachable {
            role: "JobMaster",
            reason: "it has ended".to_owned(),
        }),
    }
}
