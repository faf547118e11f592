#!/bin/sh
# Checks the packages and their unit where systemd runs it. A line that begins with `passed `, `failed ` or `figure ` is read by whoever
# started the machine.

# How long anything is waited for, in tenths of a second.
PATIENCE=600

# This shell has some of its own, which know less.
ip() { /usr/bin/ip "$@"; }
dpkg() { /usr/bin/dpkg "$@"; }

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

pin_is() { pinif pin --list | grep -q -e "$1"; }
pin_is_not() { ! pin_is "$1"; }
pin_points_at() { pinif pin --list --format json | grep -q "\"index\":$(cat "/sys/class/net/$1/ifindex")[,}]"; }

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
# Whatever starts the unit waits until `begins_again`.
holds_its_start() {
    mkdir -p "$held"
    printf '[Service]\nExecStartPre=+/bin/sh -c "until test -e /run/begin; do sleep 0.1; done"\n' >"$held/held.conf"
    systemctl daemon-reload
}
begins_again() {
    touch /run/begin
    "$@" || return 1
    rm -r /run/begin "$held"
    systemctl daemon-reload
}
at_most() { awk -v value="$1" -v most="$2" 'BEGIN { exit !(value > 0 && value <= most) }'; }
fails_to_start() { ! systemctl start pinif; }
# As a user who is in no group but that of this number (busybox's setpriv changes neither).
as_user_of() { perl -e 'my $g = shift; $) = "$g $g"; $( = $g; ($<, $>) = (1000, 1000); exec @ARGV or die "$!\n"' "$@"; }
serve() { systemctl show pinif-serve --property "$1" --value; }
serve_has_status() { serve StatusText | grep -q -e "$1"; }
serves_anew() { test "$(serve MainPID)" != "$server" && serve_has_status '^the auditor at '; }
is_disabled() { ! systemctl is-enabled --quiet "$1"; }
# Whether the answer to `GET` has a line that is so.
answers() {
    perl -MIO::Socket::INET -e '
        my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:9759") or die "$!\n";
        print $s "GET $ARGV[0] HTTP/1.0\r\nHost: localhost\r\n\r\n";
        print while <$s>;' "$1" | grep -q -e "$2"
}
purge_names_the_pin() { dpkg --purge pinif 2>&1 | grep -q 'stay pinned until .*: /sys/fs/cgroup/held'; }
# Fails, and says so.
refused() {
    words=$1
    shift
    if said=$("$@" 2>&1); then return 1; fi
    echo "$said" | grep -q -e "$words" || { echo "$said"; return 1; }
}
restart_fails() { ! systemctl restart pinif && waits is ActiveState failed; }
has_been_left() { ! systemctl is-enabled --quiet pinif && is ActiveState inactive; }
# But for what each distribution has elsewhere: documents, licences, functions of zsh.
same_files() {
    rpm --query --configfiles pinif | sort >/root/rpm.settings
    for kind in deb rpm; do
        grep -v -e /usr/share/doc/ -e /usr/share/licenses/ -e /usr/share/lintian/ "/root/$kind.files" |
            sed 's:/vendor-completions/:/site-functions/:' | sort >"/root/$kind.same"
    done
    test -s /root/deb.same && diff /root/deb.same /root/rpm.same
}
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
deb() { ls /root/packages/pinif_*-"$1"_*.deb; }
rpm_of() { ls /root/packages/pinif-*-"$1".*.rpm; }
rpm() { /usr/bin/rpm "$@"; }
# Debian's rpm wants to be sure that it is meant, and knows no package that has /bin/sh.
rpm_does() { rpm --force-debian --nodeps "$@"; }
# All that has pinif in its name, but for what the machine itself was given.
traces() {
    find / -xdev '(' -path /root -o -path /var/log -o -path /usr/local ')' -prune -o -name '*pinif*' -print | sort
    grep -r -l pinif /etc /var/lib/systemd 2>/dev/null | grep -v -e '^/etc/group' -e '^/etc/gshadow' -e checks.service | sort
}
no_traces() { test "$(traces)" = "$before" && test ! -e /run/pinif || { traces; return 1; }; }
configure() {
    cp /root/policy.toml /root/pinif.toml /etc/pinif/
    chmod 0600 /etc/pinif/policy.toml
}
with_commas() { echo "$1" | awk '{ if ($1 < 1000) print $1; else printf "%d,%03d\n", $1 / 1000, $1 % 1000 }'; }
# Sends in the background until `halts`, and remembers how much.
flows() {
    rm -f /run/halt /run/sent
    {
        total=0
        until test -e /run/halt; do
            sends 10 >/dev/null 2>&1 || break
            total=$((total + 10))
            # The machine has one processor.
            sleep 0.2
        done
        echo "$total" >/run/sent
    } &
    sleep 1
}
halts() {
    : >/run/halt
    wait
    meanwhile=$(cat /run/sent)
    sent=$((sent + meanwhile))
    check "packets were sent all the time" test "$meanwhile" -gt 20
    echo "figure packets sent meanwhile: $meanwhile"
}
# How many entries of the unit have these fields.
entries() { journalctl --quiet --no-pager --output cat _SYSTEMD_UNIT=pinif.service "$@" | wc -l; }
has_entry() { test "$(entries "$@")" = 1 || { entries "$@"; return 1; }; }
# The distribution's own units, which carry the journal to another host: here, to the same one.
remote=/var/log/journal/remote
receives() { systemctl start systemd-journal-remote.socket; }
receives_no_more() { systemctl stop systemd-journal-remote.socket systemd-journal-remote.service; }
uploads() { systemctl start systemd-journal-upload; }
# As docs/journal.md has it, with a certificate of the other host that is for this one's address.
configure_journal() {
    mkdir -p /root/journal /etc/ssl/private /etc/ssl/certs /etc/systemd/system/systemd-journal-upload.service.d
    cd /root/journal && sh /root/documented/certificates.sh 127.0.0 1 1 || return 1
    chmod 0711 /etc/ssl/private
    cp pinif-ca.pem /etc/ssl/certs/logs-ca.pem
    chmod 0644 /etc/ssl/certs/logs-ca.pem
    for name in remote upload; do
        cp slot1/cert.pem "/etc/ssl/certs/journal-$name.pem"
        cp slot1/key.pem "/etc/ssl/private/journal-$name.pem"
        chmod 0640 "/etc/ssl/private/journal-$name.pem"
    done
    chown systemd-journal-remote /etc/ssl/private/journal-remote.pem
    chgrp systemd-journal /etc/ssl/private/journal-upload.pem
    block journal.md 'On the card, in `/etc/systemd/journal-upload.conf`' | sed 's/logs.example/127.0.0.1/' >/etc/systemd/journal-upload.conf
    block journal.md '`systemctl edit systemd-journal-upload`' >/etc/systemd/system/systemd-journal-upload.service.d/override.conf
    cd / && systemctl daemon-reload
}
# Nothing else is listened for than what is encrypted.
journal_is_sealed() { systemctl show systemd-journal-remote --property ExecStart | grep -q -e '--listen-https=-3'; }
# The lines of the first block of a document behind the line that has these words.
block() {
    awk -v words="$2" 'index($0, words) { on = 1; next } on && /^```/ { if (inside) exit; inside = 1; next } inside' "/root/documented/$1"
}
# All transitions of findings in a journal.
transitions() {
    journalctl --quiet --no-pager --output cat --output-fields PINIF_UID,PINIF_REVISION,PINIF_TRANSITION "$@" SYSLOG_IDENTIFIER=pinif \
        PINIF_KIND=device-escape | sort
}
# So many, and the same there as here.
has_all() {
    transitions >/root/here
    transitions --directory "$remote" >/root/there
    test "$(grep -c / /root/here)" -ge "$1" && cmp /root/here /root/there
}
# A card of a chassis: its files as docs/chassis.md has them, and a collector that wants TLS and a token, as docs/otlp.md has it.
drop_ins=/etc/systemd/system/pinif-serve.service.d
held=/run/systemd/system/pinif.service.d
configure_card() {
    mkdir -p /root/card /root/collector "$drop_ins" /etc/pinif/tls
    cd /root/card && sh /root/documented/certificates.sh 10.90.0 7 7 || return 1
    cp slot7/cert.pem slot7/key.pem slot7/token /etc/pinif/tls/
    chmod 0600 /etc/pinif/tls/key.pem /etc/pinif/tls/token
    sed -n '/^\[serve\]/,$p' /root/documented/card.toml >>/etc/pinif/pinif.toml
    cp /root/documented/pinif-serve.conf "$drop_ins/chassis.conf"
    cd /root/collector && sh /root/documented/certificates.sh 10.0.0 1 1 || return 1
    cp pinif-ca.pem /etc/pinif/collector-ca.pem
    chmod 0644 /etc/pinif/collector-ca.pem
    cp pinif.token /etc/pinif/otlp.token
    cd / && block otlp.md 'With a token' >"$drop_ins/otlp.conf"
}
allow_no_collector() { sed -i '/^IPAddressAllow=/d' "$drop_ins/otlp.conf"; }
serve_says() { journalctl --unit pinif-serve --output cat --no-pager | grep -q -e "$1"; }
serves_again() { systemctl daemon-reload && systemctl restart pinif-serve; }
collects() {
    LC_ALL=C ip netns exec supervisor socat "OPENSSL-LISTEN:4318,fork,reuseaddr,verify=0,cert=/root/collector/slot1/cert.pem,key=/root/collector/slot1/key.pem" \
        EXEC:/usr/local/lib/pinif/collector &
    collector=$!
}
collected() { grep -a -q -e "$1" /root/collected; }
# What the supervisor reads with this token.
supervisor_reads() {
    printf 'GET /metrics HTTP/1.0\r\nHost: 10.90.0.7\r\nAuthorization: Bearer %s\r\n\r\n' "$1" |
        ip netns exec supervisor openssl s_client -quiet -connect 10.90.0.7:9759 -CAfile /root/card/pinif-ca.pem \
            -verify_return_error -verify_ip 10.90.0.7 2>/dev/null | grep -a -q -e "$2"
}
has_no_token() { ! journalctl --no-pager --output export | grep -a -q -F -e "$(cat /root/collector/pinif.token)" -e "$(cat /root/card/pinif.token)"; }
metrics=/var/lib/prometheus/node-exporter/pinif.prom
is_ready_by_metrics() { grep -q -x "pinif_ready $1" "$metrics"; }
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

# As an operator installs it.
before=$(traces)
began=$(starts_at)
must "the Debian package is installed" dpkg --install "$(deb 1)"
echo "figure seconds of its installation: $(awk -v a="$began" -v b="$(starts_at)" 'BEGIN { print b - a }')"
check "dpkg finds it as it was made" test -z "$(dpkg --verify pinif)"
check "the unit is enabled" systemctl is-enabled pinif
check "the unit is started" is ActiveState active
check "it audits, and drops nothing" waits has_status '^Auditing 1 interface. No finding.$'
check "there is the group" grep -q '^pinif:' /etc/group
check "its directory is the group's" test "$(stat -c '%U:%G %a' /run/pinif)" = 'root:pinif 2750'
check "so is its socket" test "$(stat -c '%U:%G %a' /run/pinif/pinif.sock)" = 'root:pinif 660'
check "root asks how it stands" pinif status
group=$(awk -F : '$1 == "pinif" { print $3 }' /etc/group)
check "so does the group" as_user_of "$group" pinif status
check "nobody else does" refused 'may not be opened' as_user_of 1000 pinif status
check "the unit is understood" systemd-analyze verify --man=no pinif.service
score=$(systemd-analyze security --no-pager pinif.service | sed -n 's/.*exposure level for pinif.service: \([0-9.]*\).*/\1/p')
echo "figure exposure by systemd-analyze security, of 10: $score"
check "systemd-analyze security gives at most 3.0" at_most "$score" 3.0
# For readers of this host, without a privilege.
ip link set lo up
check "the unit that serves readers is understood" systemd-analyze verify --man=no pinif-serve.service
check "nobody has enabled it" is_disabled pinif-serve
must "it starts" systemctl start pinif-serve
check "it hears the auditor" waits serve_has_status '^the auditor at /run/pinif/pinif.sock is heard$'
check "its user is one of its own" test "$(stat -c %u "/proc/$(serve MainPID)")" -ge 61184
check "it has no capability" grep -q '^CapEff:.0000000000000000$' "/proc/$(serve MainPID)/status"
check "it passes the metrics on" waits answers /metrics '^pinif_ready 1'
check "it keeps the history" waits answers /v1/history '"audits":\[{'
check "root reads that" pinif history
check "nobody else does" refused 'may not be read' as_user_of 1000 pinif history
score=$(systemd-analyze security --no-pager pinif-serve.service | sed -n 's/.*exposure level for pinif-serve.service: \([0-9.]*\).*/\1/p')
echo "figure exposure of what serves readers, of 10: $score"
check "systemd-analyze security gives it at most 2.0" at_most "$score" 2.0
check "the auditor ends" systemctl stop pinif
check "what serves readers says so" waits serve_has_status '^no auditor is heard: '
check "so do its metrics" answers /metrics '^pinif_ready 0'
check "nothing stays behind" unpinned
check "nobody is asked any more" test ! -e /run/pinif/pinif.sock

# A pin, whose interface goes and comes: udev has the unit started.
mkdir /sys/fs/cgroup/held
ip link add fab9 type veth peer name peer9
check "a cgroup is pinned" pinif pin --interface fab9 --cgroup /sys/fs/cgroup/held
ip link delete fab9
check "the pin is refreshed" pinif pin --refresh
check "its interface is away" pin_is away
ip link add fab9 type veth peer name peer9
check "it is back, and the pin points at it" waits pin_is_not away
ip link set fab9 name other9
ip link set peer9 name fab9
check "another interface gets its name, and the pin points at that" waits pin_points_at fab9
pinif pin --undo --cgroup /sys/fs/cgroup/held >/dev/null
rmdir /sys/fs/cgroup/held
ip link delete fab9

configure
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
check "what serves readers hears it" waits serve_has_status ' is heard$'
check "the status says what is audited" waits has_status '^Auditing 3 interfaces. No finding. Leaks are dropped.$'
check "what is sent is dropped" sends 10
check "nothing arrived" has_arrived 0
check "the finding is in the journal" waits says 'leak device-escape: pinif-sender .* dropped at eth1'
check "the status says so" waits has_status '1 leak.'
check "its entry has fields" has_entry PRIORITY=2 PINIF_KIND=device-escape PINIF_SEVERITY=leak PINIF_STATE=open \
    PINIF_TRANSITION=opened PINIF_BOUND=fab0 PINIF_EGRESS=eth1 PINIF_NETNS=card PINIF_PROCESS=pinif-sender \
    MESSAGE_ID=bba1a33cffa74c0b973bef7d46f84a52 _TRANSPORT=journal
check "what carries the journal is set up" configure_journal
check "the journal is carried to another host, which is not there yet" uploads

# Metrics for node_exporter, by a timer.
mkdir -p "${metrics%/*}"
chown prometheus "${metrics%/*}"
cp /usr/share/pinif/prometheus/pinif-metrics.service /usr/share/pinif/prometheus/pinif-metrics.timer /etc/systemd/system/
systemctl daemon-reload
check "the timer starts" systemctl start pinif-metrics.timer
check "it has the metrics written" waits is_ready_by_metrics 1
check "they have the finding" grep -q 'pinif_findings{kind="device-escape",severity="leak",state="open"} 1$' "$metrics"
check "nothing else is left there" test "$(ls "${metrics%/*}")" = pinif.prom
systemctl stop pinif-metrics.timer

check "the other host comes" receives
check "it has all entries" waits has_all 1
check "it is carried by TLS" journal_is_sealed
check "the other host goes" receives_no_more
check "another namespace comes" ip netns add card-later
check "it is audited" waits says 'card-later is audited from now on'
check "it reads its policy again" systemctl reload pinif
check "it says so" waits says 'a new policy is in force'

# A card of a chassis: the unit that serves readers, with the drop-ins of its supervisor and of a collector.
ip netns add supervisor
ip link add mid0 type veth peer name mid1 netns supervisor
ip address add 10.90.0.7/24 dev mid0
ip address add 10.0.0.7/24 dev mid0
ip -n supervisor address add 10.90.0.100/24 dev mid1
ip -n supervisor address add 10.0.0.1/24 dev mid1
ip link set mid0 up
ip -n supervisor link set mid1 up
check "the card is configured" configure_card
collects
allow_no_collector
check "what serves readers starts as a card's" serves_again
check "it is understood with that" systemd-analyze verify --man=no pinif-serve.service
check "its supervisor reads the metrics, by TLS and with the token" waits supervisor_reads "$(cat /root/card/pinif.token)" '^pinif_ready 1'
check "nobody does with another token" supervisor_reads wrong '^HTTP/1.. 401 '
check "the key is its user's alone" test "$(stat -c %a /run/credentials/pinif-serve.service/key.pem)" = 400
check "it may not send to the collector" waits serve_says 'findings for https://10.0.0.1:4318: it does not answer in time'
check "nothing reached that" test ! -e /root/collected
block otlp.md 'With a token' >"$drop_ins/otlp.conf"
check "what serves readers may send there by then" serves_again
check "the collector has the finding" waits collected 'pinif.finding.opened'
check "its record has its name" collected 'log.record.uid'
check "it has the metrics" waits collected '^POST /v1/metrics '
check "each came with the token" test "$(grep -a -c '^POST ' /root/collected)" = "$(grep -a -c -i "^authorization: Bearer $(cat /root/collector/pinif.token)" /root/collected)"
check "no token is in the log" has_no_token
check "all is acknowledged" waits supervisor_reads "$(cat /root/card/pinif.token)" '^pinif_export_unacknowledged 0'
kill "$collector"
systemctl stop pinif-serve
ip netns delete supervisor
rm -r "$drop_ins" /etc/pinif/tls /etc/pinif/collector-ca.pem /etc/pinif/otlp.token
cp /root/pinif.toml /etc/pinif/
check "what serves readers is as before" serves_again
check "it hears the auditor" waits serve_has_status ' is heard$'

group=/sys/fs/cgroup$(property ControlGroup)
main=$(property MainPID)
peak=$(cat "$group/memory.peak")
echo "figure MiB of memory now: $(awk -v a="$(property MemoryCurrent)" 'BEGIN { print a / 1048576 }')"
echo "figure MiB of memory at most: $(awk -v a="$peak" 'BEGIN { print a / 1048576 }')"
echo "figure MiB resident: $(awk '/^VmRSS/ { print $2 / 1024 }' "/proc/$main/status")"
echo "figure of memory.stat: $(awk '/^(anon|file|kernel|percpu|slab|vmalloc|sock) / { printf "%s %.1f  ", $1, $2 / 1048576 }' "$group/memory.stat")"
check "it stays below its limit" at_most "$peak" "$(property MemoryMax)"
check "it is killed after the others" grep -q -x -e -900 "/proc/$main/oom_score_adj"

check "its next start is held" holds_its_start
check "it gets SIGKILL" kill -KILL "$main"
check "it has ended" waits is_down
check "what is sent meanwhile is dropped" sends 20
check "nothing ran meanwhile" is_down
check "nothing of that arrived" has_arrived 0
must "it is started again" begins_again waits runs_again 1
check "what serves readers hears the next one" waits serve_has_status '^the auditor at '
check "nothing arrived" has_arrived 0
check "it goes on from its counts" waits has_status '1 leak. Leaks are dropped.'

check "pinif doctor sees one auditor" test "$(pinif doctor | grep -c /sys/fs/bpf/pinif)" = 1
check "it gets SIGSTOP" kill -STOP "$(property MainPID)"
check "what is sent meanwhile is dropped" sends 30
must "the watchdog starts it again" waits runs_again 2
check "it was the watchdog" says 'Watchdog timeout'
check "nothing arrived" has_arrived 0

check "it gets SIGTERM, and systemd did not send it" kill -TERM "$(property MainPID)"
check "what is sent meanwhile is dropped" sends 5
must "it is started again" waits runs_again 3
check "it goes on from its counts" waits has_status '1 leak. Leaks are dropped.'

# The next version of the package, while packets are sent.
sent=65
main=$(property MainPID)
pinned=$(ls -i /sys/fs/bpf/pinif)
server=$(serve MainPID)
flows
began=$(starts_at)
must "the package is upgraded" dpkg --install "$(deb 2)"
echo "figure seconds of the upgrade: $(awk -v a="$began" -v b="$(starts_at)" 'BEGIN { print b - a }')"
halts
check "it is the next version" dpkg-query --show --showformat '${Version}' pinif
check "another collector runs" test "$(property MainPID)" != "$main"
check "it is active" is ActiveState active
check "what serves readers was restarted" waits serves_anew
check "it has the finding of before" waits answers /v1/history '"kind":"device-escape"'
check "what was pinned is there as it was" test "$(ls -i /sys/fs/bpf/pinif)" = "$pinned"
check "what the administrator wrote is kept" cmp /root/pinif.toml /etc/pinif/pinif.toml
check "nothing arrived" has_arrived 0
check "it goes on from its counts" waits has_status '1 leak. Leaks are dropped.'

# One that counts in other maps.
main=$(property MainPID)
check "a version that cannot take over is refused" refused 'Stop it before' dpkg --install "$(deb 3)"
check "the version is the one from before" test "$(dpkg-query --show --showformat '${Status} ${Version}' pinif | tail -c 2)" = '-2'
check "dpkg has nothing to put right" test -z "$(dpkg --audit)"
check "the collector is the one from before" is MainPID "$main"

# One that does not start, as a bad version would not.
echo 'nonsense = 1' >>/etc/pinif/pinif.toml
check "with an unknown option it does not start" restart_fails
check "the journal names the option and its place" says 'pinif.toml:5:1: `pinif audit` has no option `nonsense`'
check "what is sent is dropped all the same" sends 10
sent=$((sent + 10))
check "nothing arrived" has_arrived 0
cp /root/pinif.toml /etc/pinif/
systemctl reset-failed pinif
must "put right, it starts" systemctl start pinif
check "it goes on from its counts" waits has_status '1 leak. Leaks are dropped.'

began=$(starts_at)
check "it ends" systemctl stop pinif
took=$(awk -v a="$began" -v b="$(starts_at)" 'BEGIN { print b - a }')
echo "figure seconds until it has ended: $took"
check "it ends in its time" at_most "$took" 15
check "its end is no failure" is Result success
check "the metrics are written again" systemctl start pinif-metrics.service
check "they say that nobody looks" is_ready_by_metrics 0
rm -r /etc/systemd/system/pinif-metrics.* "${metrics%/*}"
systemctl daemon-reload
check "the other host comes again" receives
check "it has all entries since, each once" waits has_all 3
systemctl stop systemd-journal-upload
receives_no_more
check "the journal has the exact count of all lives" says ": $(with_commas "$sent") packets, .* bytes dropped at eth1 in card in all"
check "the journal has the summary" says "\\. $(with_commas "$sent") packets were kept from leaving"
check "nothing stays behind" unpinned
check "what is sent is not dropped any more" sends 5
check "all of it arrived" has_arrived 5
check "nothing was refused that it needs" silent 'not permitted\|denied\|unaudited'

# Purged, while it runs.
must "it starts again" systemctl start pinif
cp /usr/bin/pinif /root/pinif
dpkg --listfiles pinif | while read -r file; do test -d "$file" || echo "$file"; done | sort >/root/deb.files
sort /var/lib/dpkg/info/pinif.conffiles >/root/deb.settings
mkdir /sys/fs/cgroup/held
check "a cgroup is pinned" pinif pin --interface lo --cgroup /sys/fs/cgroup/held
check "the Debian package is purged" purge_names_the_pin
rmdir /sys/fs/cgroup/held
check "no file is left of it" no_traces
check "nothing is attached" test "$(/root/pinif doctor | grep -c -e auditor -e /sys/fs/bpf/pinif)" = 0
check "its directory of the BPF file system is gone" test ! -e /sys/fs/bpf/pinif
check "what is sent is not dropped any more" sends 5
check "all of it arrived" has_arrived 10
check "systemd does not know it" is LoadState not-found

# The RPM, where the distribution enables nothing by itself.
mkdir -p /etc/systemd/system-preset
cp /root/99-default.preset /etc/systemd/system-preset/
before=$(traces)
journalctl --rotate --vacuum-time 1s >/dev/null 2>&1
must "the RPM is installed" rpm_does --install "$(rpm_of 1)"
check "rpm finds it as it was made" rpm --verify --nodeps pinif
check "the unit is not enabled, nor started" has_been_left
rpm --query --list pinif | while read -r file; do test -d "$file" || echo "$file"; done | sort >/root/rpm.files
check "it has the same files as the Debian package" same_files
check "the same of them are the administrator's" cmp /root/deb.settings /root/rpm.settings
configure
must "it starts" systemctl enable --now pinif
sent=0
flows
must "the RPM is upgraded" rpm_does --upgrade "$(rpm_of 2)"
halts
check "it is the next version" test "$(rpm --query --queryformat '%{RELEASE}' pinif)" = 2
check "it is active" is ActiveState active
check "it is enabled" systemctl is-enabled pinif
check "nothing arrived" has_arrived 10
check "another collector runs, and goes on from its counts" waits has_status '1 leak. Leaks are dropped.'
main=$(property MainPID)
check "a version that cannot take over is refused" refused 'Stop it before' rpm_does --upgrade "$(rpm_of 3)"
check "the version is the one from before" test "$(rpm --query --queryformat '%{RELEASE} ' pinif)" = '2 '
check "the collector is the one from before" is MainPID "$main"
check "it is removed" rpm_does --erase pinif
check "the journal has the exact count of both" says ": $(with_commas "$sent") packets, .* bytes dropped at eth1 in card in all"
check "what the administrator changed is kept aside" test "$(ls /etc/pinif | tr '\n' ' ')" = 'pinif.toml.rpmsave policy.toml.rpmsave '
rm -r /etc/pinif
check "no other file is left of it" no_traces
check "nothing is attached" test "$(/root/pinif doctor | grep -c -e auditor -e /sys/fs/bpf/pinif)" = 0
check "it reported no error" test -z "$(journalctl --no-pager --output cat _COMM=pinif PRIORITY=3)"

echo "-- the checks have ended --"
