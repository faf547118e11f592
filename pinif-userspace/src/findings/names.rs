//! The names of kinds, severities and verdicts in JSON, and their schemas.

use std::borrow::Cow;

use pinif_ebpf::verdict::{CellVerdict, Kind, Severity};
use schemars::{Schema, SchemaGenerator, json_schema};

/// All severities, the gravest first.
pub(super) const SEVERITIES: [Severity; 3] = [Severity::Leak, Severity::Risk, Severity::Note];

/// The kind that is called so.
pub(super) fn kind_named(name: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind.name() == name)
}

/// The severity that is called so.
pub(crate) fn severity_named(name: &str) -> Option<Severity> {
    let mut all = SEVERITIES.into_iter();
    all.find(|severity| severity.name() == name)
}

/// A kind by its name.
pub(crate) mod kind_name {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::{Cow, Kind};

    pub fn serialize<S: Serializer>(kind: &Kind, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(kind.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Kind, D::Error> {
        let name = Cow::<str>::deserialize(from)?;
        super::kind_named(&name)
            .ok_or_else(|| D::Error::custom(format!("there is no kind `{name}`")))
    }
}

/// A severity by its name.
pub(crate) mod severity_name {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::{Cow, Severity};

    pub fn serialize<S: Serializer>(severity: &Severity, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(severity.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Severity, D::Error> {
        let name = Cow::<str>::deserialize(from)?;
        super::severity_named(&name)
            .ok_or_else(|| D::Error::custom(format!("there is no severity `{name}`")))
    }
}

/// A severity by its name, or null.
pub(crate) mod severity_or_none {
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

    use super::Severity;

    /// A severity by its name.
    #[derive(Deserialize)]
    struct Named(#[serde(with = "super::severity_name")] Severity);

    pub fn serialize<S: Serializer>(severity: &Option<Severity>, to: S) -> Result<S::Ok, S::Error> {
        severity.map(Severity::name).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Severity>, D::Error> {
        Ok(Option::<Named>::deserialize(from)?.map(|Named(severity)| severity))
    }
}

/// All verdicts of cells.
fn verdicts() -> impl Iterator<Item = CellVerdict> {
    let found = Kind::ALL.into_iter().map(CellVerdict::Found);
    [CellVerdict::Contained, CellVerdict::Allowed]
        .into_iter()
        .chain(found)
}

/// A cell's verdict by its name: `contained`, `allowed`, or a kind's.
pub(crate) mod verdict_name {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::{CellVerdict, Cow};

    pub fn serialize<S: Serializer>(verdict: &CellVerdict, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(verdict.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<CellVerdict, D::Error> {
        let name = Cow::<str>::deserialize(from)?;
        super::verdicts()
            .find(|verdict| verdict.name() == name)
            .ok_or_else(|| D::Error::custom(format!("there is no verdict `{name}`")))
    }
}

/// The schema of [`kind_name`].
pub(crate) fn kind_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": Kind::ALL.map(Kind::name) })
}

/// The schema of [`severity_name`].
pub(crate) fn severity_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": SEVERITIES.map(Severity::name) })
}

/// The schema of [`severity_or_none`].
pub(crate) fn severity_or_none_schema(_: &mut SchemaGenerator) -> Schema {
    let names = SEVERITIES.map(Severity::name);
    let names: Vec<_> = names.into_iter().map(Some).chain([None]).collect();
    json_schema!({ "type": ["string", "null"], "enum": names })
}

/// The schema of [`verdict_name`].
pub(crate) fn verdict_schema(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<&str> = verdicts().map(CellVerdict::name).collect();
    json_schema!({ "type": "string", "enum": names })
}
