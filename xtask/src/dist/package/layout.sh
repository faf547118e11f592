# Before anything is touched. What counts now does so in maps that this version cannot read, where their layout is another one.
for state in /sys/fs/bpf/pinif/*/state; do
    [ -e "$state" ] || continue
    layout=${state%/state}
    if [ "${layout##*/}" != "@LAYOUT@" ]; then
        echo "pinif: this version cannot take over the auditor in /sys/fs/bpf/pinif, whose maps have another layout (${layout##*/})." >&2
        echo "pinif: Nothing is changed, and it goes on. Stop it before: \`systemctl stop pinif\` reports all that it has counted." >&2
        echo "pinif: Where no collector runs, as where the unit has failed, that does nothing: \`pinif detach\` ends it then." >&2
        exit 1
    fi
done
