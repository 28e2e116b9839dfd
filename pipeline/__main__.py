"""Run the steps of the workflows in .github/: previews in pull requests, deployments, renewals."""

import argparse
import json
import re
import signal
import sys
from pathlib import Path
from typing import Any

from pipeline import comment, deployment, kubeconfig, stacks
from pipeline.deployment import Refused
from pipeline.engine import PolicyPack
from pipeline.github import BOT, Repository
from pipeline.issue import close, report
from pipeline.plan import Plan
from pipeline.stack_file import NAME, path_of
from settings import ConfigError

_EXIT_CODES = """\
exit codes:
  0    success
  1    the engine, the verification or a rule of this command refuses; stderr says why
  2    invalid input: an argument, the environment, a file, or an answer of a server
  130  ended by Ctrl-C
"""


def list_stacks(options: argparse.Namespace) -> None:
    """Print, as JSON, the stacks that the pipeline deploys: all, those that a change affects, or one.

    Then fail if a stack has dropped out, unless one is chosen.
    """
    dropped = stacks.dropped()
    found = stacks.affected(options.since) if options.since else stacks.deployed()
    if options.only and options.only not in found:
        otherwise = f"{options.only}: the pipeline does not deploy this stack; it deploys {', '.join(found) or 'none'}"
        raise ConfigError(dropped.get(options.only, otherwise))
    print(json.dumps([options.only] if options.only else found))
    if dropped and not options.only:
        raise Refused(*dropped.values())


def write_kubeconfig(_: argparse.Namespace) -> None:
    """Write the variable KUBECONFIG_CONTENT to a file for the next steps of the job."""
    kubeconfig.write()


def preview(options: argparse.Namespace) -> None:
    """Preview a stack, save the plan, and write the comment for reviewers."""
    pack = PolicyPack(options.policy_pack, options.policy_pack_config) if options.policy_pack else None
    done = deployment.preview(options.stack, options.plan, options.head or "", pack)
    if options.comment:
        options.comment.write_text(comment.markdown(done))
    if not done.plan:
        raise Refused(*(done.run.errors or ["`pulumi preview` failed"]))


def put_comment(options: argparse.Namespace) -> None:
    """Create or edit a stack's comment on a pull request."""
    body = options.file.read_text()
    marker = body.partition("\n")[0]
    if not comment.is_marker(marker):
        raise ConfigError(f"{options.file}: not a comment that `preview` wrote")
    print(Repository.of_this_run(options.login).put_comment(options.pull_request, marker, body))


def expect_previewed(options: argparse.Namespace) -> None:
    """Fail if a plan has operations that the comment on the merged pull request did not show for its last commit."""
    repository, stack = Repository.of_this_run(options.login), options.stack
    merged = repository.pull_request_of(options.commit)
    if not merged:
        raise Refused(
            f"no merged pull request has commit {options.commit}, so reviewers saw no preview of {stack}", _BY_HAND
        )
    found = repository.comment(merged.number, comment.marker(stack))
    seen = comment.previewed(found["body"], merged.head) if found else None
    if seen is None:
        raise Refused(
            f"no preview of {stack} succeeded in pull request {merged.number} at its last commit, {merged.head}",
            _BY_HAND,
        )
    try:
        deployment.expect_previewed(stack, Plan.read(options.plan), seen)
    except Refused as error:
        raise Refused(str(error), _BY_HAND) from None


def update(options: argparse.Namespace) -> None:
    """Deploy exactly the plan of a stack, and verify the stack, read-only."""
    deployment.update(options.stack, options.plan, options.junit)


def renew(options: argparse.Namespace) -> None:
    """Renew the certificates that end soon, and verify the stack; deploy nothing if any other change is pending."""
    try:
        deployment.renew(options.stack, options.junit)
    except (Refused, ConfigError) as error:
        if options.problems:
            options.problems.write_text(f"{error}\n")
        raise


def put_issue(options: argparse.Namespace) -> None:
    """Open or edit the stack's issue about a failed renewal; with --solved, close it."""
    repository = Repository.of_this_run(options.login)
    print(close(repository, options.stack) if options.solved else report(repository, options.stack, options.problems))


_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BY_HAND = "to deploy the current plan, run the workflow Deploy by hand with `apply`"


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.function(options)
    except Refused as error:
        print(error, file=sys.stderr)
        return 1
    except (ConfigError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def _stack(name: str) -> str:
    path = path_of(name)
    if not NAME.fullmatch(path) or not Path(path).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {path} in this directory")
    return name


def _sha(text: str) -> str:
    if not _SHA.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the full SHA of a commit")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline",
        description=__doc__,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (function, *options) in _COMMANDS.items():
        added = commands.add_parser(name, help=function.__doc__, description=function.__doc__)
        added.set_defaults(function=function)
        for option in options:
            added.add_argument(option, **_ARGUMENTS[option])
    return parser


_COMMANDS: dict[str, tuple[Any, ...]] = {
    "stacks": (list_stacks, "--since", "--only"),
    "kubeconfig": (write_kubeconfig,),
    "preview": (
        preview,
        "stack",
        "--plan",
        "--head",
        "--comment",
        "--policy-pack",
        "--policy-pack-config",
    ),
    "comment": (put_comment, "file", "--pull-request", "--login"),
    "previewed": (expect_previewed, "stack", "--plan", "--commit", "--login"),
    "update": (update, "stack", "--plan", "--junit"),
    "renew": (renew, "stack", "--problems", "--junit"),
    "issue": (put_issue, "stack", "--problems", "--solved", "--login"),
}
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "stack": {"metavar": "STACK", "type": _stack, "help": "the name of a stack; its file is Pulumi.STACK.yaml"},
    "file": {"metavar": "FILE", "type": Path, "help": "a comment that preview --comment wrote"},
    "--since": {"metavar": "REVISION", "help": "only stacks whose file or program differs from this revision"},
    "--only": {"metavar": "STACK", "help": "only this stack; fail if the pipeline does not deploy it"},
    "--head": {"metavar": "SHA", "type": _sha, "help": "the last commit of the pull request's branch"},
    "--plan": {"metavar": "FILE", "type": Path, "required": True, "help": "the file with the plan that preview saves"},
    "--comment": {"metavar": "FILE", "type": Path, "help": "write the comment to this file, as Markdown"},
    "--policy-pack": {"metavar": "FILE", "type": Path, "help": "also judge the preview by this policy pack"},
    "--policy-pack-config": {"metavar": "FILE", "type": Path, "help": "the config of the policy pack, JSON"},
    "--pull-request": {"metavar": "NUMBER", "type": int, "required": True, "help": "the pull request to comment on"},
    "--commit": {"metavar": "SHA", "required": True, "help": "the commit that was pushed"},
    "--junit": {"metavar": "FILE", "type": Path, "help": "also write the verdicts as JUnit XML to this file"},
    "--problems": {"metavar": "FILE", "type": Path, "help": "the file to which renew writes its problems"},
    "--solved": {"action": "store_true", "help": "close the issue"},
    "--login": {
        "default": BOT,
        "help": "the account whose comments and issues are trusted and edited (default: %(default)s)",
    },
}


if __name__ == "__main__":
    sys.exit(main())
