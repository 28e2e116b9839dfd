"""A stack's config as one frozen, validated object.

Each field says what its key means, and settings.reference tells users of it. Whatever can be judged without a cluster
is judged here, all of it at once.
"""

from components.choices import Platform
from settings.clients import Client, NetworkPolicy
from settings.clusters import ClusterAccess, TargetCluster
from settings.hosts import External, ExternalCredential, Host, Service
from settings.problems import ConfigError
from settings.section import PROJECT
from settings.stack import Settings

__all__ = [
    "PROJECT",
    "Client",
    "ClusterAccess",
    "ConfigError",
    "External",
    "ExternalCredential",
    "Host",
    "NetworkPolicy",
    "Platform",
    "Service",
    "Settings",
    "TargetCluster",
]
