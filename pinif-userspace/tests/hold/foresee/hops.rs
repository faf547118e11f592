//! Routes with several next hops, of which each flow takes one.

use super::*;

/// Which next hop an IPv6 flow takes, nobody but the flow shows: that those by one hop leak already hides nothing of the others.
#[test]
fn a_next_hop_that_leaks_now_hides_no_other() {
    scenario("foresee hops", &[Need::Program("ip")], |bench| {
        for line in [
            "-6 route add 2001:db8:9::/48 nexthop via fd00::2 dev fab0 nexthop via 2001:db8::2 dev eth1",
            "-6 route add 2001:db8:8::/48 nexthop via 2001:db8::2 dev eth1 nexthop via 2001:db8::3 dev eth1",
        ] {
            bench.run("ip", line);
        }
        let card = bench.card();
        let _ours = connected(card, "[::]:7001", "[2001:db8:9::1]:9");
        // Both of its next hops leak, now and then.
        let _leaks = connected(card, "[::]:7002", "[2001:db8:8::1]:9");
        let file = policy(
            "[zone.backplane]\ninterfaces = [\"fab*\"]\n\
             [[rule]]\nname = \"v6\"\ndestination = [\"2001:db8:8::/47\"]\nonly_via = [\"backplane\"]\n",
        );
        let path = file.path().to_str().expect("a path");
        let output = pinif(bench, &["--policy", path, "--format", "json"]);
        let lines_of = lines(&output);
        let [finding, summary] = &lines_of[..] else {
            panic!("{lines_of:?}")
        };
        assert_eq!(
            (&finding["kind"], &finding["if"], &finding["destination"]),
            (
                &json!("policy-escape"),
                &json!("fab0 down"),
                &json!("[2001:db8:9::1]:9")
            )
        );
        let explanation = finding["explanation"].as_str().expect("text");
        assert!(
            explanation.contains(
                " sends UDP to [2001:db8:9::1]:9 via any of fab0 and eth1 now. With fab0 down, it would leave via eth1, and rule v6 lets"
            ),
            "{explanation}"
        );
        assert_eq!(summary["foreseen"], json!(["fab0 down", "eth1 down"]));
    });
}
