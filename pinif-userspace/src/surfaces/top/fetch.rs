//! What the auditor is asked for.

use super::data::{Fetched, Findings, Sockets};
use super::filter;
use super::wanted::Wanted;
use crate::control::{Client, ClientError, FindingsFilter, SocketsFilter, protocol::Status};

/// How many findings are asked for at once: no more come (`GET /v1/findings`).
const PAGE: usize = 250;

/// Asks for what is wanted, and for how the auditor is.
///
/// # Errors
///
/// Why there is no answer.
pub async fn fetch(client: &mut Client, wanted: &Wanted) -> Result<Fetched, ClientError> {
    let status = client.status().await?;
    let matrix = match wanted.matrix {
        true => Some(client.matrix().await?),
        false => None,
    };
    let findings = match &wanted.findings {
        Some((text, number)) => Some(findings(client, &status, text, *number).await?),
        None => None,
    };
    let finding = match &wanted.finding {
        Some(id) => client.finding(id).await?.map(Box::new),
        None => None,
    };
    let sockets = match wanted.sockets {
        Some(number) => Some(sockets(client, number).await?),
        None => None,
    };
    let policy = match wanted.policy {
        true => Some(client.policy().await?),
        false => None,
    };
    Ok(Fetched {
        status,
        matrix,
        findings,
        finding,
        sockets,
        policy,
    })
}

/// The first findings that a filter lets pass, the gravest first: a page has them in the order of their first sightings, so each
/// severity is asked for by itself. One that the status has none of is not: each question wakes the auditor.
async fn findings(
    client: &mut Client,
    status: &Status,
    text: &str,
    number: usize,
) -> Result<Findings, ClientError> {
    let mut findings = Findings {
        filter: text.to_owned(),
        ..Findings::default()
    };
    // What cannot be read was not taken for a filter.
    let filter = filter::read(text).unwrap_or_default();
    let is_wanted = |name| match &filter.severity {
        Some(severities) => severities.split(',').any(|severity| severity == name),
        None => true,
    };
    let has_any = |severity| {
        let mut counts = status.findings.iter();
        counts.any(|count| count.severity == severity && count.number > 0)
    };
    let wanted = filter::SEVERITIES.into_iter();
    let wanted = wanted.filter(|severity| is_wanted(severity.name()) && has_any(*severity));
    for severity in wanted.map(|severity| severity.name()) {
        let mut from = None;
        loop {
            let missing = number.saturating_sub(findings.first.len());
            // At least one, since its page says how many there are.
            let limit = u32::try_from(missing.clamp(1, PAGE)).ok();
            let page = FindingsFilter {
                severity: Some(severity.to_owned()),
                from,
                limit,
                ..filter.clone()
            };
            let page = client.findings(&page).await?;
            if from.is_none() {
                findings.total += page.total;
            }
            findings
                .first
                .extend(page.findings.into_iter().take(missing));
            from = page.next;
            if from.is_none() || findings.first.len() >= number {
                break;
            }
        }
    }
    Ok(findings)
}

/// The first sockets. That the auditor cannot list them is an answer, too: it is there, and audits.
async fn sockets(client: &mut Client, number: usize) -> Result<Sockets, ClientError> {
    let mut sockets = Sockets::default();
    let mut from = None;
    loop {
        let missing = number.saturating_sub(sockets.first.len());
        let page = SocketsFilter {
            from,
            limit: u32::try_from(missing.clamp(1, PAGE)).ok(),
            ..SocketsFilter::default()
        };
        let page = match client.sockets(&page).await {
            Ok(page) => page,
            Err(error @ ClientError::Refused { .. }) => {
                sockets.refused = Some(error.to_string());
                return Ok(sockets);
            }
            Err(error) => return Err(error),
        };
        (sockets.total, sockets.unlisted_raw) = (page.total, page.unlisted_raw);
        sockets.first.extend(page.sockets);
        from = page.next;
        if from.is_none() || sockets.first.len() >= number {
            return Ok(sockets);
        }
    }
}
