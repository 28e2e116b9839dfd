#!/bin/sh
# Makes a node's keys in /etc/lab. Arguments of the environment: NODE, ADDRESS and SERVICES (CIDR).
set -eu
umask 077
cd /etc/lab

certificate() { # certificate NAME SUBJECT EXTENSION
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 365 \
        -subj "$2" -addext "$3" -keyout "$1.key" -out "$1.crt"
}

certificate apiserver "/CN=$NODE" \
    "subjectAltName=IP:$ADDRESS,IP:${SERVICES%.0/24}.1,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
certificate kubelet-client /O=system:masters/CN=kube-apiserver extendedKeyUsage=clientAuth
# Kubernetes reads the public half out of a private key in this older encoding only.
openssl ecparam -genkey -name prime256v1 -noout -out service-account.key
