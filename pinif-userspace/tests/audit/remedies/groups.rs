//! Groups that the card forwards, as a multicast routing daemon makes it do (`ip_mroute_setsockopt`).

use std::mem::offset_of;
use std::net::{Ipv4Addr, UdpSocket};

use crate::bench::arrivals::PORT;
use crate::bench::carry::{COUNT, on_card};
use crate::bench::{Bench, Need, Report, leak, scenario};
use pinif_lab::socket::{set_bytes, set_option};
use socket2::{Domain, Protocol, Socket, Type};

// linux/mroute.h, which libc does not have.
const MRT_INIT: libc::c_int = 200;
const MRT_ADD_VIF: libc::c_int = 202;
const MRT_ADD_MFC: libc::c_int = 204;
const VIFF_USE_IFINDEX: u8 = 8;

/// `struct vifctl`.
#[repr(C)]
struct Interface {
    number: u16,
    flags: u8,
    threshold: u8,
    rate_limit: u32,
    index: u32,
    remote: [u8; 4],
}

/// `struct mfcctl`.
#[repr(C)]
struct Entry {
    origin: [u8; 4],
    group: [u8; 4],
    parent: u16,
    thresholds: [u8; 32],
    _pad: u16,
    counts: [u32; 3],
    expire: i32,
}

const _: () = assert!(size_of::<Interface>() == 16 && offset_of!(Entry, counts) == 44);

/// What a value of the kernel's is made of.
fn bytes<T>(value: &T) -> &[u8] {
    // SAFETY: the structures above have no padding, and it is a shared reference's own memory.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

const GROUP: [u8; 4] = [239, 1, 1, 1];

/// The card forwards the peer's group to the outside until this is dropped.
fn forward(bench: &Bench) -> Socket {
    let card = bench.card();
    let indexes = ["fab0", "eth1"].map(|link| card.index(link).expect("it is there").0);
    let daemon = card.run(|| {
        let igmp = Protocol::from(libc::IPPROTO_IGMP);
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(igmp))?;
        set_option(&socket, libc::IPPROTO_IP, MRT_INIT, 1)?;
        for (number, index) in (0..).zip(indexes) {
            let interface = Interface {
                number,
                flags: VIFF_USE_IFINDEX,
                threshold: 1,
                rate_limit: 0,
                index,
                remote: [0; 4],
            };
            set_bytes(&socket, libc::IPPROTO_IP, MRT_ADD_VIF, bytes(&interface))?;
        }
        let mut thresholds = [0; 32];
        thresholds[1] = 1;
        let entry = Entry {
            origin: [10, 0, 0, 2],
            group: GROUP,
            parent: 0,
            thresholds,
            _pad: 0,
            counts: [0; 3],
            expire: 0,
        };
        set_bytes(&socket, libc::IPPROTO_IP, MRT_ADD_MFC, bytes(&entry))?;
        std::io::Result::Ok(socket)
    });
    daemon.expect("the card").expect("the kernel routes groups")
}

/// The backplane's groups stay there.
const GROUPS: &str = r#"
[zone.backplane]
interfaces = ["fab*"]

[[rule]]
name = "groups"
destination = ["239.0.0.0/8"]
only_via = ["backplane"]
"#;

/// The peer sends to the group under the audit, by so many routers at most.
fn sent(bench: &Bench) -> Report {
    let auditor = bench.audit_with(GROUPS, &[]);
    let before = bench.received();
    let sent = bench.chassis.peer.run(|| {
        let socket = UdpSocket::bind("10.0.0.2:0")?;
        socket.set_multicast_ttl_v4(8)?;
        (0..COUNT).try_for_each(|_| {
            let to = (Ipv4Addr::from(GROUP), PORT);
            socket.send_to(b"?", to).map(drop)
        })
    });
    sent.expect("the peer").expect("datagrams");
    bench.wait_until_received(before, COUNT);
    auditor.stop()
}

#[test]
fn a_group_that_is_forwarded_outside_is_dropped() {
    let needs = [Need::MulticastRouting, Need::Program("nft")];
    scenario("30 multicast-route", &needs, |bench| {
        let _daemon = forward(bench);
        let report = sent(bench);
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        assert_eq!(
            finding.cause,
            "forwarded from fab0; most likely a route for groups (`ip mroute`), which a multicast routing daemon makes"
        );
        let texts = finding.remedies.iter();
        let texts: Vec<_> = texts.map(|step| on_card(finding, &step.text)).collect();
        let [drop, routes] = &texts[..] else {
            panic!("{texts:#?}");
        };
        assert!(
            drop.starts_with("drop it in the forward chain when it would leave via eth1 (`nft "),
            "{drop}"
        );
        assert!(
            routes.starts_with("change what the multicast routing daemon forwards"),
            "{routes}"
        );
        let escape = leak("policy-escape")
            .rule("groups")
            .egress("eth1")
            .packets(COUNT);
        report.expect().finding(escape).nothing_else();
        for line in &finding.remedies[0].commands {
            bench.shell(line);
        }
        sent(bench).expect().nothing_else();
    });
}
