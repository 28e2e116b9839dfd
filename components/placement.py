"""Facts of a deployment that cannot change without an interruption, recorded in the stack's state."""

from collections.abc import Collection, Mapping

import pulumi


class Interruption(Exception):  # noqa: N818 - the engine shows the text alone
    """A change that would interrupt the deployment is not confirmed."""


class Placement(pulumi.ComponentResource):
    """Records facts by their keys; each object of the deployment depends on it.

    A fact whose value changes fails the preview, and `pulumi up`, with Interruption, unless `confirmed` has
    KEY=NEWVALUE. A fact that is new or gone is no change.
    """

    def __init__(self, name: str, facts: Mapping[str, pulumi.Input[str]], confirmed: Collection[str]) -> None:
        def check(args: pulumi.ResourceHookArgs) -> None:
            check_confirmed((args.old_inputs or {}).get("facts", {}), (args.new_inputs or {})["facts"], confirmed)

        hook = pulumi.ResourceHook(f"{name}-is-kept", check, pulumi.ResourceHookOptions(on_dry_run=True))
        options = pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_update=[hook]))
        super().__init__("kyma-mtls:index:Placement", name, {"facts": facts}, options)
        self.register_outputs({})

    def secret(self, value: str) -> pulumi.Output[str]:
        """Return the value as a secret that is known once the facts are recorded.

        An object with the value among its inputs comes after this component. `depends_on` does not help: it waits for
        the children of a component, and this one has none.
        """
        return self.urn.apply(lambda _: pulumi.Output.secret(value))


def check_confirmed(old: Mapping[str, object], new: Mapping[str, object], confirmed: Collection[str]) -> None:
    """Raise Interruption with a line for each change that is not confirmed, or that no confirmation allows."""
    changed = [key for key in new if key in old and old[key] != new[key]]
    refused = {}
    if "platform" in changed:
        refused["platform"] = (
            f"kyma-mtls:platform: cannot change from {old['platform']} to {new['platform']}: the old routes would "
            "conflict with the new ones; `pulumi destroy` first"
        )
    if old.get("gatewayTakeOver") == "true" and old.get("target") != new.get("target"):
        refused["target"] = (
            "kyma-mtls:target: cannot change or go while gatewayTakeOver is true: the stack must give the gateway back "
            "first; set gatewayTakeOver to false, `pulumi up`, and change the target then"
        )
    if "gatewayMode" in changed:
        changed.remove("gatewayMode")
        if "gatewayTakeOver" not in changed:  # with a take-over, the gateway serves by a new Secret
            refused["gatewayMode"] = (
                f"kyma-mtls:gatewayMode: cannot change from {old['gatewayMode']} to {new['gatewayMode']}: Gardener and "
                "the stack would write the same Secret; set gatewayMode to none, `pulumi up`, and set the new mode then"
            )
    unconfirmed = [key for key in changed if key not in refused and f"{key}={new[key]}" not in confirmed]
    places = enumerate(unconfirmed, start=len(confirmed))
    lines = [*refused.values(), *(_line(key, old[key], new[key], place) for place, key in places)]
    if lines:
        raise Interruption("\n".join(lines))


def _line(key: str, old: object, new: object, place: int) -> str:
    effect = "it is deleted and made anew"
    if key == "namespace" or (key.startswith("clients.") and key.count(".") == 1):  # Pulumi deletes before it creates
        effect += "; stop the callers first: once their routes are deleted, requests leave in plain HTTP"
    if key == "stack":
        effect = "each client gets another identity, and requests fail until all have the new certificates"
    return (
        f"kyma-mtls:{key}: changes from {old or 'a random one'} to {new or 'a random one'}, which interrupts what is "
        f"deployed: {effect}. To confirm: `pulumi config set --path 'confirm[{place}]' '{key}={new}'`"
    )
