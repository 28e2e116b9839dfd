"""A stack's config as one frozen, validated object.

The models (settings.stack and below) have a field for each key, whose description becomes the users' reference
(settings.reference). read_config reads a config and reports every problem that shows without a cluster, at once.
"""

from components.choices import Platform
from settings.clients import Client, NetworkPolicy
from settings.clusters import ClusterAccess, TargetCluster
from settings.hosts import External, ExternalCredential, Host, Service
from settings.problems import ConfigError
from settings.reading import read_config
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
    "read_config",
]
