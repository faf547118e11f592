# Not for an upgrade.
[ "$1" -eq 0 ] || exit 0

if command -v systemctl >/dev/null; then
    systemctl --no-reload disable pinif.service pinif-serve.service || :
fi
if [ -d /run/systemd/system ]; then
    systemctl stop pinif-serve.service pinif.service || :
fi
# What the service left where its collector had failed. `stop` removes it otherwise.
if [ -d /sys/fs/bpf/pinif ]; then
    pinif detach --persist=/sys/fs/bpf/pinif || :
    rmdir /sys/fs/bpf/pinif 2>/dev/null || :
fi
# A pin is the service's own, and holds without pinif.
if pinned=$(pinif pin --list 2>/dev/null | grep '^/'); then
    echo "pinif: these cgroups stay pinned until what is in them ends:" $pinned >&2
fi
