//! Equal parts of many findings are kept once.

use std::sync::Arc;

use super::{
    explain::Cause,
    finding::{Finding, Place},
    pool::Pool,
    process::Process,
    subject::Subject,
    ways::Ways,
};

/// The values that findings share.
#[derive(Debug, Default)]
pub struct Shared {
    /// The boot of the machine, by its UUID, where that is known.
    pub boot: Option<Arc<str>>,
    /// Names of namespaces, interfaces, zones and rules.
    pub names: Pool<str>,
    /// Where things were found.
    pub places: Pool<Place>,
    /// Processes.
    pub processes: Pool<Process>,
    /// Who findings are about.
    pub subjects: Pool<Subject>,
    /// Why.
    pub causes: Pool<[Cause]>,
    /// What routing offered.
    pub ways: Pool<Ways>,
}

impl Shared {
    /// Changes where a finding was found.
    pub fn amend_place(
        &mut self,
        finding: &mut Finding,
        amend: impl FnOnce(&mut Place, &mut Pool<str>),
    ) {
        let mut place = Place::clone(&finding.place);
        amend(&mut place, &mut self.names);
        finding.place = self.places.one(place);
    }
}
