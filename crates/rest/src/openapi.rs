//! The OpenAPI document, made from the table of routes.

use http::Method;
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    handlers::cluster::VERSION,
    messages::ErrorResponseBody,
    server::route::{RequestKind, ResponseKind, Route},
};

/// What the parameters of paths are.
const PARAMETERS: &[(&str, &str)] = &[
    ("jobid", "A job: 32 hexadecimal digits."),
    ("operatorUid", "An operator: 32 hexadecimal digits."),
    ("vertexid", "A vertex of a job: 32 hexadecimal digits."),
    ("subtaskindex", "Index of a subtask, from 0."),
    ("attempt", "Number of an attempt, from 0."),
    ("checkpointid", "Number of a checkpoint."),
    ("triggerid", "The id that was returned when the operation was started."),
    ("taskmanagerid", "A TaskManager: 32 hexadecimal digits."),
    ("filename", "Name of a file."),
    ("jarid", "A program: its SHA-256 in hexadecimal."),
];

/// The document as JSON.
pub fn document(routes: &[Route]) -> String {
    let settings = SchemaSettings::openapi3().for_serialize();
    let mut generator = settings.into_generator();
    let error = generator.subschema_for::<ErrorResponseBody>();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let path = path_template(route.path);
        let operation = operation(route, &mut generator, &json!(error));
        let operations = paths.entry(path).or_insert_with(|| json!({}));
        operations[route.method.as_str().to_ascii_lowercase()] = operation;
    }
    let document = json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Hurtig REST API",
            "description": "Flink's REST API, version 1.",
            "version": VERSION,
            "license": { "name": "Apache 2.0" },
        },
        "servers": [{ "url": "/v1" }],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
        },
        "security": [{}, { "bearer": [] }],
    });
    document.to_string()
}

/// `/jobs/{jobid}` of `/jobs/:jobid`.
fn path_template(path: &str) -> String {
    let segment = |segment: &str| match segment.strip_prefix(':') {
        Some(name) => format!("{{{name}}}"),
        None => segment.to_owned(),
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// A name of its own for each operation: `getJobsJobidPlan`.
fn operation_id(method: &Method, path: &str) -> String {
    let mut id = method.as_str().to_ascii_lowercase();
    for word in path.split(['/', ':', '-', '.']).filter(|word| !word.is_empty()) {
        let (first, rest) = word.split_at(1);
        id.push_str(&first.to_ascii_uppercase());
        id.push_str(rest);
    }
    id
}

fn operation(route: &Route, generator: &mut SchemaGenerator, error: &Value) -> Value {
    let in_path = route.parameters().map(|name| {
        let known = PARAMETERS.iter().find(|(known, _)| *known == name);
        json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": known.map_or("", |(_, description)| description),
            "schema": { "type": "string" },
        })
    });
    let in_query = route.query.iter().map(|parameter| {
        json!({
            "name": parameter.name,
            "in": "query",
            "required": false,
            "description": parameter.description,
            "schema": { "type": "string" },
        })
    });
    let parameters: Vec<Value> = in_path.chain(in_query).collect();
    let content = match route.response {
        ResponseKind::Json(schema) => {
            json!({ "application/json": { "schema": schema(generator) } })
        }
        ResponseKind::Text => json!({ "text/plain": { "schema": { "type": "string" } } }),
    };
    let mut operation = json!({
        "operationId": operation_id(&route.method, route.path),
        "description": route.description,
        "parameters": parameters,
        "responses": {
            (route.status.as_str()): { "description": "Answered.", "content": content },
            "default": {
                "description": "Not answered.",
                "content": { "application/json": { "schema": error } },
            },
        },
    });
    let body = match route.request {
        RequestKind::Nothing => return operation,
        // A body of GET has no meaning to OpenAPI.
        RequestKind::Json(_) if route.method == Method::GET => return operation,
        RequestKind::Json(schema) => json!({ "application/json": { "schema": schema(generator) } }),
        RequestKind::Upload => json!({
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": { "jarfile": { "type": "string", "format": "binary" } },
                },
            },
        }),
    };
    operation["requestBody"] = json!({ "content": body });
    operation
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::routes;

    #[test]
    fn every_route_is_in_the_document_once_and_described() {
        let routes = routes::all();
        let document: Value = serde_json::from_str(&document(&routes)).unwrap();
        let mut ids = std::collections::BTreeSet::new();
        for route in &routes {
            let method = route.method.as_str().to_ascii_lowercase();
            let operation = &document["paths"][path_template(route.path)][&method];
            let place = format!("{} {}", route.method, route.path);
            let description = operation["description"].as_str().unwrap_or_default();
            assert!(description.ends_with('.'), "{place} is not described");
            let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
            assert!(ids.insert(id), "{place} is there twice");
            assert!(
                operation["responses"][route.status.as_str()]["content"].is_object(),
                "{place}"
            );
            for name in route.parameters() {
                assert!(PARAMETERS.iter().any(|(known, _)| *known == name), "{place}: {name}");
            }
        }
        let count: usize = document["paths"]
            .as_object()
            .unwrap()
            .values()
            .map(|operations| operations.as_object().unwrap().len())
            .sum();
        assert_eq!(count, routes.len());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let text = document(&routes::all());
        let document: Value = serde_json::from_str(&text).unwrap();
        let mut references = 0;
        for part in text.split(r##""$ref":"#/"##).skip(1) {
            let pointer = format!("/{}", part.split('"').next().unwrap_or_default());
            assert!(document.pointer(&pointer).is_some(), "{pointer}");
            references += 1;
        }
        assert!(references > 50);
    }
}
