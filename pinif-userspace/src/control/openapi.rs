//! The description of the control socket as OpenAPI 3.1, made of the types that answer.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    filter::{ClosedFilter, EventsFilter, FindingsFilter, LearnedFilter, SocketsFilter},
    protocol::{
        ClosedSockets, EventLine, FindingsPage, ForeseenNow, MatrixNow, PolicyNow, Problem,
        SocketsPage, Status, path,
    },
};
use crate::{findings::line::FindingLine, learned::LearnedPage};

/// The description.
pub fn description() -> Value {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    let mut add = |path: &str, operation: Value| {
        paths.insert(path.to_owned(), json!({ "get": operation }));
    };
    add(
        path::STATUS,
        get::<Status>(&mut schemas, "status", "How the audit stands", None),
    );
    add(
        path::MATRIX,
        get::<MatrixNow>(
            &mut schemas,
            "matrix",
            "Who has sent how much by which interface",
            None,
        ),
    );
    let filter = parameters::<FindingsFilter>();
    add(
        path::FINDINGS,
        get::<FindingsPage>(
            &mut schemas,
            "findings",
            "Findings, a page of them",
            Some(filter),
        ),
    );
    let id = json!([{
        "name": "id",
        "in": "path",
        "required": true,
        "description": "The finding's `id`.",
        "schema": { "type": "string", "pattern": "^[0-9a-f]{12}$" },
    }]);
    add(
        path::FINDING,
        get::<FindingLine>(&mut schemas, "finding", "One finding", Some(id)),
    );
    let filter = parameters::<SocketsFilter>();
    add(
        path::SOCKETS,
        get::<SocketsPage<'static>>(
            &mut schemas,
            "sockets",
            "Sockets, a page of them",
            Some(filter),
        ),
    );
    let filter = parameters::<ClosedFilter>();
    add(
        path::CLOSED,
        get::<ClosedSockets>(
            &mut schemas,
            "closed",
            "Sockets of a namespace that were closed",
            Some(filter),
        ),
    );
    let filter = parameters::<LearnedFilter>();
    add(
        path::LEARNED,
        get::<LearnedPage>(
            &mut schemas,
            "learned",
            "What was sent by whom, a page of it",
            Some(filter),
        ),
    );
    add(
        path::FORESEEN,
        get::<ForeseenNow>(
            &mut schemas,
            "foreseen",
            "What would leak if an interface went down",
            None,
        ),
    );
    let filter = parameters::<EventsFilter>();
    let mut events = get::<EventLine<'static>>(
        &mut schemas,
        "events",
        "What happens from now on, a line each",
        Some(filter),
    );
    let line = schemas.subschema_for::<EventLine<'static>>();
    events["responses"]["200"]["content"] = json!({
        "application/jsonl": { "schema": line },
        "text/event-stream": { "schema": line },
    });
    add(path::EVENTS, events);
    add(
        path::POLICY,
        get::<PolicyNow>(&mut schemas, "policy", "The policy in force", None),
    );
    let text = json!({ "schema": { "type": "string" } });
    add(
        path::METRICS,
        json!({
            "operationId": "metrics",
            "summary": "All counters and states, for Prometheus",
            "responses": { "200": {
                "description": "OpenMetrics text where it is asked for, else the text format 0.0.4",
                "content": { "application/openmetrics-text": text, "text/plain": text },
            } },
        }),
    );
    add(
        path::OPENAPI,
        json!({
            "operationId": "openapi",
            "summary": "This description",
            "responses": { "200": { "description": "OpenAPI 3.1", "content": { "application/json": {} } } },
        }),
    );
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "The control socket of pinif",
            "version": "1",
            "license": { "name": "MIT OR Apache-2.0" },
            "description": "HTTP on a Unix socket: `curl --unix-socket /run/pinif/pinif.sock http://pinif/v1/status`.",
        },
        "servers": [{ "url": "http://pinif" }],
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "paths": paths,
        "components": { "schemas": schemas.take_definitions(true) },
    })
}

fn get<T: JsonSchema>(
    schemas: &mut SchemaGenerator,
    name: &str,
    summary: &str,
    parameters: Option<Value>,
) -> Value {
    let answer = schemas.subschema_for::<T>();
    let problem = schemas.subschema_for::<Problem>();
    let mut operation = json!({
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": { "description": summary, "content": { "application/json": { "schema": answer } } },
            "default": {
                "description": "Why there is no answer",
                "content": { "application/json": { "schema": problem } },
            },
        },
    });
    if let Some(parameters) = parameters {
        operation["parameters"] = parameters;
    }
    operation
}

/// What may stand behind the `?`: a parameter for each field.
fn parameters<T: JsonSchema>() -> Value {
    let schema = SchemaSettings::draft2020_12()
        .for_deserialize()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    let fields = schema["properties"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let parameter = |(name, mut schema): (String, Value)| {
        let description = schema
            .as_object_mut()
            .and_then(|schema| schema.remove("description"));
        let mut parameter = json!({
            "name": name,
            "in": "query",
            "description": description,
            "schema": schema,
        });
        if required.contains(&parameter["name"]) {
            parameter["required"] = true.into();
        }
        parameter
    };
    fields.into_iter().map(parameter).collect()
}
