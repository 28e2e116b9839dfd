"""Policies for stacks that connect clusters by mutual TLS; each module is one concept, and looks at nothing but types
and properties of resources.
"""

from mtls_policies import certificates, egress, gateways, key_material, origination
from mtls_policies.policy import ResourcePolicy, StackPolicy

POLICIES: list[ResourcePolicy | StackPolicy] = [
    gateways.POLICY,
    origination.POLICY,
    key_material.CONFIG_MAPS,
    key_material.OUTPUTS,
    egress.POLICY,
    certificates.POLICY,
]
