//! The rules of a policy judge what is foreseen.

use super::*;

#[test]
fn the_whole_policy_judges_what_is_foreseen() {
    scenario("foresee policy", &[], |bench| {
        let card = bench.card();
        let inside = connected(card, "0.0.0.0:7001", "10.0.0.2:9");
        // It leaks already, and would not leak more.
        let _outside = connected(card, "0.0.0.0:7002", "203.0.113.9:9");
        // Where the zone is not contained: else its address, outside, is what is reported first.
        let file = policy(&CONTROL_PLANE_PINNED.replace("contained = true", ""));
        let path = file.path().to_str().expect("a path");
        let foresee = |arguments: &[&str]| {
            let mut all = vec!["--policy", path, "--format", "json"];
            all.extend(arguments);
            pinif(bench, &all)
        };
        let output = foresee(&[]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let lines_of = lines(&output);
        let [finding, summary] = &lines_of[..] else {
            panic!("{lines_of:?}")
        };
        assert_eq!(
            brief(finding),
            [
                "10.0.0.1:7001",
                "policy-escape",
                "control-plane",
                "10.0.0.2:9",
                "eth1"
            ]
        );
        assert_eq!(finding["severity"], "risk");
        assert_eq!(finding["if"], "fab0 down");
        let explanation = finding["explanation"].as_str().expect("text");
        assert!(
            explanation.ends_with(
                "via fab0 now. With fab0 down, it would leave via eth1, and rule control-plane lets it leave via zone backplane (fab0) only. It \
                 would be address-escape and unpinned as well."
            ),
            "{explanation}"
        );
        assert_eq!(
            finding["also"],
            json!([
                {"kind": "address-escape", "rule": null},
                {"kind": "unpinned", "rule": "control-plane"}
            ])
        );
        assert_eq!(summary["foreseen"], json!(["fab0 down", "eth1 down"]));
        drop(lines_of);

        // The contained zone's address is what is reported first: the rule that it breaks as well is named.
        let contained = policy(CONTROL_PLANE_PINNED);
        let contained = contained.path().to_str().expect("a path");
        let output = pinif(bench, &["--policy", contained, "--format", "json"]);
        let lines_of = lines(&output);
        let finding = &lines_of[0];
        assert_eq!(
            brief(finding),
            [
                "10.0.0.1:7001",
                "address-escape",
                "none",
                "10.0.0.2:9",
                "eth1"
            ]
        );
        assert_eq!(
            finding["also"],
            json!([
                {"kind": "policy-escape", "rule": "control-plane"},
                {"kind": "unpinned", "rule": "control-plane"}
            ])
        );
        let explanation = finding["explanation"].as_str().expect("text");
        assert!(
            explanation.ends_with(
                "It would be policy-escape (rule control-plane) and unpinned (rule control-plane) as well."
            ),
            "{explanation}"
        );
        drop(lines_of);

        // A pinned one stays, and so does what was bound.
        SockRef::from(&inside)
            .bind_device(Some(b"fab0"))
            .expect("a device");
        assert_eq!(foresee(&[]).status.code(), Some(0));
    });
}

#[test]
fn an_unconnected_socket_is_judged_by_what_the_rules_are_for() {
    scenario("foresee policy unconnected", &[], |bench| {
        let card = bench.card();
        let _socket = card
            .run(|| UdpSocket::bind("0.0.0.0:7001").expect("a socket"))
            .expect("the card");
        // No route of its own leads there: the default route does, which a better one would take over.
        let text = "[zone.front]\ninterfaces = [\"eth*\"]\n[zone.backplane]\ninterfaces = [\"fab*\"]\n\
            [[rule]]\nname = \"web\"\ndestination = \"198.51.100.0/24\"\nport = [443]\nprotocol = \"udp\"\nonly_via = \"front\"\n";
        let file = policy(text);
        let arguments = [
            "--policy",
            file.path().to_str().expect("a path"),
            "--route-add",
            "198.51.100.0/25 dev fab0",
            "--route-add",
            "198.51.100.0/24 dev fab0",
            "--format",
            "json",
        ];
        let output = pinif(bench, &arguments);
        let lines_of = lines(&output);
        let findings: Vec<_> = lines_of
            .iter()
            .filter(|line| line["type"] == "finding")
            .map(|line| (brief(line), &line["if"]))
            .collect();
        let escape = [
            "0.0.0.0:7001",
            "policy-escape",
            "web",
            "198.51.100.0/24 port 443",
            "fab0",
        ];
        assert_eq!(
            findings,
            [
                (escape, &json!("route 198.51.100.0/25 dev fab0 added")),
                (escape, &json!("route 198.51.100.0/24 dev fab0 added")),
            ],
            "{output:?}"
        );
    });
}

#[test]
fn the_senders_of_a_rule_are_distinguished() {
    scenario("foresee policy senders", &[], |bench| {
        let card = bench.card();
        let _by_root = connected(card, "0.0.0.0:7001", "10.0.0.2:9");
        let by_another = connected(card, "0.0.0.0:7002", "10.0.0.2:9");
        nix::unistd::fchown(&by_another, Some(4711.into()), None).expect("another user");
        let mut sender = bench.sender("udp --connect --to 10.0.0.2:9 --count 2 --pause-after 1");
        sender.wait_for("paused");
        let sources = |rule: &str| {
            let text = format!("{}{rule}only_via = [\"backplane\"]\n", {
                let text = CONTROL_PLANE.replace("contained = true", "");
                let zones = text.split("[[rule]]").next().map(str::to_owned);
                format!("{}[[rule]]\nname = \"some\"\n", zones.expect("zones"))
            });
            let file = policy(&text);
            let path = file.path().to_str().expect("a path");
            let output = pinif(
                bench,
                &["--policy", path, "--down", "fab0", "--format", "json"],
            );
            let mut processes: Vec<_> = lines(&output)
                .iter()
                .filter(|line| line["kind"] == "policy-escape")
                .map(|line| line["source"].as_str().expect("text").to_owned())
                .collect();
            processes.sort();
            processes
        };
        assert_eq!(sources("user = 4711\n"), ["10.0.0.1:7002"]);
        let own = std::env::current_exe().expect("a program");
        assert_eq!(
            sources(&format!("executable = {own:?}\n")),
            ["10.0.0.1:7001", "10.0.0.1:7002"]
        );
        let of_the_sender = sources(&format!("cgroup = {:?}\n", bench.cgroup()));
        assert_eq!(of_the_sender.len(), 1, "{of_the_sender:?}");
        sender.go();
        sender.finish();
    });
}

/// A socket that is bound to eth1 goes on there without a route, as to a neighbour, with eth1's first address; the rule is for that.
#[test]
fn what_has_no_route_any_more_is_said_to_be_taken_for_a_neighbour() {
    scenario("foresee no-route", &[], |bench| {
        let card = bench.card();
        bench.run("ip", "address add 192.0.2.77/24 dev eth1");
        bench.run(
            "ip",
            "route replace default via 192.0.2.2 dev eth1 src 192.0.2.77",
        );
        let socket = card.run(|| UdpSocket::bind("0.0.0.0:7001").expect("a socket"));
        let socket = socket.expect("the card");
        SockRef::from(&socket)
            .bind_device(Some(b"eth1"))
            .expect("a device");
        let text = "[zone.backplane]\ninterfaces = [\"fab*\"]\n[[rule]]\nname = \"first\"\nsource = [\"192.0.2.1/32\"]\n\
            destination = [\"203.0.113.9/32\"]\nport = [9]\nonly_via = [\"backplane\"]\n";
        let file = policy(text);
        let arguments = [
            "--policy",
            file.path().to_str().expect("a path"),
            "--route-del",
            "default via 192.0.2.2 dev eth1",
            "--format",
            "json",
        ];
        let output = pinif(bench, &arguments);
        let lines_of = lines(&output);
        let [finding, _summary] = &lines_of[..] else {
            panic!("{output:?}")
        };
        assert_eq!(
            brief(finding),
            [
                "0.0.0.0:7001",
                "policy-escape",
                "first",
                "203.0.113.9/32 port 9",
                "eth1"
            ]
        );
        assert_eq!(
            finding["cause"],
            "no route leads to 203.0.113.9 through this interface, so it is taken for a neighbour there"
        );
    });
}
