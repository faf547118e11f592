//! Findings on standard output.

use std::{io, mem};

use anyhow::Result;

use crate::{
    commands::{
        explain, finding_row,
        form::Form,
        unmatched::{self, none},
    },
    findings::line::{FindingLine, Line},
    surfaces::{
        look::{Look, columns},
        next, table,
    },
    text::{
        csv,
        escape::visible,
        json, streams,
        words::{counted, grouped},
    },
};

/// What to try next where nothing alerts.
const CALM: &str = "Next: `pinif status` says what is audited, and what is not seen.";

/// Shows findings in one form.
pub struct Printer {
    form: Form,
    /// Whether the headings are written.
    begun: bool,
    /// What people are shown as one table, at the end.
    table: Vec<FindingLine>,
}

impl Printer {
    /// In this form.
    pub fn new(form: Form) -> Self {
        Self {
            form,
            begun: false,
            table: Vec::new(),
        }
    }

    pub fn form(&self) -> Form {
        self.form
    }

    /// Shows findings of a list.
    pub fn lines(&mut self, findings: &[FindingLine]) -> Result<()> {
        match self.form {
            Form::Human => self.table.extend_from_slice(findings),
            Form::Json => {
                let mut text = String::new();
                for finding in findings {
                    text.push_str(&json::line(&Line::Finding(Box::new(finding.clone())))?);
                }
                streams::write(&text)?;
            }
            Form::Csv => {
                let headings =
                    (!mem::replace(&mut self.begun, true)).then(|| csv::row(finding_row::HEADINGS));
                let rows = findings.iter().map(finding_row::row);
                streams::write(&headings.into_iter().chain(rows).collect::<String>())?;
            }
        }
        Ok(())
    }

    /// Ends the list, of which so many are not shown; with why it is empty.
    pub fn end(&mut self, more: u64, why: Option<&str>) -> Result<()> {
        match self.form {
            Form::Human => {
                let out = io::stdout();
                let findings = mem::take(&mut self.table);
                let mut text = if findings.is_empty() {
                    none(why)
                } else {
                    table::table(&findings).list(Look::of(&out), columns(&out))
                };
                if more > 0 {
                    text.push_str(&format!("and {} more: --limit\n", grouped(more)));
                }
                // Where none is as somebody asked for it, that is what to change.
                if why.is_none() {
                    let next = next::gravest(&findings).unwrap_or_else(|| CALM.to_owned());
                    text.push_str(&format!("\n{}\n", streams::fitted(&next, &out)));
                }
                streams::write(&text)
            }
            // Headings without rows say that there is none.
            Form::Csv => {
                unmatched::note(why);
                self.lines(&[])
            }
            Form::Json => {
                unmatched::note(why);
                Ok(())
            }
        }
    }

    /// Shows one as it happens: all of it where it is new, else what has changed.
    pub fn event(&mut self, finding: &FindingLine, is_new: bool) -> Result<()> {
        match self.form {
            Form::Human if is_new => explain::show_in_short(finding),
            Form::Human => {
                let FindingLine {
                    severity,
                    kind,
                    id,
                    state,
                    last_seen,
                    packets,
                    ..
                } = finding;
                let line = format!(
                    "{} {} {id}: {} so far, {}, last seen at {last_seen}",
                    severity.name(),
                    kind.name(),
                    counted(*packets, "packet"),
                    state.name()
                );
                streams::write(&format!("{}\n", visible(&line)))
            }
            Form::Json | Form::Csv => self.lines(std::slice::from_ref(finding)),
        }
    }
}
