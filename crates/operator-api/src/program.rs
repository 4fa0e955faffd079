//! A job's code.

use std::{collections::HashMap, fmt, sync::Arc};

use hurtig_types::{EdgeId, OperatorId};

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
