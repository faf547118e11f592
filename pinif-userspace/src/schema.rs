//! The JSON Schemas of all lines that pinif prints, made from the types that print them; and that of the policy that it reads.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

use crate::{
    commands::{doctor, foresee},
    control::{
        openapi,
        protocol::{MatrixNow, Status},
    },
    findings::line,
    history::HistoryLine,
    hold::report::PinReport,
    learned::{LearnedPage, TrialReport},
    survey,
};

/// What makes one.
pub type Make = fn() -> Value;

/// Those that are published, by the names of their files in `docs/schema`.
pub const ALL: [(&str, Make); 11] = [
    ("pinif-audit", audit),
    ("pinif-doctor", doctor),
    ("pinif-foresee", foresee),
    ("pinif-history", history),
    ("pinif-learned", learned),
    ("pinif-matrix", matrix),
    ("pinif-pin", pin),
    ("pinif-policy", policy),
    ("pinif-policy-test", policy_test),
    ("pinif-sockets", sockets),
    ("pinif-status", status),
];

/// Of `pinif audit`.
pub fn audit() -> Value {
    line::schema()
}

/// What may be asked over the control socket, as OpenAPI.
pub fn control() -> Value {
    openapi::description()
}

/// Of `pinif history`.
pub fn history() -> Value {
    of::<HistoryLine>(1)
}

/// Of `pinif learn --format json`.
pub fn learned() -> Value {
    of::<LearnedPage>(1)
}

/// Of `pinif policy test --format json`.
pub fn policy_test() -> Value {
    of::<TrialReport>(1)
}

/// Of `pinif matrix`.
pub fn matrix() -> Value {
    of::<MatrixNow>(1)
}

/// Of `pinif status`.
pub fn status() -> Value {
    of::<Status>(1)
}

/// Of `pinif doctor`.
pub fn doctor() -> Value {
    of::<doctor::Line<'static>>(1)
}

/// Of `pinif foresee`.
pub fn foresee() -> Value {
    of::<foresee::Line<'static>>(1)
}

/// Of `pinif pin` and `pinif run`.
pub fn pin() -> Value {
    of::<PinReport>(1)
}

/// Of the policy file.
pub fn policy() -> Value {
    crate::policy::schema::schema()
}

/// Of `pinif sockets`. Since version 2 the risk of what leaves via another interface than its address's is `misrouted`.
pub fn sockets() -> Value {
    of::<survey::Line<'static>>(2)
}

/// The version goes up where a value or a field means something else than before.
fn of<T: JsonSchema>(version: u32) -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<T>();
    schema.insert("version".to_owned(), version.into());
    schema.to_value()
}
