#!/bin/sh
set -e

# Not for an upgrade: the old version goes on until the new one is configured.
[ "$1" = remove ] || exit 0

if [ -d /run/systemd/system ]; then
    deb-systemd-invoke stop pinif-serve.service pinif.service >/dev/null || true
fi
# What the service left where its collector had failed. `stop` removes it otherwise.
if [ -d /sys/fs/bpf/pinif ]; then
    pinif detach --persist=/sys/fs/bpf/pinif || true
    rmdir /sys/fs/bpf/pinif 2>/dev/null || true
fi
# A pin is the service's own, and holds without pinif.
if pinned=$(pinif pin --list 2>/dev/null | grep '^/'); then
    echo "pinif: these cgroups stay pinned until what is in them ends:" $pinned >&2
fi
