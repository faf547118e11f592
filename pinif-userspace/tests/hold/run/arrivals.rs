//! What left is what reached the device: a packet that waits for a neighbour has not.

use crate::bench::{Need, SENDER, scenario};

#[test]
fn what_waits_for_a_neighbour_has_not_left() {
    scenario("run waiting", &[], |bench| {
        bench.card().set_arp("fab0", true).expect("it asks");
        // Nobody has the address. The requests that fab0 sends are the kernel's own.
        let held = bench.send_held("udp --to 10.0.0.77:9 --count 3");
        assert_eq!(held.sent().sent, 3, "{held:?}");
        assert_eq!(held.account.left(), [("fab0", 3)]);
        assert_eq!(held.account.arrived(), [("fab0", Some(0))]);

        let mut run = bench.pinned_reported("fab0", "human");
        run.arg(*SENDER)
            .args(["udp", "--to", "10.0.0.78:9", "--count", "3"]);
        let output = run.output().expect("pinif");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            said.lines().collect::<Vec<_>>(),
            [
                "pinif: 1 socket pinned to fab0",
                "pinif: no packet left",
                "pinif: 3 packets did not reach fab0: they wait for a neighbour that does not answer, or were dropped before the device",
            ]
        );
    });
}

#[test]
fn what_tc_drops_has_not_left() {
    scenario("run tc-drop", &[Need::NetdevEgress], |bench| {
        bench.run("nft", "add table netdev lab");
        bench.run(
            "nft",
            "add chain netdev lab out { type filter hook egress device fab0 priority 0 ; }",
        );
        bench.run("nft", "add rule netdev lab out udp dport 9 drop");
        let held = bench.send_held("udp --to 10.0.0.2:9 --count 5");
        assert_eq!(held.account.left(), [("fab0", 5)], "{held:?}");
        assert_eq!(held.account.arrived(), [("fab0", Some(0))]);
    });
}

#[test]
fn segments_and_answers_of_tcp_and_what_stays_on_the_host_arrive() {
    scenario("run arrivals-tcp", &[], |bench| {
        // The answers that the kernel gives for the listener (SYN-ACK) are the command's own, too.
        let script = "
import socket, threading
server = socket.create_server(('10.0.0.1', 7001))
def serve():
    peer, _ = server.accept()
    while peer.recv(65536): pass
    peer.close()
thread = threading.Thread(target=serve)
thread.start()
client = socket.create_connection(('10.0.0.1', 7001))
client.sendall(b'x' * 1000000)
client.close()
thread.join()
";
        let mut run = bench.pinned("fab0", "");
        run.args(["python3", "-c", script]);
        let held = bench.held(run);
        assert!(held.output.status.success(), "{held:?}");
        let left = held.account.left();
        let [("lo", packets)] = left[..] else {
            panic!("{held:?}")
        };
        assert!(packets > 6, "{held:?}");
        assert_eq!(held.account.arrived(), [("lo", Some(packets))], "{held:?}");
    });
}
