//! Programs as one-line scripts, graphs as text.

use expect_test::{Expect, expect};
use hurtig_types::{JobId, SideTag};

use crate::{
    ChainingStrategy, GraphError, JobConfig, JobGraph, OperatorKind, ShipStrategy, StreamGraph,
    StreamGraphSettings, Transformation, TransformationId, TransformationInput, build_job_graph,
    build_stream_graph, pipelined_regions,
};

/// A program from lines `name kind [key=value ...]`, with inputs as `in=NAME[:ship]`,
/// `in2=NAME[:ship]` for a second input and `side=NAME:TAG`.
fn program(script: &str) -> Vec<Transformation> {
    let mut all: Vec<Transformation> = Vec::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap().to_owned();
        let kind = match words.next().unwrap() {
            "source" => OperatorKind::Source,
            "sink" => OperatorKind::Sink,
            _ => OperatorKind::Operator,
        };
        let mut t = Transformation {
            id: TransformationId(all.len() as u32),
            name,
            kind,
            uid: None,
            parallelism: None,
            max_allowed_parallelism: None,
            max_parallelism: None,
            chaining: ChainingStrategy::Always,
            slot_sharing_group: None,
            co_location_key: None,
            buffer_timeout_ms: None,
            blocking: false,
            has_coordinator: false,
            bounded: true,
            inputs: Vec::new(),
        };
        for word in words {
            let (key, value) = word.split_once('=').unwrap();
            match key {
                "p" => t.parallelism = Some(value.parse().unwrap()),
                "max" => t.max_parallelism = Some(value.parse().unwrap()),
                "limit" => t.max_allowed_parallelism = Some(value.parse().unwrap()),
                "uid" => t.uid = Some(value.to_owned()),
                "group" => t.slot_sharing_group = Some(value.to_owned()),
                "with" => t.co_location_key = Some(value.to_owned()),
                "timeout" => t.buffer_timeout_ms = Some(value.parse().unwrap()),
                "chain" => {
                    t.chaining = match value {
                        "head" => ChainingStrategy::Head,
                        "never" => ChainingStrategy::Never,
                        _ => ChainingStrategy::Always,
                    }
                }
                "in" | "in2" | "side" => {
                    let (source, extra) = value.split_once(':').unwrap_or((value, ""));
                    let source = all
                        .iter()
                        .position(|other| other.name == source)
                        .map_or_else(|| source.parse().unwrap(), |index| index as u32);
                    let ship = match extra {
                        "forward" => Some(ShipStrategy::Forward),
                        "hash" => Some(ShipStrategy::KeyGroup),
                        "rescale" => Some(ShipStrategy::Rescale),
                        "broadcast" => Some(ShipStrategy::Broadcast),
                        _ => None,
                    };
                    t.inputs.push(TransformationInput {
                        source: TransformationId(source),
                        input_index: u32::from(key == "in2"),
                        ship,
                        side_output: (key == "side").then(|| SideTag::new(extra)),
                    });
                }
                other => panic!("unknown word {other}"),
            }
        }
        all.push(t);
    }
    all
}

fn stream_graph(script: &str) -> Result<StreamGraph, GraphError> {
    build_stream_graph(&program(script), &StreamGraphSettings::default())
}

fn job_graph(script: &str) -> JobGraph {
    build_job_graph(&stream_graph(script).unwrap(), JobId(1), JobConfig::default())
}

fn check_job(script: &str, expected: Expect) {
    expected.assert_eq(&job_graph(script).to_text());
}

fn check_error(script: &str, expected: Expect) {
    expected.assert_eq(&stream_graph(script).unwrap_err().to_string());
}

#[test]
fn a_line_of_forward_operators_is_one_chain() {
    check_job(
        "a source\n b op in=a\n c sink in=b",
        expect![[r#"
            JobGraph of "Hurtig Streaming Job"
            0 [a -> b -> c] parallelism 1/128 slot group default
        "#]],
    );
}

#[test]
fn each_condition_of_chaining_can_break_it() {
    let chains = |script: &str| job_graph(script).vertices.len();
    assert_eq!(chains("a source\n b sink in=a"), 1);
    assert_eq!(chains("a source\n b sink in=a:hash"), 2, "not forward");
    assert_eq!(chains("a source p=2\n b sink in=a"), 2, "parallelism");
    assert_eq!(chains("a source max=5\n b sink in=a"), 2, "max parallelism");
    assert_eq!(chains("a source\n b sink in=a group=g"), 2, "slot sharing group");
    assert_eq!(chains("a source\n b sink in=a chain=head"), 2, "downstream begins a chain");
    assert_eq!(chains("a source chain=head\n b sink in=a"), 1, "a head may be followed");
    assert_eq!(chains("a source chain=never\n b sink in=a"), 2, "upstream is never chained");
    assert_eq!(chains("a source\n b source\n c sink in=a in=b"), 3, "a union");
    assert_eq!(chains("a source\n b source\n c sink in=a in2=b"), 3, "two inputs");
    let program = program("a source\n b sink in=a");
    let settings = StreamGraphSettings { chaining_enabled: false, ..Default::default() };
    let graph = build_stream_graph(&program, &settings).unwrap();
    assert_eq!(build_job_graph(&graph, JobId(1), JobConfig::default()).vertices.len(), 2);
}

#[test]
fn branches_side_outputs_and_exchanges_are_named_and_wired() {
    check_job(
        "a source p=2
         b op in=a p=2
         late sink side=b:late p=2
         main sink in=b p=2
         count op in=b:hash p=3
         out sink in=count p=1",
        expect![[r#"
            JobGraph of "Hurtig Streaming Job"
            0 [a -> b -> (late, main)] parallelism 2/128 slot group default
            1 [count] parallelism 3/128 slot group default
                <- HASH 0 input 0
            2 [out] parallelism 1/128 slot group default
                <- REBALANCE 1 input 0
        "#]],
    );
}

#[test]
fn parallelism_comes_from_the_nearest_level() {
    let program = program("a source p=5\n b sink in=a");
    let parallelism = |environment, client| {
        let settings = StreamGraphSettings {
            environment_parallelism: environment,
            client_parallelism: client,
            cluster_parallelism: 2,
            ..Default::default()
        };
        let graph = build_stream_graph(&program, &settings).unwrap();
        (graph.nodes[0].parallelism, graph.nodes[1].parallelism)
    };
    assert_eq!(parallelism(None, None), (5, 2));
    assert_eq!(parallelism(None, Some(3)), (5, 3));
    assert_eq!(parallelism(Some(4), Some(3)), (5, 4));
}

#[test]
fn slot_sharing_groups_are_inherited_if_the_inputs_agree() {
    let graph = stream_graph(
        "a source group=g\n b op in=a\n c source group=h\n d sink in=b in2=c\n e sink in=b",
    )
    .unwrap();
    let groups: Vec<_> = graph.nodes.iter().map(|node| node.slot_sharing_group.as_str()).collect();
    assert_eq!(groups, ["g", "g", "h", "default", "g"]);
}

#[test]
fn ids_survive_unrelated_changes_and_uids_survive_all() {
    let id = |script: &str, name: &str| {
        let graph = stream_graph(script).unwrap();
        graph.nodes.iter().find(|node| node.name == name).unwrap().operator_id
    };
    let before = "a source\n b op in=a\n c sink in=b";
    assert_eq!(id(before, "b"), id("a source\n b op in=a\n c sink in=b\n x sink in=a", "b"));
    assert_ne!(id(before, "c"), id("a source\n z op in=a\n b op in=z\n c sink in=b", "c"));
    let with_uid = id("a source\n b op in=a uid=sum\n c sink in=b", "b");
    assert_eq!(with_uid, id("a source\n z op in=a\n b op in=z uid=sum\n c sink in=b", "b"));
    let twins = stream_graph("a source\n b sink in=a\n c sink in=a").unwrap();
    assert_ne!(twins.nodes[1].operator_id, twins.nodes[2].operator_id);
}

#[test]
fn a_fingerprint_is_of_the_structure_alone() {
    let script = "a source\n b op in=a\n c sink in=b";
    let graph = job_graph(script);
    let mut renamed = JobGraph { job_id: JobId(9), name: "another".to_owned(), ..graph.clone() };
    renamed.config.checkpoints.interval_ms = Some(1);
    assert_eq!(renamed.fingerprint(), graph.fingerprint());
    for other in ["a source\n b op in=a p=2\n c sink in=b", "a source\n b op in=a\n d sink in=b"] {
        assert_ne!(job_graph(other).fingerprint(), graph.fingerprint(), "{other}");
    }
}

#[test]
fn regions_follow_the_exchanges() {
    let sizes = |script: &str| -> Vec<usize> {
        pipelined_regions(&job_graph(script)).iter().map(Vec::len).collect()
    };
    assert_eq!(sizes("a source p=2\n b sink in=a:forward p=2 chain=head"), [2, 2]);
    assert_eq!(sizes("a source p=2\n b sink in=a:hash p=2"), [4]);
    assert_eq!(sizes("a source p=2\n b sink in=a:rescale p=4"), [3, 3]);
}

#[test]
fn bad_programs_are_named() {
    check_error("a source", expect!["the program defines no sink: there is nothing to execute"]);
    check_error(
        "a source in=1\n b sink in=a",
        expect![[r#"operator "a" is a source but has an input"#]],
    );
    check_error("a source\n b sink", expect![[r#"operator "b" has no input"#]]);
    check_error(
        "a source\n b sink in=7",
        expect![[r#"operator "b" reads from unknown operator number 7"#]],
    );
    check_error(
        "a source\n b op in=2\n c op in=b\n d sink in=c",
        expect![[r#"the program has a cycle through "b", "c", "d""#]],
    );
    check_error(
        "a source uid=x\n b sink in=a uid=x",
        expect![[r#"uid "x" is used by operators "a" and "b"; it must be unique"#]],
    );
    check_error(
        "a source p=0\n b sink in=a",
        expect![[r#"parallelism of operator "a" is 0; it must be at least 1"#]],
    );
    check_error(
        "a source p=9 max=8\n b sink in=a",
        expect![[r#"parallelism 9 of operator "a" is above its max parallelism 8"#]],
    );
    check_error(
        "a source max=40000\n b sink in=a",
        expect![[r#"max parallelism 40000 of operator "a" is not between 1 and 32768"#]],
    );
    check_error(
        "a source\n b sink in=a limit=1 p=2",
        expect![[r#"operator "b" cannot run with parallelism 2: 1 at most"#]],
    );
    check_error(
        "a source\n b sink in=a:forward p=2",
        expect![[
            r#"forward partitioning from "a" (parallelism 1) to "b" (parallelism 2) needs equal parallelism; use rebalance or rescale"#
        ]],
    );
    check_error(
        "a source timeout=-2\n b sink in=a",
        expect![[r#"buffer timeout -2 ms of operator "a" is below -1"#]],
    );
    check_error(
        "a source with=k\n b sink in=a with=k p=2",
        expect![[r#"operators "a" and "b" share co-location key "k" but differ in parallelism"#]],
    );
}
