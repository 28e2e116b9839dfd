"""Which stacks a change concerns, in real git repositories."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import stacks
from pipeline.__main__ import main
from tests.unit.pipeline.repository import git

CLOUD = "config:\n  kyma-mtls:target: {context: target}\n  kyma-mtls:clients: {warehouse: {context: warehouse}}\n"
LOCAL = (
    "config:\n  kyma-mtls:target: {context: target}\n  kyma-mtls:clients: {client: {kubeconfig: .lab/client.yaml}}\n"
)
FILES = {
    "Pulumi.yaml": "name: kyma-mtls\n",
    "Pulumi.dev.yaml": LOCAL,
    "Pulumi.prod.yaml": CLOUD,
    "Pulumi.prod-eu.yaml": CLOUD,
    "Pulumi.stack.schema.json": "{}",
    "stacks.toml": '[not-deployed]\ndev = "on one machine"\n',
    "__main__.py": "",
    "settings/hosts.py": "",
    "README.md": "",
    "tests/unit/test_settings.py": "",
}

Commit = Callable[..., str]


@pytest.fixture
def commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commit:
    """Write files, None removing one, and commit them; return the revision from before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")

    def change(files: dict[str, str | None]) -> str:
        before = git("rev-parse", "HEAD")
        for name, text in files.items():
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink() if text is None else path.write_text(text)
        git("add", "--all")
        git("commit", "-m", "change")
        return before

    git("init", "-b", "main")
    git("commit", "--allow-empty", "-m", "begin")
    change(dict(FILES))
    return change


@pytest.mark.parametrize(
    ("path", "affected"),
    [
        ("Pulumi.prod.yaml", ["prod"]),
        ("Pulumi.prod-eu.yaml", ["prod-eu"]),
        ("Pulumi.new.yaml", ["new"]),
        ("Pulumi.dev.yaml", []),
        ("Pulumi.yaml", ["prod", "prod-eu"]),
        ("__main__.py", ["prod", "prod-eu"]),
        ("requirements.txt", ["prod", "prod-eu"]),
        *(
            (f"{name}/any.py", ["prod", "prod-eu"])
            for name in ("settings", "clusters", "components", "proxies", "deployment")
        ),
        ("outputs/models.py", ["prod", "prod-eu"]),
        ("policies/mtls_policies/egress.py", ["prod", "prod-eu"]),
        ("policies/config/prod.json", ["prod"]),
        *((path, []) for path in ("README.md", "tests/unit/test_x.py", "lab/node.py", "verification/tls.py")),
        *(
            (path, [])
            for path in ("pipeline/plan.py", "examples/caller/__main__.py", "requirements-dev.txt", "Makefile")
        ),
        ("examples/settings/hosts.py", []),
    ],
)
def test_change_affects_the_stack_of_its_file_or_all(commit: Commit, path: str, affected: list[str]) -> None:
    before = commit({path: (LOCAL if path == "Pulumi.dev.yaml" else CLOUD) + "# changed\n"})
    assert stacks.affected(before) == affected


def test_file_that_a_stack_names_affects_it(commit: Commit) -> None:
    commit({"Pulumi.prod.yaml": f"{CLOUD}  kyma-mtls:clients:\n    acme: {{certificateAuthority: file:ca/acme.pem}}\n"})
    assert stacks.affected(commit({"ca/acme.pem": "CA"})) == ["prod"]
    assert stacks.affected(commit({"ca/other.pem": "CA"})) == []


def test_removed_code_affects_all_stacks_and_removed_file_none(commit: Commit) -> None:
    assert stacks.affected(commit({"settings/hosts.py": None})) == ["prod", "prod-eu"]
    assert stacks.affected(commit({"Pulumi.prod.yaml": None})) == []


def test_stack_that_is_no_longer_listed_is_affected(commit: Commit) -> None:
    commit({"stacks.toml": '[not-deployed]\ndev = "on one machine"\nprod = "not yet"\n'})
    assert stacks.deployed() == ["prod-eu"]
    assert stacks.affected(commit({"stacks.toml": FILES["stacks.toml"]})) == ["prod"]
    assert stacks.affected(commit({"stacks.toml": FILES["stacks.toml"] + "# changed"})) == []


@pytest.mark.parametrize("revision", ["0" * 40, "nowhere", "-x"])
def test_missing_revision_affects_all_stacks(commit: Commit, revision: str) -> None:
    commit({"README.md": "more"})
    assert stacks.affected(revision) == ["prod", "prod-eu"]


def test_project_in_a_subfolder_finds_its_changes(commit: Commit, monkeypatch: pytest.MonkeyPatch) -> None:
    before = commit({"mesh/Pulumi.prod.yaml": CLOUD, "mesh/Pulumi.beta.yaml": CLOUD})
    changed = commit({"mesh/Pulumi.beta.yaml": f"{CLOUD}# changed\n"})
    monkeypatch.chdir("mesh")
    assert stacks.affected(before) == ["beta", "prod"]
    assert stacks.affected(changed) == ["beta"]


def test_listed_stack_is_left_out_with_its_reason(commit: Commit, capsys: pytest.CaptureFixture[str]) -> None:
    commit({"Pulumi.broken.yaml": "config: ["})
    Path("Pulumi.bytes.yaml").write_bytes(b"config: {a: \xff}")
    assert main(["stacks"]) == 0
    printed = capsys.readouterr()
    assert printed.out == '["broken", "bytes", "prod", "prod-eu"]\n', "the preview reports an invalid file"
    assert printed.err == "dev: not deployed by the pipeline: on one machine (stacks.toml)\n"
    assert stacks.affected("HEAD") == ["bytes"]


def test_kubeconfig_in_the_file_of_a_stack_fails_the_run_and_keeps_the_other_stacks(
    commit: Commit, capsys: pytest.CaptureFixture[str]
) -> None:
    before = commit({"Pulumi.prod.yaml": LOCAL})
    for arguments in ([], ["--since", before]):
        assert main(["stacks", *arguments]) == 1
        printed = capsys.readouterr()
        assert printed.out == ('["prod-eu"]\n' if not arguments else "[]\n")
        assert printed.err.splitlines()[1:] == [
            "Pulumi.prod.yaml: names kubeconfigs of one machine (.lab/client.yaml), so that the pipeline cannot deploy "
            "prod; name contexts instead, or list prod in stacks.toml"
        ]
    commit({"stacks.toml": FILES["stacks.toml"] + 'prod = "moved to one machine"\n'})
    assert main(["stacks"]) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"Pulumi.prod.yaml": None},
        {"Pulumi.prod.yaml": None, "Pulumi.production.yaml": CLOUD},
        {"Pulumi.prod.yaml": None, "Pulumi.prod.yml": CLOUD},
    ],
    ids=["deleted", "renamed", "with another ending"],
)
def test_file_that_is_gone_fails_every_later_run_until_the_stack_is_listed(
    commit: Commit, capsys: pytest.CaptureFixture[str], change: dict[str, str | None]
) -> None:
    before = commit(change)
    gone = git("rev-parse", "--short", "HEAD")
    later = commit({"README.md": "later"})
    for arguments in ([], ["--since", before], ["--since", later]):
        assert main(["stacks", *arguments]) == 1
        (line,) = capsys.readouterr().err.splitlines()[1:]
        assert line.startswith(f"Pulumi.prod.yaml: gone since commit {gone}, so that nothing deploys prod or renews ")
        assert line.endswith("`pulumi stack rename`, list prod in stacks.toml")
    commit({"stacks.toml": FILES["stacks.toml"] + 'prod = "destroyed"\n'})
    assert main(["stacks"]) == 0
    commit({"stacks.toml": FILES["stacks.toml"], "Pulumi.prod.yaml": CLOUD})
    assert main(["stacks"]) == 0, "the file is back"


def test_file_that_only_an_unmerged_branch_had_is_not_missed(commit: Commit) -> None:
    git("checkout", "-q", "-b", "feature")
    commit({"Pulumi.tried.yaml": CLOUD})
    commit({"Pulumi.tried.yaml": None})
    git("checkout", "-q", "main")
    commit({"README.md": "more"})
    git("merge", "-q", "--no-ff", "-m", "merge", "feature")
    assert stacks.dropped() == {}


def test_file_that_a_merge_deletes_is_missed(commit: Commit) -> None:
    git("checkout", "-q", "-b", "feature")
    commit({"Pulumi.prod.yaml": None})
    git("checkout", "-q", "main")
    commit({"README.md": "more"})
    git("merge", "-q", "--no-ff", "-m", "merge", "feature")
    assert [*stacks.dropped()] == ["prod"]


def test_shallow_clone_and_no_repository_are_refused(
    commit: Commit, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit({"README.md": "more"})
    git("clone", "-q", "--depth", "1", f"file://{tmp_path}", "clone")
    monkeypatch.chdir("clone")
    assert main(["stacks"]) == 2
    assert "the clone is shallow" in capsys.readouterr().err
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert main(["stacks"]) == 2
    assert capsys.readouterr().err == "`git rev-parse` fails: fatal: not a git repository: '/nowhere'\n"


def test_structure_in_a_json_text_is_read(commit: Commit) -> None:
    commit({"Pulumi.text.yaml": """config:\n  kyma-mtls:target: '{"kubeconfig": "t.yaml"}'\n"""})
    assert "text" not in stacks.deployed()


def test_one_stack_is_chosen_by_name(commit: Commit, capsys: pytest.CaptureFixture[str]) -> None:
    commit({"README.md": "more"})
    assert main(["stacks", "--only", "prod"]) == 0
    assert capsys.readouterr().out == '["prod"]\n'
    assert main(["stacks", "--only", "dev"]) == 2
    assert "dev: the pipeline does not deploy this stack; it deploys prod, prod-eu" in capsys.readouterr().err


def test_chosen_stack_is_deployed_beside_one_that_has_dropped_out(
    commit: Commit, capsys: pytest.CaptureFixture[str]
) -> None:
    commit({"Pulumi.prod.yaml": None})
    assert main(["stacks", "--only", "prod-eu"]) == 0
    assert capsys.readouterr().out == '["prod-eu"]\n'
    assert main(["stacks", "--only", "prod"]) == 2
    assert "\nPulumi.prod.yaml: gone since commit " in capsys.readouterr().err


def test_gitlab_runs_jobs_for_each_stack(commit: Commit, capsys: pytest.CaptureFixture[str]) -> None:
    before = commit({"README.md": "more"})
    assert main(["stacks", "--gitlab-jobs", "renew", "report"]) == 0
    matrix = [{"STACK": ["prod", "prod-eu"]}]
    assert json.loads(capsys.readouterr().out) == {
        job: {"extends": f".{job}", "parallel": {"matrix": matrix}} for job in ("renew", "report")
    }
    assert main(["stacks", "--since", before, "--gitlab-jobs", "deploy"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"no stack": {"script": ["true"]}}, "GitLab refuses a pipeline without a job"


def test_push_of_a_merge_queue_has_all_its_merges(commit: Commit) -> None:
    before = git("rev-parse", "HEAD")
    commit({"README.md": "one"})
    first = git("rev-parse", "HEAD")
    git("switch", "-q", "-c", "branch", before)
    commit({"__main__.py": "two"})
    git("switch", "-q", "main")
    git("merge", "-q", "--no-edit", "branch")
    merge = git("rev-parse", "HEAD")
    assert stacks.merges(before, merge) == [merge, first], "a commit of the merged branch is none of the push's"
    assert [stacks.merges(since, merge) for since in ("", "0" * 40, "-x", merge)] == [[merge]] * 4
