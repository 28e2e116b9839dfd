"""The contract of a stack's outputs, which other projects read by a StackReference.

README's table and outputs.schema.json come from these models: `make reference`. An output or field, once promised in
a version, keeps its name, type and meaning; new ones may be added. None is secret.
"""

from outputs.models import VERSION, ClientOutput, GatewayOutput, HostOutput, Outputs, TargetOutput

__all__ = ["VERSION", "ClientOutput", "GatewayOutput", "HostOutput", "Outputs", "TargetOutput"]
