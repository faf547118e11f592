#!/bin/sh
# Checks the shipped unit where systemd runs it. A line that begins with `passed `, `failed ` or `figure ` is read by whoever
# started the machine.

# How long anything is waited for, in tenths of a second.
PATIENCE=600

# This shell has one of its own, which knows less.
ip() { /usr/bin/ip "$@"; }

passed() { echo "passed $1"; }

failed() {
    echo "failed $1: $2"
    systemctl status pinif --no-pager --lines 0 | head -n 12
    journal | tail -n 30
}

# Runs the rest of the words; it passes where these do.
check() {
    name=$1
    shift
    if output=$("$@" 2>&1); then
        passed "$name"
    else
        failed "$name" "$* ($output)"
        return 1
    fi
}

# As that, where nothing that follows could pass.
must() { check "$@" || { echo "-- the checks have ended --"; exit; }; }

# Waits until the rest of the words succeed.
waits() {
    left=$PATIENCE
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        test "$left" -gt 0 || return 1
        sleep 0.1
    done
}

journal() { journalctl --unit pinif --output cat --no-pager; }
says() { journal | grep -q -e "$1"; }
said() { journal | grep -e "$1"; }
silent() { ! said "$1"; }
property() { systemctl show pinif --property "$1" --value; }
is() { test "$(property "$1")" = "$2" || { echo "$1 is $(property "$1")"; return 1; }; }
has_status() { property StatusText | grep -q -e "$1"; }
runs_again() { is NRestarts "$1" && is ActiveState active; }
is_down() { ! is ActiveState active; }
at_most() { awk -v value="$1" -v most="$2" 'BEGIN { exit !(value > 0 && value <= most) }'; }
fails_to_start() { ! systemctl start pinif; }
sends() { pinif-sender --netns card udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --count "$1"; }
arrived() { ip netns exec outside cat /sys/class/net/peer1/statistics/rx_packets; }
has_arrived() { test "$(arrived)" = "$1" || { echo "$(arrived) packets"; return 1; }; }
# The policy, which is such a one now, is refused; the journal says whose it is.
keeps_from_starting() {
    check "a policy $1 keeps it from starting" fails_to_start
    check "the journal says that it is one $1" says "others can change the policy: .*policy.toml belongs to $2"
    systemctl stop pinif
    systemctl reset-failed pinif 2>/dev/null
}
unpinned() { test -z "$(ls /sys/fs/bpf/pinif 2>/dev/null)"; }
starts_at() { cut -d ' ' -f 1 /proc/uptime; }

echo "-- the checks begin --"

# A namespace with two interfaces, and the network outside of it. Nothing is sent but what is sent on purpose.
for name in card outside; do
    ip netns add "$name"
    ip netns exec "$name" sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
done
ip link add eth1 netns card type veth peer name peer1 netns outside
ip link add fab0 netns card type veth peer name peer0 netns outside
ip -n card address add 192.0.2.1/24 dev eth1
ip -n card address add 10.0.0.1/24 dev fab0
for device in lo eth1 fab0; do ip -n card link set "$device" up; done
for device in peer0 peer1; do ip -n outside link set "$device" up; done
for device in eth1 fab0; do
    ip -n card neighbor add 10.0.0.2 lladdr 02:00:00:00:00:02 nud permanent dev "$device"
done

# The unit is as it was shipped. Its options are where it says that they go.
systemctl daemon-reload
check "the unit is understood" systemd-analyze verify pinif.service
score=$(systemd-analyze security --no-pager pinif.service | sed -n 's/.*exposure level for pinif.service: \([0-9.]*\).*/\1/p')
echo "figure exposure by systemd-analyze security, of 10: $score"
check "systemd-analyze security gives at most 3.0" at_most "$score" 3.0

chmod 0666 /etc/pinif/policy.toml
keeps_from_starting "that others can write" 'root, with mode 0666'
chmod 0600 /etc/pinif/policy.toml
chown 1000 /etc/pinif/policy.toml
keeps_from_starting "of another user" '.*other'
chown 0 /etc/pinif/policy.toml
check "nothing was attached" unpinned
journalctl --rotate --vacuum-time 1s >/dev/null 2>&1

began=$(starts_at)
must "it starts" systemctl start pinif
echo "figure seconds until it is ready: $(awk -v a="$began" -v b="$(starts_at)" 'BEGIN { print b - a }')"
check "it is active" is ActiveState active
check "the status says what is audited" waits has_status '^Auditing 3 interfaces. No finding. Leaks are dropped.$'
check "what is sent is dropped" sends 10
check "nothing arrived" has_arrived 0
check "the finding is in the journal" waits says 'leak device-escape: pinif-sender .* dropped at eth1'
check "the status says so" waits has_status '1 leak.'
check "another namespace comes" ip netns add card-later
check "it is audited" waits says 'card-later is audited from now on'
check "it reads its policy again" systemctl reload pinif
check "it says so" waits says 'a new policy is in force'

group=/sys/fs/cgroup$(property ControlGroup)
main=$(property MainPID)
peak=$(cat "$group/memory.peak")
echo "figure MiB of memory now: $(awk -v a="$(property MemoryCurrent)" 'BEGIN { print a / 1048576 }')"
echo "figure MiB of memory at most: $(awk -v a="$peak" 'BEGIN { print a / 1048576 }')"
echo "figure MiB resident: $(awk '/^VmRSS/ { print $2 / 1024 }' "/proc/$main/status")"
echo "figure of memory.stat: $(awk '/^(anon|file|kernel|percpu|slab|vmalloc|sock) / { printf "%s %.1f  ", $1, $2 / 1048576 }' "$group/memory.stat")"
check "it stays below its limit" at_most "$peak" "$(property MemoryMax)"
check "it is killed after the others" grep -q -x -e -900 "/proc/$main/oom_score_adj"

check "it gets SIGKILL" kill -KILL "$main"
check "what is sent meanwhile is dropped" sends 20
check "nothing ran meanwhile" is_down
check "nothing of that arrived" has_arrived 0
must "it is started again" waits runs_again 1
check "nothing arrived" has_arrived 0
check "it goes on from its counts" waits has_status '1 leak. Leaks are dropped.'

check "pinif doctor sees one auditor" test "$(pinif doctor | grep -c /sys/fs/bpf/pinif)" = 1
check "it gets SIGSTOP" kill -STOP "$(property MainPID)"
check "what is sent meanwhile is dropped" sends 30
must "the watchdog starts it again" waits runs_again 2
check "it was the watchdog" says 'Watchdog timeout'
check "nothing arrived" has_arrived 0

# Sends one packet after another until a file says that it is enough; how many is in another file then.
send_all_the_time() {
    count=0
    until test -e /run/enough; do sends 1 && count=$((count + 1)); done
    echo "$count" >/run/sent
}
send_all_the_time &
pinned=$(ls -i /sys/fs/bpf/pinif)
check "it is started anew, as by an upgrade" systemctl restart pinif
touch /run/enough
wait "$!"
meanwhile=$(cat /run/sent)
check "packets were sent meanwhile" at_most 1 "$meanwhile"
check "nothing of that arrived" has_arrived 0
check "what was pinned is there as it was" test "$(ls -i /sys/fs/bpf/pinif)" = "$pinned"
check "it was no failure" is Result success
check "it goes on from its counts" waits has_status '1 leak. Leaks are dropped.'

began=$(starts_at)
check "it ends" systemctl stop pinif
took=$(awk -v a="$began" -v b="$(starts_at)" 'BEGIN { print b - a }')
echo "figure seconds until it has ended: $took"
check "it ends in its time" at_most "$took" 15
check "its end is no failure" is Result success
all=$((60 + meanwhile))
check "the journal has the exact count of all four lives" says "$all packets, .* bytes dropped at eth1 in card in all"
check "the journal has the summary" says "$all packets were kept from leaving"
check "nothing stays behind" unpinned
check "what is sent is not dropped any more" sends 5
check "all of it arrived" has_arrived 5
check "nothing was refused that it needs" silent 'not permitted\|denied\|unaudited'
check "it reported no error" test -z "$(journalctl --no-pager --output cat _COMM=pinif PRIORITY=3)"

echo "-- the checks have ended --"
