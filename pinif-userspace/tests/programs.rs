//! Programs that people use, bound as their manuals say: by device, and by address. Cases 1 and 9 of KERNEL.md.

mod bench;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;

use bench::{Need, risk, scenario};
use pinif_userspace::lab::Namespace;

#[test]
fn ping_by_device_is_contained() {
    scenario("1 program-ping", &[Need::Program("ping")], |bench| {
        let auditor = bench.audit(&[]);
        bench.program("ping", "-n -q -c 5 -i 0.01 -I fab0 10.0.0.2");
        auditor
            .stop()
            .expect()
            .contained("fab0", "fab0", 5)
            .nothing_else();
    });
}

#[test]
fn ping_by_address_follows_the_routing_table() {
    scenario("9 program-ping", &[Need::Program("ping")], |bench| {
        let auditor = bench.audit(&[]);
        let ping = bench.program("ping", "-n -q -c 5 -i 0.01 -I 10.0.0.1 203.0.113.9");
        let escape = risk("address-escape")
            .egress("eth1")
            .packets(5)
            .by_program("ping", ping)
            .protocol("icmp")
            .destination("203.0.113.9");
        auditor.stop().expect().finding(escape).nothing_else();
    });
}

#[test]
fn socat_by_device_is_contained() {
    scenario("1 program-socat", &[Need::Program("socat")], |bench| {
        let auditor = bench.audit(&[]);
        // One short file is one datagram.
        bench.program(
            "socat",
            "-u OPEN:/proc/version UDP4-SENDTO:10.0.0.2:9,so-bindtodevice=fab0",
        );
        auditor
            .stop()
            .expect()
            .contained("fab0", "fab0", 1)
            .nothing_else();
    });
}

#[test]
fn iperf3_by_device_is_contained() {
    scenario("1 program-iperf3", &[Need::Program("iperf3")], |bench| {
        bench
            .card()
            .segment_in_software("fab0")
            .expect("fab0 has offloads");
        let peer = &bench.chassis.peer;
        let _server = Server::start(peer, "iperf3", "--server --one-off --bind 10.0.0.2");
        bench.wait_for_listener(peer);
        let auditor = bench.audit(&[]);
        bench.program("iperf3", "--client 10.0.0.2 --bind-dev fab0 --bytes 2M");
        let report = auditor.stop();
        let packets = report.sent_by("fab0").packets;
        // iperf3 ends once its socket took all of it: not all of it leaves.
        assert!(packets > 100, "it sends a lot\n{report}");
        report
            .expect()
            .contained("fab0", "fab0", packets)
            .nothing_else();
    });
}

#[test]
fn curl_by_device_is_contained() {
    scenario("1 program-curl", &[Need::Program("curl")], |bench| {
        let served = serve(&bench.chassis.peer, "10.0.0.2:7000");
        let auditor = bench.audit(&[]);
        bench.program("curl", "--silent --interface fab0 http://10.0.0.2:7000/");
        served.join().expect("a request");
        let report = auditor.stop();
        let packets = report.sent_by("fab0").packets;
        report
            .expect()
            .contained("fab0", "fab0", packets)
            .nothing_else();
    });
}

#[test]
fn curl_by_address_follows_the_routing_table() {
    scenario("9 program-curl", &[Need::Program("curl")], |bench| {
        let served = serve(&bench.chassis.outside, "203.0.113.9:7000");
        let auditor = bench.audit(&[]);
        let curl = bench.program(
            "curl",
            "--silent --interface 10.0.0.1 http://203.0.113.9:7000/",
        );
        served.join().expect("a request");
        let report = auditor.stop();
        let packets = report.sent_by("eth1").packets;
        let escape = risk("address-escape")
            .egress("eth1")
            .packets(packets)
            .by_program("curl", curl)
            .protocol("tcp")
            .destination("203.0.113.9:7000")
            .cause("the program was given the address 10.0.0.1 for an interface")
            .mend("give the program the name fab0 instead of the address 10.0.0.1");
        report.expect().finding(escape).nothing_else();
    });
}

/// A program that serves in a namespace; ended when dropped.
struct Server(Child);

impl Server {
    fn start(namespace: &Namespace, program: &str, arguments: &str) -> Self {
        let mut command = Command::new(program);
        command
            .args(arguments.split_whitespace())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = namespace
            .run(|| command.spawn())
            .expect("the namespace is there");
        Self(child.expect("the program is installed"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Answers one request of HTTP.
fn serve(namespace: &Namespace, address: &str) -> thread::JoinHandle<()> {
    let listener = namespace
        .run(|| TcpListener::bind(address))
        .expect("the namespace")
        .expect("a free port");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut request = Vec::new();
        let mut buffer = [0; 1024];
        while !request.ends_with(b"\r\n\r\n") {
            let length = stream.read(&mut buffer).expect("a request");
            assert_ne!(length, 0, "the request ended early");
            request.extend(&buffer[..length]);
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(answer).expect("curl reads");
    })
}
