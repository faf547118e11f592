#!/bin/sh
set -e

# Not for an upgrade: the old version goes on until the new one is configured.
[ "$1" = remove ] || exit 0

if [ -d /run/systemd/system ]; then
    deb-systemd-invoke stop pinif.service >/dev/null || true
fi
# What the service left where its collector had failed. `stop` removes it otherwise.
if [ -d /sys/fs/bpf/pinif ]; then
    pinif detach --persist=/sys/fs/bpf/pinif || true
    rmdir /sys/fs/bpf/pinif 2>/dev/null || true
fi
