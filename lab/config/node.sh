#!/bin/sh
# First process of a node: starts its programs, and restarts each one that ends. Arguments of the environment:
# NODE, ADDRESS, PODS and SERVICES (CIDR).

keep() { # keep PROGRAM ARGUMENT...
    while :; do
        "$@" >>"/var/log/lab/$1.log" 2>&1
        echo "lab: $1 ended with $?, starting it again" >>"/var/log/lab/$1.log"
        sleep 1
    done
}

# Several clusters share the machine's cores: idle threads of Go's scheduler would cost a quarter of an idle cluster.
export GOMAXPROCS=1

hostname "$NODE"
# The kubelet wants these settings, which are the host's (and read-only here): show it what it would set.
for setting in vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1; do
    file=$(mktemp)
    echo "${setting#*=}" >"$file"
    mount --bind "$file" "/proc/sys/${setting%=*}"
done
echo 1 >/proc/sys/net/ipv4/ip_forward
mkdir -p /etc/cni/net.d
cp /etc/lab/ptp.conflist /etc/cni/net.d/

keep etcd --data-dir=/var/lib/etcd --unsafe-no-fsync --log-level=warn &
keep kube-apiserver --advertise-address="$ADDRESS" --bind-address="$ADDRESS" --secure-port=6443 \
    --etcd-servers=http://127.0.0.1:2379 --service-cluster-ip-range="$SERVICES" --allow-privileged \
    --anonymous-auth=false --token-auth-file=/etc/lab/tokens.csv --authorization-mode=Node,RBAC \
    --enable-admission-plugins=NodeRestriction \
    --tls-cert-file=/etc/lab/apiserver.crt --tls-private-key-file=/etc/lab/apiserver.key \
    --kubelet-client-certificate=/etc/lab/kubelet-client.crt --kubelet-client-key=/etc/lab/kubelet-client.key \
    --kubelet-preferred-address-types=InternalIP \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file=/etc/lab/service-account.key \
    --service-account-signing-key-file=/etc/lab/service-account.key &
keep kube-controller-manager --kubeconfig=/etc/lab/kube-controller-manager.kubeconfig \
    --use-service-account-credentials --service-account-private-key-file=/etc/lab/service-account.key \
    --root-ca-file=/etc/lab/apiserver.crt --leader-elect=false --allocate-node-cidrs --cluster-cidr="$PODS" \
    --node-cidr-mask-size=24 --service-cluster-ip-range="$SERVICES" &
keep kube-scheduler --kubeconfig=/etc/lab/kube-scheduler.kubeconfig --leader-elect=false &
keep containerd --config=/etc/lab/containerd.toml &
(until [ -S /run/containerd/containerd.sock ]; do sleep 0.2; done
    keep kubelet --config=/etc/lab/kubelet.yaml --kubeconfig=/etc/lab/kubelet.kubeconfig --hostname-override="$NODE" \
        --node-ip="$ADDRESS") &
keep kube-proxy --config=/etc/lab/kube-proxy.yaml --hostname-override="$NODE" &
# It ends, and is started again, until its node is registered.
keep kube-router --kubeconfig=/etc/lab/kube-router.kubeconfig --hostname-override="$NODE" \
    --run-firewall --run-router=false --run-service-proxy=false --service-cluster-ip-range="$SERVICES" &
while :; do wait; done
