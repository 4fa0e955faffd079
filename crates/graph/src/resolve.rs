//! From transformations to the StreamGraph: everything that the user left open is decided here.

use std::collections::HashMap;

use hurtig_types::{
    EdgeId,
    key_group::{MAX_PARALLELISM_LIMIT, default_max_parallelism},
};

use crate::{
    error::GraphError,
    operator_ids::operator_ids,
    stream_graph::{StreamEdge, StreamGraph, StreamNode},
    transformation::{OperatorKind, ShipStrategy, Transformation},
};

/// Slot sharing group of operators that neither set nor inherit one.
pub const DEFAULT_SLOT_SHARING_GROUP: &str = "default";

/// Settings of a program. Parallelism is taken from the operator, else from the environment, else
/// from the client, else from the cluster.
#[derive(Clone, Debug)]
pub struct StreamGraphSettings {
    /// Name of the job.
    pub job_name: String,
    /// Set on the environment.
    pub environment_parallelism: Option<u32>,
    /// Set by the client (`-p`).
    pub client_parallelism: Option<u32>,
    /// `parallelism.default`.
    pub cluster_parallelism: u32,
    /// `pipeline.max-parallelism`.
    pub max_parallelism: Option<u32>,
    /// `execution.buffer-timeout.interval` in milliseconds; -1 disables the timeout.
    pub buffer_timeout_ms: i64,
    /// `pipeline.operator-chaining.enabled`.
    pub chaining_enabled: bool,
}

impl Default for StreamGraphSettings {
    fn default() -> Self {
        Self {
            job_name: "Hurtig Streaming Job".to_owned(),
            environment_parallelism: None,
            client_parallelism: None,
            cluster_parallelism: 1,
            max_parallelism: None,
            buffer_timeout_ms: 100,
            chaining_enabled: true,
        }
    }
}

/// Derives the StreamGraph of a program.
pub fn build_stream_graph(
    program: &[Transformation],
    settings: &StreamGraphSettings,
) -> Result<StreamGraph, GraphError> {
    if !program.iter().any(|t| t.kind == OperatorKind::Sink) {
        return Err(GraphError::Empty);
    }
    check_inputs(program)?;
    check_acyclic(program)?;
    check_uids(program)?;
    let mut nodes: Vec<StreamNode> = Vec::with_capacity(program.len());
    for transformation in program {
        nodes.push(resolve_node(transformation, settings)?);
    }
    resolve_slot_sharing(program, &mut nodes);
    check_co_location(&nodes)?;
    let mut edges = Vec::new();
    for transformation in program {
        for input in &transformation.inputs {
            let producer = &nodes[input.source.0 as usize];
            let consumer = &nodes[transformation.id.0 as usize];
            let equal = producer.parallelism == consumer.parallelism;
            let ship = match input.ship {
                None if equal => ShipStrategy::Forward,
                None => ShipStrategy::Rebalance,
                Some(ShipStrategy::Forward) if !equal => {
                    return Err(GraphError::ForwardParallelism {
                        producer: producer.name.clone(),
                        producer_parallelism: producer.parallelism,
                        consumer: consumer.name.clone(),
                        consumer_parallelism: consumer.parallelism,
                    });
                }
                Some(ship) => ship,
            };
            edges.push(StreamEdge {
                id: EdgeId(edges.len() as u32),
                source: input.source,
                target: transformation.id,
                input_index: input.input_index,
                ship,
                side_output: input.side_output.clone(),
            });
        }
    }
    let mut graph = StreamGraph {
        job_name: settings.job_name.clone(),
        nodes,
        edges,
        chaining_enabled: settings.chaining_enabled,
    };
    let ids = operator_ids(&graph);
    for (node, id) in graph.nodes.iter_mut().zip(ids) {
        node.operator_id = id;
    }
    Ok(graph)
}

fn check_inputs(program: &[Transformation]) -> Result<(), GraphError> {
    for (position, transformation) in program.iter().enumerate() {
        debug_assert_eq!(transformation.id.0 as usize, position, "ids are positions");
        let problem = match (transformation.kind, transformation.inputs.is_empty()) {
            (OperatorKind::Source, false) => Some("is a source but has an input"),
            (OperatorKind::Operator | OperatorKind::Sink, true) => Some("has no input"),
            _ => None,
        };
        if let Some(problem) = problem {
            let operator = transformation.name.clone();
            return Err(GraphError::Inputs { operator, problem });
        }
        for input in &transformation.inputs {
            if input.source.0 as usize >= program.len() {
                return Err(GraphError::UnknownInput {
                    operator: transformation.name.clone(),
                    source_id: input.source.0,
                });
            }
        }
    }
    Ok(())
}

/// The order of calls is a topological order unless an input refers forward; then look closer.
fn check_acyclic(program: &[Transformation]) -> Result<(), GraphError> {
    let mut open_inputs: Vec<usize> = program.iter().map(|t| t.inputs.len()).collect();
    let mut consumers: Vec<Vec<usize>> = vec![Vec::new(); program.len()];
    for (index, transformation) in program.iter().enumerate() {
        for input in &transformation.inputs {
            consumers[input.source.0 as usize].push(index);
        }
    }
    let mut ready: Vec<usize> = (0..program.len()).filter(|i| open_inputs[*i] == 0).collect();
    let mut seen = 0;
    while let Some(index) = ready.pop() {
        seen += 1;
        for consumer in &consumers[index] {
            open_inputs[*consumer] -= 1;
            if open_inputs[*consumer] == 0 {
                ready.push(*consumer);
            }
        }
    }
    if seen == program.len() {
        return Ok(());
    }
    let on_cycle = program.iter().zip(&open_inputs).filter(|(_, open)| **open > 0);
    let names: Vec<String> = on_cycle.map(|(t, _)| format!("{:?}", t.name)).collect();
    Err(GraphError::Cycle { operators: names.join(", ") })
}

fn check_uids(program: &[Transformation]) -> Result<(), GraphError> {
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for transformation in program {
        let Some(uid) = &transformation.uid else {
            continue;
        };
        if let Some(first) = owners.insert(uid, &transformation.name) {
            return Err(GraphError::DuplicateUid {
                uid: uid.clone(),
                first: first.to_owned(),
                second: transformation.name.clone(),
            });
        }
    }
    Ok(())
}

fn resolve_node(
    transformation: &Transformation,
    settings: &StreamGraphSettings,
) -> Result<StreamNode, GraphError> {
    let operator = || transformation.name.clone();
    let inherited = settings
        .environment_parallelism
        .or(settings.client_parallelism)
        .unwrap_or(settings.cluster_parallelism);
    let allowed = transformation.max_allowed_parallelism.unwrap_or(u32::MAX);
    let parallelism = match transformation.parallelism {
        Some(parallelism) if parallelism > allowed => {
            return Err(GraphError::NotParallel { operator: operator(), parallelism, allowed });
        }
        Some(parallelism) => parallelism,
        None => inherited.min(allowed),
    };
    if parallelism == 0 {
        return Err(GraphError::ZeroParallelism { operator: operator() });
    }
    let declared = transformation.max_parallelism.or(settings.max_parallelism);
    let max_parallelism = declared.unwrap_or_else(|| default_max_parallelism(parallelism));
    if max_parallelism == 0 || max_parallelism > MAX_PARALLELISM_LIMIT {
        let limit = MAX_PARALLELISM_LIMIT;
        return Err(GraphError::MaxParallelismRange {
            operator: operator(),
            max_parallelism,
            limit,
        });
    }
    if parallelism > max_parallelism {
        let operator = operator();
        return Err(GraphError::AboveMaxParallelism { operator, parallelism, max_parallelism });
    }
    let buffer_timeout_ms = transformation.buffer_timeout_ms.unwrap_or(settings.buffer_timeout_ms);
    if buffer_timeout_ms < -1 {
        let timeout_ms = buffer_timeout_ms;
        return Err(GraphError::BufferTimeout { operator: operator(), timeout_ms });
    }
    Ok(StreamNode {
        id: transformation.id,
        // Set once the whole graph is known.
        operator_id: hurtig_types::OperatorId(0),
        name: transformation.name.clone(),
        kind: transformation.kind,
        uid: transformation.uid.clone(),
        parallelism,
        max_parallelism,
        max_parallelism_derived: declared.is_none(),
        max_allowed_parallelism: transformation.max_allowed_parallelism,
        chaining: transformation.chaining,
        slot_sharing_group: String::new(),
        co_location_key: transformation.co_location_key.clone(),
        buffer_timeout_ms,
        blocking: transformation.blocking,
        has_coordinator: transformation.has_coordinator,
        bounded: transformation.bounded,
    })
}

/// A group that is set counts; else the one that all inputs agree on; else the default. Also
/// carries boundedness down from the sources.
fn resolve_slot_sharing(program: &[Transformation], nodes: &mut [StreamNode]) {
    for index in topological_order(program) {
        let transformation = &program[index];
        let inputs = || transformation.inputs.iter().map(|input| input.source.0 as usize);
        let inherited = || {
            let mut groups = inputs().map(|source| nodes[source].slot_sharing_group.as_str());
            let first = groups.next()?;
            groups.all(|group| group == first).then(|| first.to_owned())
        };
        let group = transformation.slot_sharing_group.clone().or_else(inherited);
        let bounded = if transformation.inputs.is_empty() {
            transformation.bounded
        } else {
            inputs().all(|source| nodes[source].bounded)
        };
        nodes[index].slot_sharing_group =
            group.unwrap_or_else(|| DEFAULT_SLOT_SHARING_GROUP.to_owned());
        nodes[index].bounded = bounded;
    }
}

fn topological_order(program: &[Transformation]) -> Vec<usize> {
    let mut order = Vec::with_capacity(program.len());
    let mut done = vec![false; program.len()];
    // Programs are written top down, so this is one pass but for inputs that refer forward.
    while order.len() < program.len() {
        for (index, transformation) in program.iter().enumerate() {
            let ready = transformation.inputs.iter().all(|input| done[input.source.0 as usize]);
            if !done[index] && ready {
                done[index] = true;
                order.push(index);
            }
        }
    }
    order
}

fn check_co_location(nodes: &[StreamNode]) -> Result<(), GraphError> {
    let mut first_of: HashMap<&str, &StreamNode> = HashMap::new();
    for node in nodes {
        let Some(key) = &node.co_location_key else {
            continue;
        };
        let first = *first_of.entry(key).or_insert(node);
        let what = if first.parallelism != node.parallelism {
            "parallelism"
        } else if first.slot_sharing_group != node.slot_sharing_group {
            "slot sharing group"
        } else {
            continue;
        };
        return Err(GraphError::CoLocation {
            key: key.clone(),
            first: first.name.clone(),
            second: node.name.clone(),
            what,
        });
    }
    Ok(())
}
