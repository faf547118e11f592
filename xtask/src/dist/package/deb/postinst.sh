#!/bin/sh
set -e

case "$1" in
configure | abort-remove | abort-deconfigure) ;;
*) exit 0 ;;
esac

# The group and /run/pinif. An image may have no systemd.
if command -v systemd-sysusers >/dev/null; then
    systemd-sysusers pinif.conf
    systemd-tmpfiles --create pinif.conf || true
fi

# What deb-systemd-helper(1p) is for: enabled at the first installation; what the administrator chose since then stays.
deb-systemd-helper unmask pinif.service >/dev/null || true
if deb-systemd-helper --quiet was-enabled pinif.service; then
    deb-systemd-helper enable pinif.service >/dev/null || true
else
    deb-systemd-helper update-state pinif.service >/dev/null || true
fi
# What serves readers is enabled by whoever wants it.
deb-systemd-helper unmask pinif-serve.service >/dev/null || true
deb-systemd-helper update-state pinif-serve.service >/dev/null || true

# The old version ran until here. `restart` leaves its programs in the kernel, and the new one goes on from their counts. Where the
# new one does not start, they go on without it, and the unit has failed.
if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
    if [ -n "$2" ]; then
        action=restart
    else
        action=start
    fi
    deb-systemd-invoke "$action" pinif.service >/dev/null || true
    systemctl --system try-restart pinif-serve.service >/dev/null || true
fi
