# The group and /run/pinif. Where the distribution's systemd has triggers for them, they are there already.
if command -v systemd-sysusers >/dev/null; then
    systemd-sysusers pinif.conf
    systemd-tmpfiles --create pinif.conf || :
fi
# The first installation: whether the units are enabled is the distribution's to say, and the administrator's (systemd.preset(5)).
if [ "$1" -eq 1 ] && command -v systemctl >/dev/null; then
    systemctl --no-reload preset pinif.service pinif-serve.service || :
fi
