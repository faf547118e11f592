//! The laboratory itself: what it makes is there, works, is silent, and goes away.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use pinif_lab::{Cgroup, Device, LinkKind, Namespace, Route, Rule};

#[test]
fn a_namespace_is_there_under_its_name_until_dropped() -> Result<()> {
    let namespace = Namespace::new("life")?;
    let path = PathBuf::from("/run/netns").join(namespace.name());
    assert_eq!(path, namespace.path());
    assert!(fs::exists(&path)?);
    let (outer, inner) = (pinif_lab::send::netns_cookie()?, namespace.cookie()?.0);
    assert_ne!(outer, inner);
    assert_eq!(namespace.index("lo")?.0, 1);
    drop(namespace);
    assert!(!fs::exists(&path)?);
    assert_eq!(
        pinif_lab::send::netns_cookie()?,
        outer,
        "the caller stays where it is"
    );
    Ok(())
}

#[test]
fn a_panic_inside_goes_on_outside_and_the_namespace_still_goes() -> Result<()> {
    let path = std::sync::Mutex::new(PathBuf::new());
    let outcome = std::panic::catch_unwind(|| {
        let namespace = Namespace::new("panic").expect("a namespace");
        path.lock().expect("the path").push(namespace.path());
        namespace.run(|| panic!("inside")).expect("never returns");
    });
    assert!(outcome.is_err());
    assert!(!fs::exists(path.into_inner()?)?);
    Ok(())
}

#[test]
fn what_a_dead_process_left_is_swept_and_the_living_is_not() -> Result<()> {
    let mut dead = std::process::Command::new("true").spawn()?;
    let pid = dead.id();
    dead.wait()?;
    let living = Namespace::new("living")?;
    let left = PathBuf::from("/run/netns").join(format!("pinif-{pid}-0-left"));
    let cgroup = pinif_lab::hierarchy()?.join(format!("pinif-{pid}-1-left"));
    fs::write(&left, "")?;
    fs::create_dir(&cgroup)?;

    pinif_lab::sweep();

    assert!(!fs::exists(&left)?);
    assert!(!fs::exists(&cgroup)?);
    assert!(fs::exists(living.path())?);
    Ok(())
}

#[test]
fn a_cgroup_goes_with_its_guard() -> Result<()> {
    let cgroup = Cgroup::new("life")?;
    let path = cgroup.path().to_owned();
    assert!(fs::exists(path.join("cgroup.procs"))?);
    assert!(
        cgroup
            .name()
            .starts_with(&format!("/pinif-{}-", std::process::id()))
    );
    drop(cgroup);
    assert!(!fs::exists(path)?);
    Ok(())
}

#[test]
fn the_chassis_carries_both_families_both_ways_with_no_packet_of_its_own() -> Result<()> {
    let chassis = pinif_lab::chassis()?;
    let before = (chassis.card.sent("fab0")?, chassis.card.sent("eth1")?);
    assert_eq!(
        (before.0.packets, before.1.packets),
        (0, 0),
        "the kernel sent something by itself"
    );

    for (there, local) in [("10.0.0.2:7", "10.0.0.1"), ("[fd00::2]:7", "fd00::1")] {
        assert_eq!(
            echo(&chassis.peer, &chassis.card, there)?,
            local.parse::<std::net::IpAddr>()?
        );
    }
    for (there, local) in [
        ("203.0.113.9:7", "192.0.2.1"),
        ("[2001:db8:f::9]:7", "2001:db8::1"),
        ("10.9.0.9:7", "192.0.2.1"),
        ("[fd00:9::9]:7", "2001:db8::1"),
    ] {
        assert_eq!(
            echo(&chassis.outside, &chassis.card, there)?,
            local.parse::<std::net::IpAddr>()?
        );
    }
    assert_eq!(chassis.card.sent("fab0")?.packets, 2);
    assert_eq!(chassis.card.sent("eth1")?.packets, 4);
    Ok(())
}

/// Sends a datagram from `client` to `address` in `server`, and one back; the address that the client had.
fn echo(server: &Namespace, client: &Namespace, address: &str) -> Result<std::net::IpAddr> {
    let address: SocketAddr = address.parse()?;
    let there = server.run(|| UdpSocket::bind(address))??;
    let any: SocketAddr = if address.is_ipv4() {
        "0.0.0.0:0".parse()?
    } else {
        "[::]:0".parse()?
    };
    let here = client.run(|| UdpSocket::bind(any))??;
    for socket in [&there, &here] {
        socket.set_read_timeout(Some(pinif_lab::patience(Duration::from_secs(5))))?;
    }
    here.send_to(b"ping", address)?;
    let mut buffer = [0; 8];
    let (_, from) = there.recv_from(&mut buffer)?;
    there.send_to(b"pong", from)?;
    assert_eq!(here.recv_from(&mut buffer)?.1, address);
    Ok(from.ip())
}

#[test]
fn a_leaked_connection_is_answered_by_the_decoy() -> Result<()> {
    let chassis = pinif_lab::chassis()?;
    chassis.card.set_down("fab0")?;
    let decoy = chassis.outside.run(|| TcpListener::bind("10.0.0.2:80"))??;
    let leaked = chassis.card.run(|| TcpStream::connect("10.0.0.2:80"))??;
    assert_eq!(decoy.accept()?.1, leaked.local_addr()?);
    Ok(())
}

#[test]
fn routes_rules_and_addresses_come_and_go() -> Result<()> {
    let chassis = pinif_lab::chassis()?;
    let source = |to: &'static str, mark: u32| {
        chassis.card.run(move || -> Result<_> {
            let socket = socket2::Socket::from(UdpSocket::bind("0.0.0.0:0")?);
            socket.set_mark(mark)?;
            socket.connect(&to.parse::<SocketAddr>()?.into())?;
            Ok(socket
                .local_addr()?
                .as_socket()
                .map(|address| address.ip().to_string()))
        })?
    };
    let (backplane, front) = (Some("10.0.0.1".to_owned()), Some("192.0.2.1".to_owned()));
    assert_eq!(source("10.0.0.2:9", 0)?, backplane);

    let detour = Route::new("10.0.0.2/32".parse()?, "eth1").via("192.0.2.2".parse()?);
    chassis.card.add_route(detour.clone())?;
    assert_eq!(source("10.0.0.2:9", 0)?, front);
    chassis.card.delete_route(detour)?;
    assert_eq!(source("10.0.0.2:9", 0)?, backplane);

    chassis.card.add_route(
        Route::new("0.0.0.0/0".parse()?, "eth1")
            .via("192.0.2.2".parse()?)
            .table(100),
    )?;
    chassis.card.add_rule(Rule {
        mark: 7,
        table: 100,
    })?;
    assert_eq!(source("10.0.0.2:9", 7)?, front);
    assert_eq!(source("10.0.0.2:9", 0)?, backplane);

    chassis
        .card
        .delete_address("fab0", "10.0.0.1/24".parse()?)?;
    assert_eq!(source("10.0.0.2:9", 0)?, front);
    Ok(())
}

#[test]
fn devices_stack_where_the_kernel_has_them() -> Result<()> {
    for kind in LinkKind::ALL {
        if !kind.is_available()? {
            eprintln!("this kernel has no {} devices", kind.name());
            continue;
        }
        let namespace = Namespace::new("stack")?;
        namespace.veth("lower0", &namespace, "lower1", 0x21)?;
        let device = Device::new(kind, "upper0")
            .id(42)
            .between("192.0.2.1".parse()?, "192.0.2.2".parse()?);
        namespace.add_device(match kind {
            LinkKind::IpVlan | LinkKind::MacVlan | LinkKind::Vlan => {
                // It goes up only where the one below it is (`vlan_dev_open`, `macvlan_open`).
                namespace.set_up("lower0")?;
                device.over("lower0")
            }
            LinkKind::Hsr => device.over("lower0").and_over("lower1"),
            LinkKind::Gre
            | LinkKind::GreTap
            | LinkKind::IpIp
            | LinkKind::Sit
            | LinkKind::Vxlan
            | LinkKind::Xfrm => device.over("lower0"),
            _ => device,
        })?;
        if matches!(
            kind,
            LinkKind::Bond | LinkKind::Bridge | LinkKind::Team | LinkKind::Vrf
        ) {
            namespace.enslave("lower0", "upper0")?;
        }
        namespace.set_up("upper0")?;
        namespace.delete_link("upper0")?;
        assert!(namespace.index("upper0").is_err());
    }
    Ok(())
}

#[test]
fn a_mistake_is_reported_in_words() -> Result<()> {
    let namespace = Namespace::new("words")?;
    let error = format!(
        "{:#}",
        namespace.set_up("fab9").expect_err("there is no such link")
    );
    assert!(
        error.starts_with("cannot set fab9 up: there is no link fab9"),
        "{error}"
    );
    let error = format!(
        "{:#}",
        namespace
            .set_sysctl("ipv4/none", "1")
            .expect_err("there is no such setting")
    );
    assert!(
        error.starts_with("cannot set /proc/sys/net/ipv4/none"),
        "{error}"
    );
    let error = format!("{:#}", Namespace::new("a/b").expect_err("no such label"));
    assert!(error.contains("letters, digits and hyphens"), "{error}");
    Ok(())
}
