"""A stack's config as one frozen, validated object.

Pulumi.yaml describes each key. Whatever can be judged without a cluster is judged here, all of it at once.
"""

from settings.stack import PROJECT, ClusterAccess, ConfigError, Platform, Settings

__all__ = ["PROJECT", "ClusterAccess", "ConfigError", "Platform", "Settings"]
