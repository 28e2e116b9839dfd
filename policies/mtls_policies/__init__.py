"""Policies for stacks that connect clusters by mutual TLS, a module for each subject.

They judge the types and properties of resources only, so they apply to any program.
"""

from . import certificates, egress, gateways, key_material, origination
from .policy import ResourcePolicy, StackPolicy

POLICIES: list[ResourcePolicy | StackPolicy] = [
    gateways.POLICY,
    origination.POLICY,
    key_material.CONFIG_MAPS,
    key_material.OUTPUTS,
    egress.POLICY,
    certificates.POLICY,
]
