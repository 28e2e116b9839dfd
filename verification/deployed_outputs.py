"""The outputs of a deployed stack, read and compared with its settings."""

from collections.abc import Collection, Iterator, Mapping

from pydantic import ValidationError

from outputs import Outputs
from settings import PROJECT, ConfigError, Settings


def read_outputs(stack: str, values: Mapping[str, object], settings: Settings) -> Outputs:
    """Return a stack's outputs; raise ConfigError if they do not match its settings.

    stack: its name, for messages
    values: of its outputs, by name
    """
    if not values:
        raise ConfigError(f"stack {stack} has no outputs yet; deploy it with `pulumi up`")
    try:
        outputs = Outputs.model_validate(values)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        problems = [f"stack {stack}: output {problem}; deploy it again with `pulumi up`" for problem in problems]
        raise ConfigError(*problems) from None
    if problems := list(_disagreements(outputs, settings)):
        raise ConfigError(*(f"{PROJECT}:{problem}; run `pulumi up`" for problem in problems))
    return outputs


def _disagreements(outputs: Outputs, settings: Settings) -> Iterator[str]:
    pairs: dict[str, tuple[Collection[str], Collection[str]]] = {
        "hosts": (settings.hosts, outputs.hosts),
        "clients": (settings.clients, outputs.clients),
    }
    for kind, (wanted, deployed) in pairs.items():
        yield from (f"{kind}.{name}: not deployed yet" for name in sorted({*wanted} - {*deployed}))
        yield from (f"{kind}.{name}: deployed, but no longer in the config" for name in sorted({*deployed} - {*wanted}))
    for name in sorted(settings.hosts.keys() & outputs.hosts.keys()):
        if set(settings.admitted(name)) != set(outputs.hosts[name].clients):
            yield f"hosts.{name}.clients: not deployed yet"
    if settings.served and not outputs.target:
        yield "target: not deployed yet"
    for name in settings.own_clients:
        client = outputs.clients.get(name)
        if client and not (client.namespace and client.secret and client.subject):
            yield f"clients.{name}: deployed without a cluster"
