#!/bin/busybox sh
# The first program of an arm64 machine. It runs the tests that /tests lists, a binary and a test's name a line, and prints a line
# for each. The kernel's own messages stay in its log.
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /sbin /usr/bin /usr/sbin /scenarios
/bin/busybox --install -s
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t cgroup2 none /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
# Not over /tmp, which is in memory as it is: the sources may be there, and with them what the tests start.
mount -t tmpfs run /run
dmesg -n 1
ulimit -l unlimited
ulimit -n 65536
ip link set lo up
modprobe -a veth sch_ingress cls_bpf
# All takes a multiple of its time, and nothing else is on the machine.
export PINIF_PATIENCE=5 PINIF_OWN_MACHINE=1 PINIF_SCENARIO_DIR=/scenarios

uptime() {
    cut -d ' ' -f 1 /proc/uptime
}

echo "-- the tests begin --"
echo "up $(uptime)"
while read -r binary test; do
    began=$(uptime)
    if "/tests.d/$binary" --exact "$test" --nocapture >/tmp/said 2>&1 && grep -q '^test result: ok. 1 passed' /tmp/said; then
        echo "passed $began $(uptime) $binary $test"
    else
        echo "failed $began $(uptime) $binary $test"
        tail -n 60 /tmp/said
    fi
done </tests
for scenario in /scenarios/*.json; do
    [ -e "$scenario" ] && echo "scenario $(cat "$scenario")"
done
echo "-- the tests have ended --"
poweroff -f
