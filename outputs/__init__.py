"""The contract of a stack's outputs, which other projects read by a StackReference.

The program exports by these models, and `make reference` generates the users' table and outputs.schema.json from them.
An output or field, once promised in a version, keeps its name, type and meaning; new ones may be added. None is secret.
"""

from outputs.models import VERSION, ClientOutput, GatewayOutput, HostOutput, Outputs, TargetOutput

__all__ = ["VERSION", "ClientOutput", "GatewayOutput", "HostOutput", "Outputs", "TargetOutput"]
