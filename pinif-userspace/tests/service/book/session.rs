//! The commands that ask something of a host and end, one after the other as the pages have them: on a card with an auditor that has found
//! a leak.

use std::fmt::Write as _;

use super::commands::{Run, all};
use crate::bench::{Need, scenario};
use crate::shell;

/// What the commands find: an interface of the backplane, one outside, a namespace, policies, an auditor, and a program that leaks. `/etc` and
/// `/run/pinif` are others than the machine's.
const CARD: &str = r#"
exec 2>&1
mount --make-rprivate /
cp -a /etc etc; mkdir -p etc/pinif; mount --bind etc /etc
for i in pinif netns; do mkdir -p /run/$i; mount -t tmpfs -o mode=755 none /run/$i; done
sudo() { "$@"; }
ip link set lo up
for i in fab0 eth1; do
    ip link add $i arp off type veth peer name far-$i
    for j in $i far-$i; do sysctl -qw net.ipv6.conf.$j.disable_ipv6=1; ip link set $j up; done
done
ip addr add 10.0.0.1/24 dev fab0
ip addr add 192.0.2.1/24 dev eth1
ip route add default via 192.0.2.2
ip route add 10.9.0.0/16 dev fab0
ip netns add card
printf '[zone.backplane]\ninterfaces = ["fab*"]\n\n[[rule]]\nname = "control-plane"\ndestination = ["10.0.0.0/8"]\nonly_via = ["backplane"]\n' >policy.toml
cp policy.toml /etc/pinif/policy.toml
exec 3< <(exec pinif audit --learn 2>&1); read -ru 3 _; audit=$!
exec 5< <(exec pinif findings --follow --format json)
exec 4< <(exec python3 -c 'import signal, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.0.0.1", 7001))
s.sendto(b"x", ("203.0.113.9", 9))
signal.pause()'); sender=$!
id=$(grep -m1 '"id"' <&5 | jq -r .id)
group=/sys/fs/cgroup/$(cat /proc/self/cgroup | sed -n 's/^0:://p'); test -d "$group" || group=/sys/fs/cgroup/unified/${group#/sys/fs/cgroup/}
set +e
"#;

/// What stands for something of the reader's in the commands.
const STANDS_FOR: [(&str, &str); 10] = [
    (
        "sudo pinif accept",
        "rm -f /etc/pinif/policy.d/*; sudo pinif accept",
    ),
    ("/sys/fs/cgroup/system.slice/fabricd.service", "$group"),
    ("--cgroup PATH", "--cgroup $group"),
    ("5a5471cf0da7", "$id"),
    ("7d1a5c0ffee1", "$id"),
    (" ID ", " $id "),
    ("COMMAND", "true"),
    ("FILE", "policy.toml"),
    ("TEXT", "meant"),
    (
        "sudo pinif learn --output",
        "rm draft.toml; sudo pinif learn --output",
    ),
];

#[test]
fn each_ends_as_it_should() {
    let programs = ["unshare", "bash", "ip", "sysctl", "mount", "jq", "python3"];
    scenario("book session", &programs.map(Need::Program), |_| {
        let commands: Vec<_> = all()
            .into_iter()
            .filter_map(|command| match command.run {
                Run::Here(statuses) => Some((command, statuses)),
                Run::By(_) | Run::Not(_) => None,
            })
            .collect();
        let mut script = CARD.to_owned();
        for (command, _) in &commands {
            let mut line = command.line.clone();
            for (word, stands) in STANDS_FOR {
                line = line.replace(word, stands);
            }
            let _ = writeln!(
                script,
                "{line} >printed 2>&1 </dev/null; echo \"status $?\"; head -n 3 printed"
            );
        }
        script += "kill $audit $sender\n";
        let folder = tempfile::tempdir().expect("a folder");
        let output = shell::run_on_mounts(&script, folder.path());
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut ended = printed
            .lines()
            .filter_map(|line| line.strip_prefix("status "));
        for (command, statuses) in &commands {
            let status = ended
                .next()
                .unwrap_or_else(|| panic!("it ended before {command:?}:\n{printed}"));
            assert!(
                statuses
                    .iter()
                    .any(|expected| expected.to_string() == status),
                "{command:?} ended with {status}:\n{printed}"
            );
        }
    });
}
