use std::{
    io::{Read as _, Write as _},
    net::UdpSocket,
    process::{self, Command, Stdio},
};

use super::*;

fn inode(socket: &UdpSocket) -> u64 {
    nix::sys::stat::fstat(socket).expect("fstat").st_ino
}

/// Whoever has the number.
fn any(pid: u32) -> ProcessId {
    ProcessId { pid, started: 0 }
}

fn myself() -> ProcessId {
    let opened = Opened::any(process::id());
    opened.and_then(|own| own.id()).expect("this process")
}

#[test]
fn a_process_is_known_by_its_number_and_its_start() {
    let own = myself();
    let with_start = |started| ProcessId { started, ..own };
    for started in [0, own.started, own.started + tick() - 1] {
        let id = with_start(started);
        assert_eq!(describe(id).map(|process| process.id), Some(own), "{id:?}");
        assert!(name_of(id).is_some() && is_there(id), "{id:?}");
        let descriptor = descriptor_of(id).expect("a descriptor");
        assert!(descriptor.is_some(), "{id:?}");
        assert_eq!(looked_at(id, |path| path.join("exe").exists()), Some(true));
    }
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    assert!(sockets_of(own).contains(&inode(&socket)) && holds(own, inode(&socket)));
    for another in [1, own.started - 1, own.started + tick()] {
        let id = with_start(another);
        assert_eq!(describe(id), None, "{id:?}");
        assert_eq!(name_of(id), None, "{id:?}");
        assert!(sockets_of(id).is_empty() && !is_there(id), "{id:?}");
        assert!(!holds(id, inode(&socket)), "{id:?}");
        let descriptor = descriptor_of(id).expect("it is not asked");
        assert!(descriptor.is_none(), "{id:?}");
        assert_eq!(looked_at(id, |path| path.join("exe").exists()), None);
    }
}

#[test]
fn this_process_is_described() {
    let own = describe(any(process::id())).expect("this process");
    let exe = std::env::current_exe().expect("an executable");
    assert_eq!(own.id, myself());
    assert_eq!(own.exe.as_deref(), exe.to_str());
    assert_eq!(own.uid, nix::unistd::geteuid().as_raw());
    assert_eq!(describe_of(own.id, own.uid).as_ref(), Some(&own));
    assert!(
        own.comm.len() <= 15 && exe.to_string_lossy().contains(own.comm.trim()),
        "{}",
        own.comm
    );
    assert!(own.cgroup.is_some_and(|path| path.starts_with('/')));
}

#[test]
fn the_effective_user_is_found_under_any_name() {
    let status = b"Name:\t\xff\\nUid:\t7\t7\nUmask:\t0022\nUid:\t1000\t1001\t1002\t1003\nGid:\t1\n";
    assert_eq!(effective_user(status), Some(1001));
    assert_eq!(effective_user(b"Name:\ta\n"), None);
}

#[test]
fn the_parent_and_the_start_are_found_behind_any_name() {
    let mut stat = b"7 (\xff) 1 2) S 4".to_vec();
    (5..22).for_each(|field| stat.extend(format!(" {field}").bytes()));
    stat.extend(b" 4711 9 9\n");
    assert_eq!(parse_stat(&stat), Some((4, 4711)));
    assert_eq!(parse_stat(b"7 (a) S 1"), None);
}

#[test]
fn a_process_that_is_gone_is_none() {
    let mut child = Command::new("true")
        .stdout(Stdio::null())
        .spawn()
        .expect("true");
    let id = any(child.id());
    child.wait().expect("wait");
    assert_eq!(describe(id), None);
    assert!(sockets_of(id).is_empty());
    assert!(descriptor_of(id).expect("none").is_none());
    assert_eq!(describe(any(u32::MAX)), None);
}

/// What was opened of one that has ended says nothing, also of who has its number by then.
#[test]
fn what_is_read_is_of_the_process_that_was_opened() {
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("cat");
    // What it has read and written, it has done under its own name.
    let (input, output) = (child.stdin.as_mut(), child.stdout.as_mut());
    input.expect("a pipe").write_all(b"x").expect("it reads");
    output
        .expect("a pipe")
        .read_exact(&mut [0])
        .expect("it writes");
    let opened = Opened::any(child.id()).expect("a process");
    assert_eq!(opened.name().as_deref(), Some("cat"));
    child
        .kill()
        .and_then(|()| child.wait().map(drop))
        .expect("its end");
    assert_eq!((opened.id(), opened.name()), (None, None));
    assert_eq!(opened.describe(None), None);
    assert_eq!(opened.inodes(), None);
}

#[test]
fn this_process_has_ancestors() {
    let all = ancestors();
    assert_eq!(all[0], myself());
    let parent = nix::unistd::getppid().as_raw().cast_unsigned();
    assert_eq!(all[1].pid, parent);
}

#[test]
fn the_holder_of_a_socket_is_found() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let inode = inode(&socket);
    let found = holders(&HashSet::from([inode]));
    assert_eq!(found, HashMap::from([(inode, vec![myself()])]));
    drop(socket);
    assert!(!sockets_of(myself()).contains(&inode));
    assert!(holders(&HashSet::from([inode])).is_empty());
}
