//! What the API's calls leave behind: transformations as data, and beside them the code.
//!
//! Mistakes of a program (a setting on something that is no operator) are collected and reported
//! by `execute`, so that the calls themselves can be chained.

use std::sync::Arc;

use hurtig_graph::{
    ChainingStrategy, OperatorKind, ShipStrategy, StreamGraph, Transformation, TransformationId,
    TransformationInput,
};
use hurtig_operator_api::{EdgeFactory, OperatorFactory, Program};
use hurtig_operators::partition::{Distribution, TypedEdge};
use hurtig_types::{Record, SideTag};

/// Makes the code of an edge once its strategy is known.
pub(crate) type MakeEdge = Arc<dyn Fn(ShipStrategy) -> Arc<dyn EdgeFactory> + Send + Sync>;

/// Makes the distribution that the user chose.
pub(crate) type MakeDistribution<T> = Arc<dyn Fn() -> Distribution<T> + Send + Sync>;

/// One input of an operator, typed away.
pub(crate) struct Input {
    pub(crate) source: TransformationId,
    pub(crate) side_output: Option<SideTag>,
    pub(crate) ship: Option<ShipStrategy>,
    pub(crate) make_edge: MakeEdge,
}

/// The code of an edge that carries `T`.
pub(crate) fn make_edge<T: Record>(chosen: Option<MakeDistribution<T>>) -> MakeEdge {
    Arc::new(move |ship| {
        let distribution = match (ship, &chosen) {
            (ShipStrategy::KeyGroup | ShipStrategy::Custom, Some(make)) => make(),
            (ShipStrategy::Rebalance | ShipStrategy::Rescale, _) => Distribution::RoundRobin,
            (ShipStrategy::Shuffle, _) => Distribution::Shuffle,
            (ShipStrategy::Broadcast, _) => Distribution::Broadcast,
            (ShipStrategy::Forward | ShipStrategy::Global, _) => Distribution::Single,
            (ShipStrategy::KeyGroup | ShipStrategy::Custom, None) => Distribution::Single,
        };
        Arc::new(TypedEdge::<T>::new(distribution))
    })
}

/// What an operator is, besides its code and inputs.
pub(crate) struct OperatorSpec {
    pub(crate) name: String,
    pub(crate) kind: OperatorKind,
    pub(crate) bounded: bool,
    pub(crate) max_allowed_parallelism: Option<u32>,
}

impl OperatorSpec {
    pub(crate) fn operator(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: OperatorKind::Operator,
            bounded: true,
            max_allowed_parallelism: None,
        }
    }
}

/// A program under construction.
#[derive(Clone, Default)]
pub(crate) struct ProgramBuilder {
    /// Shared by a program and its copies: a transformation has the same id in all of them.
    origin: Arc<()>,
    pub(crate) transformations: Vec<Transformation>,
    operators: Vec<Arc<dyn OperatorFactory>>,
    edges: Vec<Vec<MakeEdge>>,
    pub(crate) mistakes: Vec<String>,
}

impl ProgramBuilder {
    pub(crate) fn add(
        &mut self,
        spec: OperatorSpec,
        factory: Arc<dyn OperatorFactory>,
        inputs: Vec<(u32, Input)>,
    ) -> TransformationId {
        let id = TransformationId(self.transformations.len() as u32);
        self.edges.push(inputs.iter().map(|(_, input)| input.make_edge.clone()).collect());
        let inputs = inputs.into_iter().map(|(input_index, input)| TransformationInput {
            source: input.source,
            input_index,
            ship: input.ship,
            side_output: input.side_output,
        });
        self.transformations.push(Transformation {
            id,
            name: spec.name,
            kind: spec.kind,
            uid: None,
            parallelism: None,
            max_allowed_parallelism: spec.max_allowed_parallelism,
            max_parallelism: None,
            chaining: ChainingStrategy::Always,
            slot_sharing_group: None,
            co_location_key: None,
            buffer_timeout_ms: None,
            blocking: false,
            has_coordinator: factory.has_coordinator(),
            bounded: spec.bounded,
            inputs: inputs.collect(),
        });
        self.operators.push(factory);
        id
    }

    /// True if transformations of one are transformations of the other.
    pub(crate) fn is_copy_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.origin, &other.origin)
    }

    /// Leaves out what does not lead to one of `ends`, and returns their new ids. Since ids change, it
    /// is a program of its own from then on.
    pub(crate) fn retain(&mut self, ends: &[TransformationId]) -> Vec<TransformationId> {
        let mut kept = vec![false; self.transformations.len()];
        let mut open: Vec<TransformationId> = ends.to_vec();
        while let Some(id) = open.pop() {
            if let Some(kept) = kept.get_mut(id.0 as usize)
                && !std::mem::replace(kept, true)
            {
                let inputs = &self.transformations[id.0 as usize].inputs;
                open.extend(inputs.iter().map(|input| input.source));
            }
        }
        let mut next = 0;
        let ids: Vec<TransformationId> = kept
            .iter()
            .map(|kept| {
                let id = TransformationId(next);
                next += u32::from(*kept);
                id
            })
            .collect();
        let mut places = kept.iter();
        self.operators.retain(|_| *places.next().unwrap_or(&false));
        let mut places = kept.iter();
        self.edges.retain(|_| *places.next().unwrap_or(&false));
        self.transformations.retain(|one| kept[one.id.0 as usize]);
        for one in &mut self.transformations {
            one.id = ids[one.id.0 as usize];
            for input in &mut one.inputs {
                input.source = ids[input.source.0 as usize];
            }
        }
        self.origin = Arc::default();
        ends.iter().map(|end| ids[end.0 as usize]).collect()
    }

    /// The code that belongs to a graph of this program.
    pub(crate) fn program(&self, graph: &StreamGraph) -> Program {
        let operators = graph.nodes.iter().zip(&self.operators);
        let operators = operators.map(|(node, factory)| (node.operator_id, factory.clone()));
        let makers = self.edges.iter().flatten();
        let edges = graph.edges.iter().zip(makers).map(|(edge, make)| (edge.id, make(edge.ship)));
        Program { operators: operators.collect(), edges: edges.collect() }
    }
}
