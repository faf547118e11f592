#!/bin/sh
set -e

case "$1" in
remove)
    if [ -d /run/systemd/system ]; then
        systemctl --system daemon-reload >/dev/null || true
    fi
    if command -v deb-systemd-helper >/dev/null; then
        deb-systemd-helper mask pinif.service pinif-serve.service >/dev/null || true
    fi
    ;;
purge)
    if command -v deb-systemd-helper >/dev/null; then
        deb-systemd-helper purge pinif.service pinif-serve.service >/dev/null || true
        deb-systemd-helper unmask pinif.service pinif-serve.service >/dev/null || true
    fi
    # The history. The first is a link to the second (StateDirectory= with DynamicUser=).
    rm -rf /var/lib/pinif /var/lib/private/pinif
    # The group stays, as files of its may.
    rm -rf /run/pinif
    ;;
esac
