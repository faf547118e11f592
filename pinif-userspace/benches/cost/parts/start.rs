//! How long it takes from the start of pinif until all is audited, beside the bare calls that attach a program.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::TryStreamExt as _;
use pinif_ebpf::key::IfIndex;
use pinif_lab::{Cgroup, Namespace};
use rtnetlink::{LinkMessageBuilder, LinkVeth};

use super::Plan;
use crate::auditor::Auditor;
use crate::bpf::{Hook, Link, Program, attached_to_interfaces, empty};
use crate::clock;
use crate::load::{Load, Udp};
use crate::policies;
use crate::report::{Row, Section, Target};
use crate::site::open_sockets;

/// A thousand interfaces take the kernel some ten seconds to attach to and to detach from, whoever asks: so they are
/// measured in a fifth of the rounds.
const SELDOM: usize = 5;

/// Measures.
///
/// # Errors
/// Where the kernel refuses something, or pinif or a load ends.
pub fn run(plan: &Plan) -> Result<Vec<Section>> {
    plan.progress.say("start: building");
    let mut machines = [
        Machine::new("10 interfaces, 1 socket, no policy", 10, 1, String::new())?,
        Machine::new("10 interfaces, 1 socket", 10, 1, policies::one_prefix())?,
        Machine::new(
            "10 interfaces, 100,000 sockets",
            10,
            100_000,
            policies::one_prefix(),
        )?,
        Machine::new(
            "1,000 interfaces, 1 socket, no policy",
            1_000,
            1,
            String::new(),
        )?,
        Machine::new(
            "1,000 interfaces, 1 socket",
            1_000,
            1,
            policies::one_prefix(),
        )?,
    ];
    for round in 0..plan.rounds {
        plan.progress.round("start", round, plan.rounds);
        for machine in &mut machines {
            if machine.interfaces.len() < 100 || round % SELDOM == 0 {
                machine.sample()?;
            }
        }
    }
    Ok(vec![Section {
        name: "start",
        title: "From exec to ready",
        about: Some(
            "The bare calls attach an empty program wherever pinif has one: at the egress of each interface, and at the ingress of each where what arrives can break a rule of the policy.",
        ),
        columns: vec!["machine", "what"],
        rows: machines.iter().flat_map(Machine::rows).collect(),
    }])
}

/// A namespace with interfaces, and a cgroup with sockets.
struct Machine {
    name: &'static str,
    netns: Namespace,
    interfaces: Vec<IfIndex>,
    sockets: u32,
    policy: String,
    _loads: Vec<Load>,
    cgroup: Cgroup,
    /// Seconds until ready, and those that the bare calls take.
    measured: Vec<(f64, f64)>,
}

impl Machine {
    fn new(name: &'static str, interfaces: usize, sockets: u32, policy: String) -> Result<Self> {
        let netns = Namespace::new("start")?;
        let cgroup = Cgroup::new("start")?;
        // Loopback is one.
        netns.netlink(async |handle| {
            for number in 0..interfaces / 2 {
                let (one, other) = (format!("one{number}"), format!("other{number}"));
                let pair = LinkMessageBuilder::<LinkVeth>::new(&one, &other).build();
                handle.link().add(pair).execute().await?;
            }
            Ok(())
        })?;
        let indexes = netns.netlink(async |handle| {
            let links: Vec<_> = handle.link().get().execute().try_collect().await?;
            let indexes = links.iter().map(|link| IfIndex(link.header.index));
            Ok(indexes.collect::<Vec<_>>())
        })?;
        let like = Udp::to("127.0.0.1:9".parse()?);
        Ok(Self {
            name,
            interfaces: indexes,
            sockets,
            policy,
            _loads: open_sockets(&netns, &cgroup, &like, sockets)?,
            netns,
            cgroup,
            measured: Vec::new(),
        })
    }

    fn sample(&mut self) -> Result<()> {
        let auditor = Auditor::plain(&self.netns, &self.cgroup, &self.policy)?;
        let ready = auditor.ready_after();
        let attached = attached_to_interfaces(auditor.pid())?;
        drop(auditor);
        for interface in &self.interfaces {
            ensure!(
                attached.contains(&(*interface, Hook::EGRESS)),
                "pinif did not attach to interface {}",
                interface.0
            );
        }
        let bare = self.attach_bare(&attached)?;
        self.measured
            .push((ready.as_secs_f64(), bare.as_secs_f64()));
        Ok(())
    }

    /// How long it takes to attach an empty program to these places, one after the other.
    fn attach_bare(&self, places: &[(IfIndex, Hook)]) -> Result<Duration> {
        let load = |hook| Program::load(hook, &empty(hook));
        let (ingress, egress) = (load(Hook::INGRESS)?, load(Hook::EGRESS)?);
        self.netns.run(|| {
            let start = clock::now();
            let links: Vec<Link> = places
                .iter()
                .map(|&(interface, hook)| {
                    let program = if hook == Hook::INGRESS {
                        &ingress
                    } else {
                        &egress
                    };
                    program.attach_to_interface(interface)
                })
                .collect::<Result<_>>()?;
            let took = clock::now() - start;
            drop(links);
            Ok(Duration::from_nanos(took))
        })?
    }

    fn rows(&self) -> Vec<Row> {
        let row = |what, unit, figure: fn(&(f64, f64)) -> f64, target: Option<f64>| Row {
            target: target.map(Target::AtMost),
            ..Row::new(
                [self.name, what],
                unit,
                self.measured.iter().map(figure).collect(),
            )
        };
        let many_interfaces = (self.interfaces.len() > 100).then_some(1.15);
        let many_sockets = (self.sockets > 100).then_some(2.0);
        vec![
            row("ready", "s", |(ready, _)| *ready, many_sockets),
            row("the bare calls", "s", |(_, bare)| *bare, None),
            row(
                "ready, of the bare calls",
                "",
                |(ready, bare)| ready / bare,
                many_interfaces,
            ),
        ]
    }
}
