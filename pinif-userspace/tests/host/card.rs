//! A namespace with links of its own, made by `ip`.

use std::{
    net::IpAddr,
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
};

use pinif_ebpf::key::IfIndex;
use pinif_userspace::host::{netns::NetNs, network::Network};

/// A namespace of this test alone, gone with it.
pub struct Card(pub String);

impl Card {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "pinif-host-{}-{}",
            process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        run(&["netns", "add", &name]);
        let card = Self(name);
        card.ip("link set lo up");
        card
    }

    /// `ip` inside the namespace.
    pub fn ip(&self, arguments: &str) {
        let mut all = vec!["-n", &self.0];
        all.extend(arguments.split_whitespace());
        run(&all);
    }

    pub fn netns(&self) -> NetNs {
        NetNs::named(&self.0).expect("the namespace")
    }

    pub fn network(&self) -> Network {
        Network::read(&self.netns()).expect("a network")
    }

    pub fn index(&self, name: &str) -> IfIndex {
        self.network().links.by_name(name).expect(name).index
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// fab0 (10.0.0.1/24, 2001:db8::1/64) and eth1 (192.0.2.1/24, 2001:db8:1::1/64), up, each with its peer beside it.
pub fn card() -> Card {
    let card = Card::new();
    for (name, peer, v4, v6) in [
        ("fab0", "peer0", "10.0.0.1/24", "2001:db8::1/64"),
        ("eth1", "peer1", "192.0.2.1/24", "2001:db8:1::1/64"),
    ] {
        card.ip(&format!("link add {name} type veth peer name {peer}"));
        card.ip(&format!("addr add {v4} dev {name}"));
        card.ip(&format!("addr add {v6} dev {name} nodad"));
        card.ip(&format!("link set {peer} up"));
        card.ip(&format!("link set {name} up"));
    }
    card
}

pub fn run(arguments: &[&str]) {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .expect("the ip tool");
    assert!(
        output.status.success(),
        "ip {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
