#!/bin/sh
# sandbox.sh LOWER STATE CGROUP [SOURCE:TARGET:OPTIONS]... -- COMMAND...
# First process of new mount and PID namespaces: makes an overlay (STATE/upper over LOWER) the root and becomes COMMAND.
# Every mount ends with the last process.
set -eu
lower=$1 state=$2 root=$2/root cgroup=$3
shift 3
mkdir -p "$root" "$state/upper" "$state/work"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$state/upper,workdir=$state/work" "$root"
cd "$root"
mount -t proc proc proc
# The kubelet sets kernel.* and vm.*, which are the host's; only net.* belongs to the sandbox.
mount --bind proc/sys proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,ro proc/sys
mount -t sysfs sysfs sys
# Of the host's cgroups, the sandbox changes its own only.
mount --rbind /sys/fs/cgroup sys/fs/cgroup
for hierarchy in sys/fs/cgroup sys/fs/cgroup/*; do
    if [ -d "$hierarchy/$cgroup" ] && [ ! -L "$hierarchy" ]; then
        mount --bind "$hierarchy/$cgroup" "$hierarchy/$cgroup"
        mount -o remount,bind,ro "$hierarchy"
    fi
done
mount --rbind /dev dev
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
while [ "$1" != -- ]; do
    source=${1%%:*} rest=${1#*:}
    target=${rest%%:*} options=${rest#*:}
    if [ -d "$source" ]; then mkdir -p ".$target"; else mkdir -p ".${target%/*}" && touch ".$target"; fi
    mount --bind "$source" ".$target"
    mount -o "remount,bind,$options" ".$target"
    shift
done
shift
pivot_root . mnt
cd /
umount -l /mnt
mount --make-rshared /
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
exec "$@"
