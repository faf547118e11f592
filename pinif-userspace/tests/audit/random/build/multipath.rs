//! What Multipath TCP may do on the card and on the host that several cables lead to, and what counts each subflow.

use super::{Built, batch, far_end, pipe};
use crate::random::topology::{Multipath, SERVER, Topology, address};

/// As many as there may be.
const LIMITS: &str = "mptcp limits set subflow 8";

pub fn set(built: &Built, topology: &Topology, multipath: &Multipath) {
    let v6 = multipath.v6;
    let net = |id: usize| topology.devices[id].net.expect("it has addresses");
    let host = built.host(topology, multipath.cables[0]);
    let accepted = if multipath.accepts { 8 } else { 0 };
    let mut lines = format!("{LIMITS} add_addr_accepted {accepted}\n");
    for endpoint in &multipath.endpoints {
        let local = address(net(endpoint.of), 1, v6);
        let device = match endpoint.is_bound {
            true => format!("dev {}", topology.name(endpoint.of)),
            false => String::new(),
        };
        lines += &format!("mptcp endpoint add {local} {device} subflow\n");
    }
    // Of IPv4, whoever is bound to a device looks for the host on the device's link.
    let served: Vec<_> = topology.served().collect();
    for &by in &served {
        let cable = topology.cable(by).expect("it is served");
        let mac = host.mac(&far_end(cable)).expect("a MAC address");
        let mac: Vec<_> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        let (mac, by) = (mac.join(":"), topology.name(by));
        for &on in &served {
            let host = address(net(on), SERVER, false);
            lines += &format!("neigh replace {host} lladdr {mac} dev {by}\n");
        }
    }
    batch(&built.card, &lines);
    let mut lines = format!("{LIMITS}\n");
    for &on in &multipath.announced {
        let announced = address(net(on), SERVER, v6);
        lines += &format!("mptcp endpoint add {announced} signal\n");
    }
    batch(host, &lines);
    count(built, v6);
}

/// Counts each subflow's packets before any program of pinif's sees them.
fn count(built: &Built, v6: bool) {
    let (family, kind) = if v6 {
        ("ip6", "ipv6_addr")
    } else {
        ("ip", "ipv4_addr")
    };
    let set = format!("{{ type ifname . {kind} . {kind} . inet_service; flags dynamic; }}");
    let out = format!(
        "tcp dport 7001-7099 update @sent {{ oifname . {family} saddr . {family} daddr . tcp dport counter }}"
    );
    let back = format!(
        "tcp sport 7001-7099 update @answered {{ iifname . {family} daddr . {family} saddr . tcp sport counter }}"
    );
    let table = format!(
        "table {family} subflows {{
            set sent {set}
            set answered {set}
            chain out {{ type filter hook postrouting priority 300; {out}; }}
            chain back {{ type filter hook prerouting priority -300; {back}; }}
        }}"
    );
    pipe(&built.card, "nft", "-f -", &table);
}
