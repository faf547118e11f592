//! What cargo says of the packages that pinif is made of.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{
    process::{in_words, output},
    workspace::Workspace,
};

/// All that cargo says (cargo-metadata(1)), for one target.
///
/// # Errors
/// Where cargo does not say it.
pub fn of(workspace: &Workspace, target: &str) -> Result<Value> {
    let mut cargo: Command = workspace.cargo();
    cargo
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--filter-platform", target]);
    let Some(text) = output(&mut cargo) else {
        bail!("`{}` failed", in_words(&cargo));
    };
    serde_json::from_str(&text).context("cargo's metadata cannot be read")
}

/// The manifests of the workspace's members.
pub fn members(metadata: &Value) -> impl Iterator<Item = &str> {
    packages(metadata)
        .filter(|package| package["source"].is_null())
        .filter_map(|package| package["manifest_path"].as_str())
}

/// What pinif is linked with: its dependencies, and theirs, but for those of builds and tests alone.
///
/// # Errors
/// Where pinif is not among the packages.
pub fn linked(metadata: &Value) -> Result<Vec<&Value>> {
    let of_id: BTreeMap<&str, &Value> = packages(metadata)
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    let needs: BTreeMap<&str, Vec<&str>> = list(&metadata["resolve"]["nodes"])
        .filter_map(|node| Some((node["id"].as_str()?, normal(node).collect())))
        .collect();
    let root = packages(metadata)
        .find(|package| package["name"] == "pinif-userspace")
        .and_then(|package| package["id"].as_str())
        .context("cargo knows no package pinif-userspace")?;
    let mut seen = BTreeSet::new();
    let mut next = vec![root];
    while let Some(id) = next.pop() {
        if seen.insert(id) {
            next.extend(needs.get(id).into_iter().flatten());
        }
    }
    Ok(seen
        .iter()
        .filter_map(|id| of_id.get(id).copied())
        .collect())
}

/// The packages that one needs where it runs.
fn normal(node: &Value) -> impl Iterator<Item = &str> {
    let is_normal =
        |dependency: &&Value| list(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null());
    list(&node["deps"])
        .filter(is_normal)
        .filter_map(|dependency| dependency["pkg"].as_str())
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    list(&metadata["packages"])
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_only_tests_and_builds_need_is_not_linked() -> Result<()> {
        let need = |id: &str, kind: Value| json!({"pkg": id, "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "packages": [
                {"id": "p", "name": "pinif-userspace"}, {"id": "a", "name": "a"}, {"id": "b", "name": "b"},
                {"id": "c", "name": "c"}, {"id": "d", "name": "d"}
            ],
            "resolve": {"nodes": [
                {"id": "p", "deps": [need("a", Value::Null), need("c", "dev".into())]},
                {"id": "a", "deps": [need("b", Value::Null), need("d", "build".into())]}
            ]}
        });
        let names: Vec<_> = linked(&metadata)?
            .iter()
            .filter_map(|package| package["name"].as_str())
            .collect();
        assert_eq!(names, ["a", "b", "pinif-userspace"]);
        Ok(())
    }
}
