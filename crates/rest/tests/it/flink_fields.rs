//! What Flink's clients find: every path, query parameter and field that Flink 2.3's own snapshot
//! of its REST API has, in the description and in the answers of a running job.
//!
//! `flink_rest_v1.txt` is a list of facts taken from that snapshot: a line per path, then `?` query
//! parameters, `>` fields of requests, `<` fields of responses.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Gate, start};

const SNAPSHOT: &str = include_str!("flink_rest_v1.txt");

/// Paths of Flink that have no meaning here, or are not there yet.
const ABSENT: &[(&str, &str)] = &[
    ("/applications", "there are jobs, and nothing around them"),
    ("/datasets", "no data set is cached"),
    ("POST /jobs ", "a serialised Java graph"),
    ("/run-application", "there are jobs, and nothing around them"),
    ("/clientHeartbeat", "jobs do not depend on their clients"),
    ("/rescaling", "disabled in Flink, too: see FLINK-12312"),
    ("/log-url", "links to where a resource framework keeps logs"),
    ("/flamegraph", "stacks of a JVM"),
];

/// Fields of Flink that are not there.
const ABSENT_FIELDS: &[&str] = &[];

struct Call {
    method: String,
    path: String,
    status: String,
    query: Vec<String>,
    request: Vec<String>,
    response: Vec<String>,
}

fn calls() -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    for line in SNAPSHOT.lines() {
        let Some(call) = calls.last_mut().filter(|_| line.starts_with("  ")) else {
            let mut words = line.split(' ').map(str::to_owned);
            let mut next = || words.next().unwrap();
            let (method, path, status) = (next(), next(), next());
            let (query, request, response) = (Vec::new(), Vec::new(), Vec::new());
            calls.push(Call { method, path, status, query, request, response });
            continue;
        };
        let (kind, field) = line.trim().split_once(' ').unwrap();
        let list = match kind {
            "?" => &mut call.query,
            ">" => &mut call.request,
            _ => &mut call.response,
        };
        list.push(field.to_owned());
    }
    let is_absent = |call: &Call| {
        let name = format!("{} {} ", call.method, call.path);
        ABSENT.iter().any(|(part, _)| name.contains(part))
    };
    calls.retain(|call| !is_absent(call));
    calls
}

/// Follows references and alternatives to what has fields.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).unwrap();
        return resolve(document, target);
    }
    let mut found = vec![schema];
    for parts in ["allOf", "anyOf", "oneOf"] {
        let parts = schema[parts].as_array().into_iter().flatten();
        found.extend(parts.flat_map(|part| resolve(document, part)));
    }
    found
}

/// True if a schema has a field: `a.b[].*.c`.
fn has(document: &Value, schema: &Value, path: &[String]) -> bool {
    let Some((step, rest)) = path.split_first() else { return true };
    resolve(document, schema).into_iter().any(|schema| {
        let inner = match step.as_str() {
            "[]" => &schema["items"],
            "*" => &schema["additionalProperties"],
            name => &schema["properties"][name],
        };
        !inner.is_null() && has(document, inner, rest)
    })
}

fn steps(field: &str) -> Vec<String> {
    let separated = field.replace("[]", ".[]");
    separated.split('.').filter(|step| !step.is_empty()).map(str::to_owned).collect()
}

#[test]
fn every_path_parameter_and_field_of_flink_is_described() {
    let cluster = start();
    let document = cluster.get("/openapi.json");
    let mut missing = Vec::new();
    let (mut paths, mut fields) = (0, 0);
    for call in calls() {
        let template: Vec<String> = call
            .path
            .split('/')
            .map(|part| {
                part.strip_prefix(':').map_or(part.to_owned(), |name| format!("{{{name}}}"))
            })
            .collect();
        let operation = &document["paths"][template.join("/")][call.method.to_ascii_lowercase()];
        let name = format!("{} {}", call.method, call.path);
        if operation.is_null() {
            missing.push(name);
            continue;
        }
        paths += 1;
        let answer = &operation["responses"][&call.status];
        if answer.is_null() {
            missing.push(format!("{name}: status {}", call.status));
        }
        let parameters: BTreeSet<&str> = operation["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        let unknown = call.query.iter().filter(|name| !parameters.contains(name.as_str()));
        missing.extend(unknown.map(|query| format!("{name}: ?{query}")));
        let schema = &answer["content"]["application/json"]["schema"];
        let request = &operation["requestBody"]["content"]["application/json"]["schema"];
        for (list, schema) in [(&call.response, schema), (&call.request, request)] {
            for field in list {
                fields += 1;
                if !has(&document, schema, &steps(field))
                    && !ABSENT_FIELDS.contains(&field.as_str())
                {
                    missing.push(format!("{name}: {field}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "not there:\n{}", missing.join("\n"));
    assert!(paths > 50 && fields > 400, "{paths} paths, {fields} fields");
}

/// True if an answer has a field; lists and maps without entries have all, and so has what is null.
fn answers(value: &Value, path: &[String]) -> bool {
    let Some((step, rest)) = path.split_first() else { return true };
    match (step.as_str(), value) {
        (_, Value::Null) => true,
        ("[]", Value::Array(values)) => values.iter().all(|value| answers(value, rest)),
        ("*", Value::Object(fields)) => fields.values().all(|value| answers(value, rest)),
        (name, Value::Object(fields)) => fields.get(name).is_some_and(|value| answers(value, rest)),
        _ => false,
    }
}

/// Fields that Flink leaves out, too, when there is nothing to say, or whose class has not them.
const OPTIONAL: &[&str] = &[
    "inputs",
    "local_strategy",
    "caching",
    "other-concurrent-attempts",
    "job-execution-result",
    "failure_timestamp",
    "failure_message",
    "external_path",
    "discarded",
];

#[test]
fn every_field_of_flink_is_in_the_answers_of_a_running_job() {
    let (cluster, gate) = (start(), Gate::default());
    let job = cluster.submit_sums(&gate);
    let pointer = cluster.wait(cluster.client.trigger_checkpoint(job, &Default::default()));
    cluster.wait(cluster.client.checkpoint(job, pointer.unwrap())).unwrap();
    let details = cluster.get(&format!("/jobs/{job}"));
    let vertex = details["vertices"][1]["id"].as_str().unwrap();
    let executor = cluster.get("/taskmanagers")["taskmanagers"][0]["id"].clone();
    let mut asked = 0;
    for call in calls() {
        let unknown = [":jarid", ":triggerid", "/jars", "resource-requirements", "thread-dump"];
        if call.method != "GET" || unknown.iter().any(|part| call.path.contains(part)) {
            continue;
        }
        let path = call
            .path
            .replace(":jobid", &job.to_string())
            .replace(":vertexid", vertex)
            .replace(":subtaskindex", "1")
            .replace(":attempt", "0")
            .replace(":checkpointid", "1")
            .replace(":taskmanagerid", executor.as_str().unwrap());
        let answer = cluster.get(&path);
        for field in &call.response {
            let steps = steps(field);
            let optional = steps.iter().any(|step| OPTIONAL.contains(&step.as_str()));
            assert!(optional || answers(&answer, &steps), "{path} has no {field}: {answer}");
        }
        asked += 1;
    }
    assert!(asked > 35, "{asked}");
    gate.open();
}
