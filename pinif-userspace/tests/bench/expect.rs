//! What a report must be, as a whole: what is not named must not be there.

use std::collections::BTreeMap;

use pinif_ebpf::loss::Loss;

use super::record;
use super::report::{KEPT_OUT, Place, Report, UNREADABLE};
use super::wanted::Finding;

/// What a report must be, so far.
pub struct Expectation<'a> {
    report: &'a Report,
    findings: Vec<Finding>,
    places: BTreeMap<Place, u64>,
    exit: Option<i32>,
    total: Option<u64>,
    apart: Vec<&'static str>,
    losses: BTreeMap<String, u64>,
}

impl<'a> Expectation<'a> {
    pub(super) fn of(report: &'a Report) -> Self {
        Self {
            report,
            findings: Vec::new(),
            places: BTreeMap::new(),
            exit: None,
            total: None,
            apart: Vec::new(),
            losses: BTreeMap::new(),
        }
    }

    /// This finding, and its packets in its cell; what is unaudited has none, nor a group that was not joined.
    pub fn finding(mut self, finding: Finding) -> Self {
        if finding.kind != "unaudited" && finding.packets > 0 {
            *self.places.entry(finding.place()).or_default() += finding.packets;
        }
        self.arrived(finding)
    }

    /// This finding of what arrived, which is in no cell unless it was dropped ([`Self::finding`]): the matrix is of what leaves.
    pub fn arrived(mut self, finding: Finding) -> Self {
        for one in finding.related() {
            if one.kind != "ingress-escape" {
                *self.places.entry(one.place()).or_default() += one.packets;
            }
        }
        self.findings.push(finding);
        self
    }

    /// So many contained packets of sockets bound to `bound`, by `egress`.
    pub fn contained(self, bound: &str, egress: &str, packets: u64) -> Self {
        self.cell(Some(bound), egress, "contained", packets)
    }

    /// So many contained packets of nothing that is bound to a device, by `egress`.
    pub fn contained_unpinned(self, egress: &str, packets: u64) -> Self {
        self.cell(None, egress, "contained", packets)
    }

    /// So many packets that a rule allows.
    pub fn allowed(self, bound: Option<&str>, egress: &str, packets: u64) -> Self {
        self.cell(bound, egress, "allowed", packets)
    }

    /// So many packets of unpinned sockets that were dropped, since their headers cannot be read.
    pub fn unreadable(self, egress: &str, packets: u64) -> Self {
        self.cell(None, egress, UNREADABLE, packets)
    }

    /// So many packets that were dropped where they arrived, since their headers cannot be read.
    pub fn unread(self, interface: &str, packets: u64) -> Self {
        self.cell(None, interface, KEPT_OUT, packets)
    }

    fn cell(mut self, bound: Option<&str>, egress: &str, verdict: &str, packets: u64) -> Self {
        let place = (
            bound.map(str::to_owned),
            egress.to_owned(),
            verdict.to_owned(),
        );
        *self.places.entry(place).or_default() += packets;
        self
    }

    /// So many packets that left, in all: where interfaces lie on top of each other, each is in several cells and counts once.
    pub fn total(self, packets: u64) -> Self {
        Self {
            total: Some(packets),
            ..self
        }
    }

    /// So many losses at this place.
    pub fn lost(mut self, place: Loss, number: u64) -> Self {
        self.losses.insert(place.name().to_owned(), number);
        self
    }

    /// This exit status. Unless called: 2 where a leak is expected, otherwise 0.
    pub fn exit(self, status: i32) -> Self {
        Self {
            exit: Some(status),
            ..self
        }
    }

    /// The driver of this link counts otherwise: what TC egress sees does not all reach it, or not in the same pieces.
    pub fn driver_counts_apart(mut self, link: &'static str) -> Self {
        self.apart.push(link);
        self
    }

    /// These findings, and no other. Of what else leaves, nothing is said.
    pub fn no_other_finding(&self) {
        let report = self.report;
        record::note(&self.findings, report);
        let [netns] = &report.ready.netns[..] else {
            panic!("one namespace is audited\n{report}");
        };
        let mut wanted: Vec<&Finding> = self.findings.iter().collect();
        for line in &report.findings {
            let (of_it, others) = wanted
                .into_iter()
                .partition::<Vec<_>, _>(|finding| finding.fits(line, netns));
            wanted = others;
            let packets: u64 = of_it.iter().map(|finding| finding.packets).sum();
            let is_first = of_it.iter().any(|one| one.is_of_first_packet(line));
            assert!(
                is_first && packets == line.packets,
                "this finding is not as expected: {line:#?}\nexpected of it: {of_it:#?}\n{report}"
            );
            let mut related: Vec<_> = of_it.iter().flat_map(|one| one.related()).collect();
            for named in &line.related {
                // What one sender has of it, or several together.
                let whole = related
                    .iter()
                    .position(|one| one.is_named(named) && one.packets == named.packets);
                if let Some(whole) = whole {
                    related.swap_remove(whole);
                    continue;
                }
                let (of_it, others) = related
                    .into_iter()
                    .partition::<Vec<_>, _>(|one| one.is_named(named));
                related = others;
                let packets: u64 = of_it.iter().map(|one| one.packets).sum();
                assert_eq!(
                    packets, named.packets,
                    "what it names is not as expected: {named:#?}\nexpected of it: {of_it:#?}\n{report}"
                );
            }
            assert!(
                related.is_empty(),
                "it does not name these: {related:#?}\n{line:#?}\n{report}"
            );
        }
        assert!(
            wanted.is_empty(),
            "there are no such findings: {wanted:#?}\n{report}"
        );
    }

    /// All of this, and nothing else: no other finding, no other cell, no loss; and each link's driver sent as much.
    pub fn nothing_else(self) {
        self.no_other_finding();
        let report = self.report;
        let places: BTreeMap<_, _> = report
            .places()
            .into_iter()
            .map(|(place, (packets, _))| (place, packets))
            .collect();
        assert_eq!(
            places, self.places,
            "the matrix (left) is not as expected (right)\n{report}"
        );
        assert_eq!(
            report.summary.uncounted, self.losses,
            "the losses (left) are not as expected (right)\n{report}"
        );

        if let Some(total) = self.total {
            assert_eq!(
                report.summary.packets, total,
                "the total of packets\n{report}"
            );
        }

        let is_leak = self
            .findings
            .iter()
            .any(|finding| finding.severity == "leak");
        let exit = self.exit.unwrap_or(if is_leak { 2 } else { 0 });
        assert_eq!(
            report.status.code(),
            Some(exit),
            "the exit status is another\n{report}"
        );
        self.agrees_with_drivers();
    }

    fn agrees_with_drivers(&self) {
        let report = self.report;
        for (link, driver) in report
            .driver
            .iter()
            .filter(|(link, _)| !self.apart.contains(link))
        {
            let (packets, bytes) = report
                .summary
                .matrix
                .iter()
                .filter(|cell| cell.egress_interface == **link && !cell.dropped)
                .fold((0, 0), |sum, cell| {
                    (sum.0 + cell.packets, sum.1 + cell.bytes)
                });
            assert_eq!(
                packets,
                driver.packets + driver.dropped,
                "{link}'s driver sent another number\n{report}"
            );
            // The loopback's driver counts without the link header (loopback_xmit, after eth_type_trans).
            let uncounted = if *link == "lo" { 14 * packets } else { 0 };
            // The driver adds up the bytes of what the other end took only.
            if driver.dropped == 0 {
                assert_eq!(
                    bytes,
                    driver.bytes + uncounted,
                    "{link}'s driver sent another number of bytes\n{report}"
                );
            }
        }
    }
}
