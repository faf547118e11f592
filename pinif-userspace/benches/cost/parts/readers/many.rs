//! What each surface costs: of a host with one finding, and of one with a thousand interfaces and as many findings as there may be.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use netlink_packet_route::link::{InfoData, InfoVeth};
use pinif_lab::send::index;
use pinif_lab::{Cgroup, Namespace, Route};
use pinif_userspace::control::protocol::FindingsPage;
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVeth};

use super::{surfaces, top};
use crate::asking::ask;
use crate::auditor::Auditor;
use crate::leak::{self, FIRST_USER};
use crate::progress::Progress;
use crate::report::Section;
use crate::waiting::until;

/// How many interfaces there are besides loopback and those by which all leaks: pairs of veth.
const INTERFACES: u32 = 1_000;
/// How many users leak at each of them. The kernel's table has room for 16,384 findings, of which users who
/// have many get half.
const USERS: u32 = 8;
const OUT: &str = "out";
const OUTSIDE: &str = "outside";
/// How long the findings may take to be reported.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures.
///
/// # Errors
/// Where the kernel refuses something, or pinif ends.
pub(super) fn run(progress: &Progress) -> Result<Section> {
    let mut rows = Vec::new();
    for (name, interfaces, users) in [
        ("2 interfaces, 2 findings", 2, 1),
        ("1,000 interfaces, 8,000 findings", INTERFACES, USERS),
    ] {
        progress.say(&format!("readers: surfaces of {name}"));
        let host = Host::new(interfaces)?;
        let auditor = Auditor::plain(&host.netns, &host.cgroup, "")?;
        host.leak(users)?;
        wait_for(&auditor, interfaces * users)?;
        rows.extend(surfaces::rows(name, &auditor)?);
        if interfaces == INTERFACES {
            rows.extend(top::rows(name, auditor.socket())?);
        }
    }
    Ok(Section {
        name: "readers",
        title: "What each surface costs",
        about: Some(
            "A request is on a connection of its own. *First* is the request for which a new snapshot is made, *again* one within a second of it. `pinif top` asks once a second, on a terminal of 120 columns and 40 lines.",
        ),
        columns: vec!["host", "surface", "what"],
        rows,
    })
}

/// A host with interfaces of which each has a row and a column in the matrix.
struct Host {
    netns: Namespace,
    cgroup: Cgroup,
    interfaces: u32,
}

impl Host {
    fn new(interfaces: u32) -> Result<Self> {
        let netns = Namespace::new("many")?;
        netns.netlink(async |handle| {
            let ports = (0..interfaces).step_by(2);
            let ports = ports.map(|number| [name(number), name(number + 1)]);
            for [one, other] in ports.chain([[OUT.to_owned(), OUTSIDE.to_owned()]]) {
                let far_end = LinkMessageBuilder::<LinkUnspec>::new()
                    .name(other.clone())
                    .arp(false)
                    .build();
                let pair = LinkMessageBuilder::<LinkVeth>::new(&one, &other)
                    .arp(false)
                    .set_info_data(InfoData::Veth(InfoVeth::Peer(far_end)))
                    .build();
                handle.link().add(pair).execute().await?;
            }
            Ok(())
        })?;
        // Only then: an end cannot be up before its other end is there.
        let ports = (0..interfaces).map(name);
        for name in ports.chain([OUT, OUTSIDE].map(str::to_owned)) {
            netns.set_up(&name)?;
        }
        netns.add_address(OUT, "192.0.2.1/24".parse()?)?;
        netns.add_route(Route::new("0.0.0.0/0".parse()?, OUT))?;
        Ok(Self {
            netns,
            cgroup: Cgroup::new("many")?,
            interfaces,
        })
    }

    /// Each of so many users sends a datagram by each interface that its socket is bound to, and one by another.
    fn leak(&self, users: u32) -> Result<()> {
        let sent: io::Result<()> = self.netns.run(|| {
            let out = index(OUT)?;
            let to = SocketAddr::from(([203, 0, 113, 9], 9));
            for number in 0..self.interfaces {
                let own = index(&name(number))?;
                for user in 0..users {
                    let socket = leak::socket(FIRST_USER + user, to, &name(number))?;
                    leak::leak(&socket, to, own)?;
                    leak::leak(&socket, to, out)?;
                }
            }
            Ok(())
        })?;
        sent.context("cannot leak")
    }
}

fn name(number: u32) -> String {
    format!("port{number}")
}

/// Waits until so many findings are reported. While thousands of them are new, the auditor may be late with an answer.
fn wait_for(auditor: &Auditor, findings: u32) -> Result<()> {
    let total = || -> Result<u64> {
        let page = ask(auditor.socket(), "/v1/findings?limit=1")?;
        let page: FindingsPage = serde_json::from_slice(&page)?;
        Ok(page.total)
    };
    let pause = Duration::from_millis(200);
    until(
        PATIENCE,
        pause,
        || Ok(total()),
        |total| matches!(total, Ok(total) if *total == u64::from(findings)),
        |total| match total {
            Ok(total) => format!("there are {total} findings instead of {findings}"),
            Err(error) => format!("{error:#}"),
        },
    )??;
    Ok(())
}
