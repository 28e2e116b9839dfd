"""The policies as policies of pulumi-policy."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    PolicyPack,
    PolicyResource,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from . import POLICIES
from .policy import STACK, UNKNOWN, Config, Resource, ResourcePolicy, StackPolicy

Report = Callable[..., None]


def serve() -> None:
    """Serve the policies to the engine until it ends this process; all are mandatory unless its config changes that."""
    PolicyPack("kyma-mtls", [_bound(policy) for policy in POLICIES], EnforcementLevel.MANDATORY)


def _bound(policy: ResourcePolicy | StackPolicy) -> ResourceValidationPolicy | StackValidationPolicy:
    schema = PolicyConfigSchema({name: dict(setting) for name, setting in policy.config.items()})
    if isinstance(policy, ResourcePolicy):
        validate = _resource_validation(policy)
        return ResourceValidationPolicy(policy.name, policy.requires, validate, config_schema=schema)
    return StackValidationPolicy(policy.name, policy.requires, _stack_validation(policy), config_schema=schema)


def _resource_validation(policy: ResourcePolicy) -> Callable[[ResourceValidationArgs, Report], None]:
    def validate(args: ResourceValidationArgs, report: Report) -> None:
        config = args.get_config()
        if args.resource_type == STACK:  # there is exactly one such resource
            for line in _unknown_settings(policy, config):
                report(line)
        for line in policy.judge(_resource(args), config):
            report(line)

    return validate


def _stack_validation(policy: StackPolicy) -> Callable[[StackValidationArgs, Report], None]:
    def validate(args: StackValidationArgs, report: Report) -> None:
        config = args.get_config()
        for line in _unknown_settings(policy, config):
            report(line)
        for urn, line in policy.judge([_resource(each) for each in args.resources], config):
            report(line, urn)

    return validate


def _unknown_settings(policy: ResourcePolicy | StackPolicy, config: Config) -> Iterator[str]:
    """Yield a problem for each unknown setting: the engine accepts it, and a limit would silently stay as it was."""
    for name in sorted(config.keys() - policy.config.keys()):
        yield f"config {name}: no such setting; there are {', '.join(policy.config) or 'none'}"


def _resource(given: ResourceValidationArgs | PolicyResource) -> Resource:
    provider = given.provider.urn if given.provider else ""
    return Resource(given.resource_type, given.urn, _plain(given.props), provider)


def _plain(value: Any) -> Any:
    """Copy properties, with UNKNOWN for values that are not known yet: the proxies of pulumi-policy raise for them."""
    if isinstance(value, Mapping):
        return {key: _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_item(value, index) for index in range(len(value))]
    return value


def _item(container: Any, key: str | int) -> Any:
    try:
        return _plain(container[key])
    except UnknownValueError:
        return UNKNOWN
