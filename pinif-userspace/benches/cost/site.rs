//! Where it is measured: a chassis in network namespaces, and a cgroup, that nothing else uses.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use pinif_lab::{Cgroup, Chassis, Device, LinkKind, Namespace, Route};

use crate::bpf::{Hook, Link, Program};
use crate::load::{Kind, Load, Order, Udp, Web};

/// The links of the card, and how they are stacked: `fab1b` is a bridge on `fab1m`, a macvlan on `fab1`.
pub const LINKS: [&str; 6] = ["lo", "fab0", "eth1", "fab1", "fab1m", "fab1b"];
/// The uppermost of three.
pub const STACKED: &str = "fab1b";

/// A chassis and a cgroup, removed when dropped.
#[derive(Debug)]
pub struct Site {
    /// The namespaces. See [`pinif_lab::chassis`]; the card forwards.
    pub chassis: Chassis,
    /// Where the loads are.
    pub cgroup: Cgroup,
    /// Where those are whose system calls nobody watches.
    unwatched: Cgroup,
}

impl Site {
    /// Builds it.
    ///
    /// ```text
    ///   card                                       peer
    ///   fab0 ───────── backplane ───────────────── fab0      as in the chassis
    ///   fab1b ── fab1m ── fab1 ─────────────────── fab1      10.3.0.1/24 ─ 10.3.0.2/24
    /// ```
    ///
    /// `10.64.0.0/16`, of which none answers, is behind the peer.
    ///
    /// # Errors
    /// Where the kernel refuses a link or an address.
    pub fn new() -> Result<Self> {
        let chassis = pinif_lab::chassis()?;
        let (card, peer) = (&chassis.card, &chassis.peer);
        card.set_sysctl("ipv4/ip_forward", "1")?;
        // Beyond those that sockets in turn have, or the kernel would look long for a free one.
        card.set_sysctl("ipv4/ip_local_port_range", "52000 60999")?;
        card.add_route(Route::new("10.64.0.0/16".parse()?, "fab0").via("10.0.0.2".parse()?))?;

        card.veth("fab1", peer, "fab1", 0x21)?;
        card.add_device(Device::new(LinkKind::MacVlan, "fab1m").over("fab1"))?;
        card.add_device(Device::new(LinkKind::Bridge, STACKED))?;
        card.enslave("fab1m", STACKED)?;
        peer.set_up("fab1")?;
        for link in ["fab1", "fab1m", STACKED] {
            card.set_up(link)?;
        }
        card.wait_until_operational(STACKED)?;
        card.add_address(STACKED, "10.3.0.1/24".parse()?)?;
        peer.add_address("fab1", "10.3.0.2/24".parse()?)?;
        card.add_neighbour(STACKED, "10.3.0.2".parse()?, &peer.mac("fab1")?)?;
        Ok(Self {
            cgroup: Cgroup::new("bench")?,
            unwatched: Cgroup::new("bench-unwatched")?,
            chassis,
        })
    }

    /// Starts a load on the card.
    ///
    /// # Errors
    /// Where it does not get ready.
    pub fn load(&self, kind: Kind) -> Result<Load> {
        self.load_from(&self.chassis.card, kind)
    }

    /// Starts a load on the peer, from where it comes to the card.
    ///
    /// # Errors
    /// Where it does not get ready.
    pub fn load_of_peer(&self, kind: Kind) -> Result<Load> {
        self.load_from(&self.chassis.peer, kind)
    }

    /// Starts a load on the peer, in a cgroup that is not the site's.
    ///
    /// # Errors
    /// Where it does not get ready.
    pub fn load_unwatched(&self, kind: Kind) -> Result<Load> {
        start(&self.chassis.peer, &self.unwatched, kind)
    }

    /// Starts a web server on the card, and what asks it from the peer, in a cgroup that is not the site's.
    ///
    /// # Errors
    /// Where it does not get ready.
    pub fn web(&self, programs: PathBuf, at: SocketAddr) -> Result<Load> {
        let web = Web {
            programs,
            at,
            peer: self.chassis.peer.path().to_owned(),
            unwatched: self.unwatched.path().to_owned(),
        };
        self.load(Kind::Web(web))
    }

    /// Opens many sockets on the card. See [`open_sockets`].
    ///
    /// # Errors
    /// Where one does not get ready.
    pub fn sockets(&self, like: &Udp, count: u32) -> Result<Vec<Load>> {
        open_sockets(&self.chassis.card, &self.cgroup, like, count)
    }

    fn load_from(&self, namespace: &Namespace, kind: Kind) -> Result<Load> {
        start(namespace, &self.cgroup, kind)
    }

    /// Attaches a program to the egress of all links of the card, or to the cgroup, behind what is there.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn attach(&self, program: &Program, hook: Hook) -> Result<Vec<Link>> {
        if !hook.is_of_interface() {
            let cgroup = File::open(self.cgroup.path()).context("cannot open a cgroup")?;
            return Ok(vec![program.attach_to_cgroup(&cgroup)?]);
        }
        let card = &self.chassis.card;
        let indexes: Vec<_> = LINKS
            .iter()
            .map(|link| card.index(link))
            .collect::<Result<_>>()?;
        card.run(|| {
            indexes
                .into_iter()
                .map(|index| program.attach_to_interface(index))
                .collect()
        })?
    }
}

/// Opens many sockets, each of which has sent and sends in turn: in several loads, since a process seldom may have so many
/// files.
///
/// # Errors
/// Where one does not get ready.
pub fn open_sockets(
    namespace: &Namespace,
    cgroup: &Cgroup,
    like: &Udp,
    count: u32,
) -> Result<Vec<Load>> {
    const FILES: u32 = 12_500;
    (0..count.div_ceil(FILES))
        .map(|number| {
            let first = number * FILES;
            let sockets = Udp {
                sockets: FILES.min(count - first),
                first,
                in_turn: true,
                ..like.clone()
            };
            start(namespace, cgroup, Kind::Udp(sockets))
        })
        .collect()
}

fn start(namespace: &Namespace, cgroup: &Cgroup, kind: Kind) -> Result<Load> {
    Load::start(&Order {
        netns: namespace.path().to_owned(),
        cgroup: cgroup.path().to_owned(),
        kind,
    })
}
