# Where it ran, the old version ran until here. `restart` leaves its programs in the kernel, and the new one goes on from their
# counts. Where the new one does not start, they go on without it, and the unit has failed.
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
    systemctl try-restart pinif.service pinif-serve.service || :
fi
