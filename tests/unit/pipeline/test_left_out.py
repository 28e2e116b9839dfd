"""The list of stacks that the pipeline does not deploy."""

from pathlib import Path

import pytest

from pipeline import left_out, stacks
from settings import ConfigError

ROOT = Path(__file__).parents[3]


def test_stacks_have_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert left_out.stacks() == {}, "no file lists none"
    left_out.LIST.write_text('[not-deployed]\ndev = "on one machine"\n"a.b" = "destroyed"\noff = "destroyed"\n')
    assert left_out.stacks() == {"dev": "on one machine", "a.b": "destroyed", "off": "destroyed"}


@pytest.mark.parametrize(
    "text",
    [
        "[not-deployed]\ndev\n",
        "[not-deployed]\ndev = true\n",
        '[not-deployed]\ndev = ""\n',
        '[not-deployed]\na.b = "destroyed"\n',
        '[not-deployd]\ndev = "on one machine"\n',
        'not-deployed = ["dev"]\n',
        'dev = "on one machine"\n',
    ],
)
def test_other_content_is_refused_with_the_shape(text: str) -> None:
    with pytest.raises(ConfigError, match=r'^stacks.toml: [^\n]*write a line for each stack, STACK = "the reason"'):
        left_out.parse(text)


def test_text_in_another_encoding_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    left_out.LIST.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"^stacks.toml: not UTF-8$"):
        left_out.stacks()


def test_stacks_of_this_project_with_kubeconfigs_of_one_machine_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert "dev" in left_out.stacks()
    assert "dev" not in stacks.deployed()
