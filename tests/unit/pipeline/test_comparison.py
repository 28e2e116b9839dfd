"""A stack's file, compared with what is deployed."""

from pathlib import Path
from typing import Any

import pytest

from pipeline import comparison, connections
from pipeline.__main__ import main
from pipeline.stack_file import StackFile
from tests.unit.pipeline.fake_engine import Engine, Secret, update, values
from tests.unit.pipeline.stack_files import API, BASE, CA, CLIENTS, ORDERS, SECURE, text_of
from tests.unit.pki import issue

KEY, OTHER_KEY = Secret("key-one"), Secret("key-two")
CERTIFICATE = issue("client").pem


def hosts(key: Any, **orders: Any) -> dict[str, Any]:
    """Return an own host, and a partner's with a credential."""
    credentials = {"billing": {"certificate": CERTIFICATE, "key": key}}
    external = {"certificateAuthority": CA, "credentials": credentials}
    return {"orders": {**ORDERS, **orders}, "api": {**API, "external": external}}


def deployed(**config: Any) -> dict[str, Any]:
    """Return an update that deployed this config."""
    return update(config=values(**{**BASE, **config}))


def sentences(**config: Any) -> list[str]:
    """Return what the file of the stack with this config changes of what is deployed."""
    Path("Pulumi.prod.yaml").write_text(text_of(**{**BASE, **config}))
    compared = comparison.of("prod")
    assert isinstance(compared.before, StackFile), compared.before
    assert isinstance(compared.after, StackFile), compared.after
    return connections.sentences(compared.before, compared.after)


def test_last_update_that_succeeded_is_compared_and_not_a_failed_one(engine: Engine) -> None:
    both = {"orders": {**ORDERS, "clients": ["warehouse", "billing"]}}
    failed = update(result="failed", config=values(**{**BASE, "hosts": both}), startTime="2026-11-02T10:00:00.000Z")
    engine.updated(update("refresh"), failed, deployed(), deployed(hosts=both))
    assert sentences(hosts=both) == ["`orders` now admits `billing`."]
    assert comparison.of("prod").unfinished == "update of 2026-11-02T10:00:00.000Z"


def test_summary_after_a_failed_deployment_has_what_it_did_not_deploy(engine: Engine) -> None:
    both = {"orders": {**ORDERS, "clients": ["warehouse", "billing"]}}
    Path("Pulumi.prod.yaml").write_text(text_of(**{**BASE, "hosts": both}))
    engine.updated(update(result="failed", config=values(**{**BASE, "hosts": both})), deployed())
    assert main(["preview", "prod", "--plan", "plan.json", "--comment", "comment.md"]) == 0
    said = Path("comment.md").read_text()
    assert "No client gains or loses access." not in said
    assert "- `orders` now admits `billing`.\n" in said
    assert "The update of 2026-11-01T10:00:00.000Z did not deploy the whole stack: " in said


@pytest.mark.parametrize("option", ["target", "exclude"])
def test_update_of_a_part_is_no_deployment_of_the_stack(engine: Engine, option: str) -> None:
    engine.updated(update(environment={f"pulumi.flag.{option}": "set"}), deployed())
    assert sentences() == []
    assert comparison.of("prod").unfinished == "update of 2026-11-01T10:00:00.000Z"


@pytest.mark.parametrize(
    ("updates", "unfinished"),
    [
        ([], ""),
        ([update(result="failed", config=values(**BASE))], "update of 2026-11-01T10:00:00.000Z"),
        ([update("destroy"), deployed()], ""),
    ],
    ids=["none", "failed", "destroyed"],
)
def test_stack_of_which_nothing_is_deployed_is_new(engine: Engine, updates: list[Any], unfinished: str) -> None:
    engine.updated(*updates)
    compared = comparison.of("prod")
    assert (compared.before, compared.unfinished) == (None, unfinished)
    assert main(["preview", "prod", "--plan", "plan.json", "--comment", "comment.md"]) == 0
    assert "The stack is new." in Path("comment.md").read_text()


@pytest.mark.parametrize("option", ["target", "exclude", "exclude-protected"])
def test_destruction_of_a_part_leaves_what_was_deployed(engine: Engine, option: str) -> None:
    engine.updated(update("destroy", environment={f"pulumi.flag.{option}": "set"}), deployed())
    assert sentences() == []
    assert comparison.of("prod").unfinished.startswith("destroy of ")


def test_update_without_an_environment_is_compared(engine: Engine) -> None:
    engine.updated(update(config=values(**BASE), environment=None))
    assert sentences() == []


@pytest.mark.parametrize("listed", [{}, {"kind": "update"}, "update", {**update(), "environment": "set"}])
def test_history_of_a_different_form_is_told(engine: Engine, listed: Any) -> None:
    engine.updated(listed)
    assert str(comparison.of("prod").before).startswith("`pulumi stack history` printed something else")


def test_failed_destruction_leaves_what_was_deployed(engine: Engine) -> None:
    engine.updated(update("destroy", "failed"), deployed())
    assert sentences() == []
    assert comparison.of("prod").unfinished.startswith("destroy of ")


@pytest.mark.parametrize(("now", "said"), [(KEY, []), (OTHER_KEY, ["The secret `{key}` changes."])])
def test_secret_is_compared_by_its_value_and_not_by_its_ciphertext(
    engine: Engine, now: Secret, said: list[str]
) -> None:
    engine.updated(deployed(hosts=hosts(KEY), gatewayKey=KEY))
    engine.configured(**{**BASE, "hosts": hosts(now), "gatewayKey": KEY})
    path = "hosts.api.external.credentials.billing.key"
    assert sentences(hosts=hosts(SECURE), gatewayKey=SECURE) == [each.format(key=path) for each in said]


def test_value_beside_a_deployed_secret_is_not_shown(engine: Engine) -> None:
    """Expect no deployed value of a structure with a secret: the engine does not say which value it was."""
    service = {"namespace": "shop", "name": "orders", "port": 80}
    engine.updated(deployed(hosts=hosts(KEY, methods=["GET", "PUT"], service=service)))
    engine.configured(**{**BASE, "hosts": hosts(KEY)})
    assert sentences(hosts=hosts(SECURE, methods=["GET", "POST"], service={**service, "port": 81})) == [
        "`hosts.orders.methods` gains `POST` and loses 1 of its entries.",
        "`hosts.orders.service.port` is now `81`.",
    ]


def test_removed_credential_is_named_and_not_shown(engine: Engine) -> None:
    engine.updated(deployed(hosts=hosts(KEY)))
    engine.configured(**BASE)
    said = sentences(hosts={"orders": ORDERS, "api": API})
    path = "hosts.api.external.credentials.billing"
    assert said == [f"`{path}.certificate` is no longer set.", f"The secret `{path}.key` is removed."]


def test_other_keys_are_shown_beside_a_structure_with_a_secret(engine: Engine) -> None:
    engine.updated(deployed(hosts=hosts(KEY), validityDays="60"))
    engine.configured(**{**BASE, "hosts": hosts(KEY)})
    assert sentences(hosts=hosts(SECURE), validityDays="90") == ["`validityDays` changes from `60` to `90`."]


def test_deployed_config_that_is_not_valid_any_more_is_told_without_values(engine: Engine) -> None:
    engine.updated(deployed(hosts={"orders": {**ORDERS, "domain": "hunter2!"}}, unknown="hunter2"))
    compared = comparison.of("prod")
    assert compared.before == (
        "the deployed config is not valid any more: kyma-mtls:hosts.orders.domain, kyma-mtls:unknown"
    )
    assert main(["preview", "prod", "--plan", "plan.json", "--comment", "comment.md"]) == 0
    said = Path("comment.md").read_text()
    assert "What is deployed cannot be read, so everything below counts as new:" in said
    assert "- Client `billing` is new and may call no host.\n" in said


def test_secret_that_cannot_be_decrypted_is_told(engine: Engine) -> None:
    engine.updated(deployed(gatewayKey="ERROR_UNABLE_TO_DECRYPT"))
    assert comparison.of("prod").before == (
        "kyma-mtls:gatewayKey: the stack's secrets provider cannot decrypt what was deployed"
    )


def test_file_that_cannot_be_read_is_told(engine: Engine) -> None:
    Path("Pulumi.prod.yaml").write_text("config: [")
    assert comparison.of("prod").after == "not the YAML file of a stack"
    Path("Pulumi.prod.yaml").write_bytes(b"config: {a: \xff}")
    assert comparison.of("prod").after == "Pulumi.prod.yaml: not UTF-8"
    assert not engine.calls


def test_history_that_cannot_be_read_is_told_and_the_comment_is_written(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine.answer("preview", exit=255, errors=["no such bucket"])
    (tmp_path / "history.json").unlink()
    assert main(["preview", "prod", "--plan", "plan.json", "--comment", "comment.md"]) == 1
    assert "What is deployed cannot be read" in Path("comment.md").read_text()
    monkeypatch.setenv("PATH", "/nowhere")
    assert comparison.of("prod").before == "no `pulumi` on PATH"


def test_clients_of_the_file_are_those_of_the_engine(engine: Engine) -> None:
    engine.updated(deployed(clients=CLIENTS))
    assert sentences() == []
