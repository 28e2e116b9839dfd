"""The policy pack, as Pulumi starts it."""

from mtls_policies.pack import serve

serve()
