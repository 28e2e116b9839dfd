"""The program of the policy pack, which the Pulumi engine starts."""

from mtls_policies.pack import serve

serve()
