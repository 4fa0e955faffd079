//! A job's code.

use std::{collections::HashMap, fmt, sync::Arc};

use hurtig_types::{EdgeId, JobId, OperatorId};
use parking_lot::Mutex;

use crate::{EdgeFactory, OperatorFactory};

/// All factories of one job. The JobGraph that belongs to it refers to them by id.
#[derive(Clone, Default)]
pub struct Program {
    /// Operators by id.
    pub operators: HashMap<OperatorId, Arc<dyn OperatorFactory>>,
    /// Edges by id.
    pub edges: HashMap<EdgeId, Arc<dyn EdgeFactory>>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("operators", &self.operators.len())
            .field("edges", &self.edges.len())
            .finish()
    }
}

/// The code of all jobs that a process knows. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct ProgramStore(Arc<Mutex<HashMap<JobId, Arc<Program>>>>);

impl ProgramStore {
    /// Adds the code of a job.
    pub fn insert(&self, job: JobId, program: Arc<Program>) {
        self.0.lock().insert(job, program);
    }

    /// The code of a job.
    pub fn get(&self, job: JobId) -> Option<Arc<Program>> {
        self.0.lock().get(&job).cloned()
    }

    /// Forgets a job.
    pub fn remove(&self, job: JobId) {
        self.0.lock().remove(&job);
    }
}
