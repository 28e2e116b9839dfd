"""Proxies: what the Envoys of a cluster's gateways really have, read through the cluster's API server."""
