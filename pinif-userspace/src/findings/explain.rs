//! The words of a finding: what happened, why, and the mend. Pure texts of plain facts.
//!
//! Names in them are as the system says them; who shows a text escapes it.

mod arrival;
mod causes;
mod remedy;
mod route;

use pinif_ebpf::verdict::Kind;

use super::{finding::Origin, gaps::ANY_INTERFACE};

pub use causes::{Cause, CauseKind, cause_text};
pub use route::Route;

/// What is known of a finding when its words are chosen.
#[derive(Clone, Copy, Debug)]
pub struct Circumstance<'a> {
    /// The verdict.
    pub kind: Kind,
    /// The further kinds that hold for the same packets, less grave or later in the table.
    pub also: &'a [Kind],
    /// The protocol's name.
    pub protocol: &'a str,
    /// The source, written as in [`Finding::source`](super::finding::Finding::source).
    pub source: &'a str,
    /// The destination, written likewise.
    pub destination: &'a str,
    /// Who sent it; of what arrived, who takes it.
    pub origin: Origin,
    /// The name of the process that owns the socket; of a copy, the socket that it is a copy of.
    pub process: Option<&'a str>,
    /// The interface that the socket is bound to; of a copy, likewise.
    pub bound_device: Option<&'a str>,
    /// Where it left, or arrived.
    pub egress_interface: &'a str,
    /// The one interface that has the source address; of what arrived, the destination address.
    pub source_owner: Option<&'a str>,
    /// The contained zone that this concerns: that of `source_owner`, or of the traffic that arrived.
    pub contained_zone: Option<&'a str>,
    /// The rule that it breaks.
    pub rule: Option<&'a str>,
    /// The zones that the rule allows.
    pub only_via: &'a [String],
    /// The interfaces that these zones have now.
    pub only_via_interfaces: &'a [String],
    /// It was dropped, and did not leave.
    pub dropped: bool,
    /// Why, the first in the chain of events first.
    pub causes: &'a [Cause],
}

impl<'a> Circumstance<'a> {
    /// A circumstance of which nothing else is known.
    pub const fn new(kind: Kind, egress_interface: &'a str) -> Self {
        Self {
            kind,
            also: &[],
            protocol: "",
            source: "",
            destination: "",
            origin: Origin::Socket,
            process: None,
            bound_device: None,
            egress_interface,
            source_owner: None,
            contained_zone: None,
            rule: None,
            only_via: &[],
            only_via_interfaces: &[],
            dropped: false,
            causes: &[],
        }
    }

    /// What happened, in a sentence or two, with the other kinds that hold as well.
    pub fn explanation(&self) -> String {
        let mut text = match self.kind {
            Kind::DeviceEscape => self.device_escape(),
            Kind::AddressEscape => self.address_escape(),
            Kind::CopyEscape => self.copy_escape(),
            Kind::PolicyEscape => self.policy_escape(),
            Kind::Unpinned => self.unpinned(),
            Kind::CrossedBind => self.crossed_bind(),
            Kind::IngressEscape => arrival::explanation(self),
            Kind::Unaudited => self.unaudited(),
        };
        if !self.also.is_empty() {
            let names: Vec<&str> = self.also.iter().map(|kind| kind.name()).collect();
            text.push_str(&format!(" It is {} as well.", listed(&names, "and")));
        }
        if self.dropped {
            text.push_str(" It was dropped, and did not leave.");
        }
        text
    }

    /// What mends it.
    pub fn remedy(&self) -> String {
        remedy::of(self)
    }

    fn device_escape(&self) -> String {
        let egress = self.egress_interface;
        let bound = self.bound_device.unwrap_or("another interface");
        format!(
            "{} is bound to {bound}, but its {} {} {egress}, which carries nothing for {bound}.",
            self.sender(),
            self.traffic(),
            self.left(),
        )
    }

    fn address_escape(&self) -> String {
        let egress = self.egress_interface;
        let owner = self.source_owner.unwrap_or("another interface");
        let mut text = format!(
            "{} {} from {}, an address of {owner} alone, and it {} {egress}: an address chooses the source, never \
             the way.",
            self.sender(),
            match self.origin {
                Origin::Socket | Origin::Kernel => format!("sent {}", self.traffic()),
                Origin::None => format!("went as {}", self.traffic()),
            },
            self.source_address(),
            self.left(),
        );
        if let Some(zone) = self.contained_zone {
            text.push_str(&format!(" Zone {zone}, which holds {owner}, is contained."));
        }
        text
    }

    fn copy_escape(&self) -> String {
        let egress = self.egress_interface;
        let owner = self
            .process
            .map(|process| format!("{process}'s "))
            .unwrap_or_default();
        let bound = self.bound_device.unwrap_or("another interface");
        format!(
            "A packet without a socket {} {egress}: {} from {}, which belongs to {owner}socket bound to \
             {bound}. It was copied or taken away on its way.",
            self.left(),
            self.traffic(),
            self.source_endpoint(),
        )
    }

    fn policy_escape(&self) -> String {
        let egress = self.egress_interface;
        let did = if self.dropped {
            "would have sent it by"
        } else {
            "sent it by"
        };
        let sent = match (self.origin, self.process) {
            (Origin::Socket, Some(process)) => format!("{process}'s socket {did} {egress}"),
            (Origin::Socket, None) => format!("a socket of no known process {did} {egress}"),
            (Origin::Kernel, _) => format!("the kernel {did} {egress}"),
            (Origin::None, _) => format!("it {} {egress}", self.left()),
        };
        format!(
            "{} lets {} leave by {} only, and {sent}.",
            self.rule_text(),
            self.traffic(),
            self.allowed()
        )
    }

    fn unpinned(&self) -> String {
        let egress = self.egress_interface;
        format!(
            "{} demands a socket that is bound to a device. {} is bound to none: only the routing table {} its \
             {} leave by {egress}.",
            self.rule_text(),
            self.sender(),
            if self.dropped {
                "would have made"
            } else {
                "made"
            },
            self.traffic(),
        )
    }

    fn crossed_bind(&self) -> String {
        let bound = self.bound_device.unwrap_or("one device");
        let owner = self.source_owner.unwrap_or("another interface");
        format!(
            "{} is bound to {bound}, and to {}, an address of {owner} alone: answers to that address may arrive by \
             {owner}, where this socket does not hear them.",
            self.sender(),
            self.source_address(),
        )
    }

    /// Of the one cause that a gap has.
    fn unaudited(&self) -> String {
        let unseen = "pinif neither judges nor counts it";
        let whose = match self.process {
            Some(process) => format!("{process}'s"),
            None => "An unknown process's".to_owned(),
        };
        let by = match self.egress_interface {
            ANY_INTERFACE => "any interface, each packet by the one that it names".to_owned(),
            interface => interface.to_owned(),
        };
        match self.causes.first().map(|cause| &cause.kind) {
            Some(CauseKind::QdiscBypass) => format!(
                "{whose} packet socket sends by {by}, and past TC egress (PACKET_QDISC_BYPASS): {unseen}."
            ),
            Some(CauseKind::Xdp) => {
                format!("{whose} AF_XDP socket hands frames to {by}, past TC egress: {unseen}.")
            }
            Some(CauseKind::NotAttached { interface, .. }) => {
                format!("pinif is not attached to {interface}: of all that leaves there, {unseen}.")
            }
            Some(CauseKind::Ahead(what)) => format!(
                "At {by}, {what} is asked before pinif: what it drops, redirects or lets go by itself, pinif does not see."
            ),
            Some(CauseKind::XdpProgram(program)) => format!(
                "XDP program {program} on {by} has a map of devices: what it sends back or redirects leaves past TC egress, \
                 and {unseen}."
            ),
            Some(CauseKind::Pktgen) => {
                format!("pktgen is set up to send by {by}, past TC egress: {unseen}.")
            }
            Some(CauseKind::Netconsole) => {
                format!("netconsole sends the kernel's log by {by}, past TC egress: {unseen}.")
            }
            Some(CauseKind::NotLookedFor { what, .. }) => format!(
                "pinif could not look for {what} here: there may be traffic that it neither judges nor counts."
            ),
            _ => format!("Traffic by {by} cannot be seen here: {unseen}."),
        }
    }

    /// The one who sent it, at the head of a sentence. A process's name stays as it is.
    fn sender(&self) -> String {
        match (self.origin, self.process) {
            (Origin::Socket, Some(process)) => format!("{process}'s socket"),
            (Origin::Socket, None) => "A socket of no known process".to_owned(),
            (Origin::Kernel, _) => "The kernel's own socket".to_owned(),
            (Origin::None, _) => "A packet without a socket".to_owned(),
        }
    }

    /// What it did at the egress interface.
    const fn left(&self) -> &'static str {
        if self.dropped {
            "would have left by"
        } else {
            "left by"
        }
    }

    fn traffic(&self) -> String {
        let protocol = match self.protocol {
            "" => return "traffic".to_owned(),
            number if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("IP protocol {number}")
            }
            name => name.to_owned(),
        };
        match self.destination {
            "" => protocol,
            destination => format!("{protocol} to {destination}"),
        }
    }

    fn source_endpoint(&self) -> &'a str {
        if self.source.is_empty() {
            "an unknown source"
        } else {
            self.source
        }
    }

    fn source_address(&self) -> &'a str {
        address(self.source_endpoint())
    }

    fn rule_text(&self) -> String {
        self.rule
            .map_or("A rule".to_owned(), |rule| format!("Rule {rule}"))
    }

    fn allowed(&self) -> String {
        let word = match self.only_via {
            [] => return "other zones".to_owned(),
            [_] => "zone",
            _ => "zones",
        };
        let zones = listed(self.only_via, "or");
        match self.only_via_interfaces {
            [] => format!("{word} {zones} (which has no interface now)"),
            interfaces => format!("{word} {zones} ({})", listed(interfaces, "or")),
        }
    }
}

/// Names in a row: `a`, `a or b`, `a, b or c`; of more than four, the first three and how many more.
fn listed<T: AsRef<str>>(names: &[T], conjunction: &str) -> String {
    let shown = if names.len() > 4 { 3 } else { names.len() };
    let mut words: Vec<String> = names[..shown]
        .iter()
        .map(|name| name.as_ref().to_owned())
        .collect();
    if shown < names.len() {
        words.push(format!("{} more", names.len() - shown));
    }
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, head)) => format!("{} {conjunction} {last}", head.join(", ")),
    }
}

/// The address of an endpoint.
fn address(endpoint: &str) -> &str {
    if let Some((address, _)) = endpoint
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]:"))
    {
        return address;
    }
    match endpoint.split_once(':') {
        Some((address, port)) if !port.contains(':') => address,
        _ => endpoint,
    }
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}

#[cfg(test)]
mod tests;
