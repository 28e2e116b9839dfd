"""The check of the pages: what it accepts, and the one line for each problem."""

import subprocess
from pathlib import Path

import pytest

from docs import check, page

MAKEFILE = ".venv: .venv/complete\n\nup down: .venv ## boot or end\n\nPYTHON := python3\n"
SHELL = "```shell\n{}\n```\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with a Makefile, a module and a page to link to."""
    files = {"Makefile": MAKEFILE, "lab/node.py": "", "docs/other.md": "# A `b`: c's\n\n## Twice\n\n## Twice\n"}
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def problems(repository: Path, text: str) -> list[str]:
    """Return the problems of a page with this text."""
    (repository / "page.md").write_text(text)
    return list(check.problems(repository))


@pytest.mark.parametrize(
    "text",
    [
        "[a](docs/other.md) [b](docs/other.md#a-b-cs) [c](docs/other.md#twice-1) [d](docs)",
        "[a](#b) <https://x.example> [c](https://x.example/y#z)\n\n# B",
        "![picture](Makefile)",
        SHELL.format(
            "make up down PYTHON=python3.12  # make coffee\nexec make .venv && cd ..\napt-get install make git"
        ),
        SHELL.format("python -m lab up --clients 3\n.venv/bin/python -m lab \\\n    logs client kubelet -f | head"),
        SHELL.format('environment="$(.venv/bin/python -m lab env)" && eval "$environment"\npython3 -m venv x/.venv'),
        SHELL.format("pulumi config set --path 'hosts.orders.methods[0]' GET\npulumi config rm --path clients.acme"),
        SHELL.format("cd examples/x\npulumi config set anything 1"),
        "`make up`, `make`, `python -m pipeline COMMAND --help`, `node.py`, `lab/*.py`, `lab/`, `lab/NAME.py`",
        "```python\nmake nothing\n```\n\n    make nothing",
        "`logistics/dispatcher`, `shop/orders`, `a/.venv/bin/pip`",
    ],
)
def test_pages_that_are_right_have_no_problems(repository: Path, text: str) -> None:
    assert problems(repository, text) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a\n[b](gone.md)", "page.md:2: there is no gone.md"),
        ("[b](docs/other.md#gone)", "page.md:1: there is no anchor docs/other.md#gone"),
        ("[b](docs/other.md#twice-2)", "page.md:1: there is no anchor docs/other.md#twice-2"),
        ("[b](#gone)", "page.md:1: there is no anchor #gone"),
        ("[b](Makefile#L1)", "page.md:1: there is no anchor Makefile#L1"),
        ("| a |\n|---|\n| b |\n| [c](gone.md) |", "page.md:4: there is no gone.md"),
        ("a\n`make coffee`", "page.md:2: make has no target coffee"),
        (SHELL.format("ls\nmake up coffee"), "page.md:3: make has no target coffee"),
        (SHELL.format("python -m laboratory up"), "page.md:2: there is no module laboratory"),
        (SHELL.format("python -m tests.gone"), "page.md:2: there is no module tests.gone"),
        (SHELL.format("python -m lab raise"), "page.md:2: python -m lab has no command raise"),
        (SHELL.format("python -m lab up --servers=3"), "page.md:2: python -m lab up has no option --servers=3"),
        ("`python -m verification --writable`", "page.md:1: python -m verification has no option --writable"),
        ("`python -m docs.check --fix`", "page.md:1: python -m docs.check has no option --fix"),
        (SHELL.format("pulumi config set --path hosts.a.colour x"), "page.md:2: the config has no key hosts.a.colour"),
        ("`lab/gone.py`", "page.md:1: there is no file lab/gone.py"),
        ("`gone.py`", "page.md:1: there is no file gone.py"),
        (SHELL.format("less ./x lab/gone/"), "page.md:2: there is no file lab/gone/"),
    ],
)
def test_each_problem_is_one_line(repository: Path, text: str, problem: str) -> None:
    assert problems(repository, text) == [problem]


def test_pages_that_git_ignores_are_not_checked(repository: Path) -> None:
    (repository / ".gitignore").write_text("page.md\n")
    assert problems(repository, "[b](gone.md)") == []


def test_outdated_table_is_named_with_its_first_line_that_differs(tmp_path: Path) -> None:
    table = tmp_path / "table.md"
    table.write_text("a\nb\nc\n")
    assert list(check.outdated({table: "a\nb\nc\n"}, tmp_path)) == []
    assert list(check.outdated({table: "a\nd\nc\n"}, tmp_path)) == ["table.md:2: outdated; run `make reference`"]
    assert list(check.outdated({table: "a\nb\nc\nd\n"}, tmp_path)) == ["table.md:4: outdated; run `make reference`"]


def test_problems_are_printed_and_fail(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("settings.reference.PROJECT_DIRECTORY", repository)
    monkeypatch.setattr("settings.reference.generated", dict)
    monkeypatch.setattr("outputs.reference.generated", dict)
    assert (check.main(), capsys.readouterr().out) == (0, "")
    (repository / "page.md").write_text("[b](gone.md)")
    assert (check.main(), capsys.readouterr().out) == (1, "page.md:1: there is no gone.md\n")


def test_anchors_are_those_of_github() -> None:
    text = "# The preview says …\n\n## What `pulumi up` does\n\n## A_b-c, d's [e](f)!\n\nSetext\n======\n"
    assert page.read(text).anchors == {"the-preview-says-", "what-pulumi-up-does", "a_b-c-ds-e", "setext"}


def test_readme_fits_on_a_few_screens() -> None:
    readme = Path(__file__).parents[3] / "README.md"
    assert len(readme.read_text().splitlines()) <= 200, "details belong into docs/"
