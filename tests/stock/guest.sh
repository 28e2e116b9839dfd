#!/bin/sh
# Runs as a service inside the stock machine, and prints to the host. The last line is the exit code of what it ran.
export HOME=/root LC_ALL=C.UTF-8

try() {
    python3 -m pytest -v --color=no -p no:cacheprovider tests/machine || return
    if [ "$WHOLE" = yes ]; then
        before=$(cat /sys/fs/cgroup/cgroup.subtree_control)
        make up && make down || return
        [ "$(cat /sys/fs/cgroup/cgroup.subtree_control)" = "$before" ]
    fi
}

echo "booted Debian $(cat /etc/debian_version), Linux $(uname -r), $(stat -fc %T /sys/fs/cgroup) in /sys/fs/cgroup"
cd /root/kyma-mtls && try
echo "exit code $?"
systemctl poweroff
