#!/bin/busybox sh
# The machine's first program: unpacks the root file system into memory, and becomes systemd in it.
busybox mkdir /root.new
busybox mount -t tmpfs -o mode=0755 root /root.new
busybox tar -x -f /root.tar -C /root.new
busybox rm /root.tar
exec busybox switch_root /root.new /lib/systemd/systemd
