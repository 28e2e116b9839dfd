"""Run the steps of the jobs in .github/ and .gitlab/: previews in pull requests, deployments, renewals."""

import argparse
import json
import re
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import comment, deployment, issue, kubeconfig, record, stacks, this_run
from pipeline.deployment import Refused
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

    Then fail if a stack has dropped out, unless one is chosen. With --gitlab-jobs, print a GitLab pipeline with these
    jobs for each of the stacks.
    """
    dropped = stacks.dropped()
    found = stacks.affected(options.since) if options.since else stacks.deployed()
    if options.only and options.only not in found:
        otherwise = f"{options.only}: the pipeline does not deploy this stack; it deploys {', '.join(found) or 'none'}"
        raise ConfigError(dropped.get(options.only, otherwise))
    chosen = [options.only] if options.only else found
    print(json.dumps(stacks.gitlab_pipeline(options.gitlab_jobs, chosen) if options.gitlab_jobs else chosen))
    if dropped and not options.only:
        raise Refused(*dropped.values())


def write_kubeconfig(_: argparse.Namespace) -> None:
    """Write the variable KUBECONFIG_CONTENT to a file for the next steps of the job."""
    kubeconfig.write()


def preview(options: argparse.Namespace) -> None:
    """Preview a stack, save the plan, and write the comment for reviewers."""
    done = deployment.preview(options.stack, options.plan, options.head or "")
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
    print(this_run.forge(options.login).put_comment(options.pull_request, marker, body))


def expect_previewed(options: argparse.Namespace) -> None:
    """Fail if a plan has operations that no comment on a merged pull request showed for its last commit."""
    stack = options.stack
    try:
        deployment.expect_previewed(stack, Plan.read(options.plan), _previewed(options))
    except Refused as error:
        raise Refused(str(error), this_run.by_hand()) from None


def _previewed(options: argparse.Namespace) -> frozenset[str]:
    """Return the digests of the operations that the comments on the pull requests of a push have."""
    forge, stack = this_run.forge(options.login), options.stack
    found = (forge.pull_request_of(each) for each in stacks.merges(options.since or "", options.commit))
    merged = list(dict.fromkeys(each for each in found if each))
    if not merged:
        raise Refused(f"no merged pull request has commit {options.commit}, so reviewers saw no preview of {stack}")
    if options.record:
        record.review(options.record, forge, merged)
    comments = ((each, forge.comment(each.number, comment.marker(stack))) for each in merged)
    seen = [comment.previewed(posted.body, each.head) for each, posted in comments if posted]
    if not (known := [each for each in seen if each is not None]):
        numbers = ", ".join(f"{each.number} at its last commit, {each.head}" for each in merged)
        raise Refused(f"no preview of {stack} succeeded in pull request {numbers}")
    return frozenset().union(*known)


def update(options: argparse.Namespace) -> None:
    """Deploy exactly the plan of a stack, and verify the stack, read-only."""
    with record.written(options.record, options.stack, options.plan):
        deployment.update(options.stack, options.plan, _reports(options))


def renew(options: argparse.Namespace) -> None:
    """Renew the certificates that end soon, and look for drift; deploy nothing if any other change is pending."""
    try:
        with record.written(options.record, options.stack, None):
            deployment.renew(options.stack, _reports(options))
    except (Refused, ConfigError) as error:
        _write(options.problems, f"{error}\n")
        raise
    _write(options.problems, "")


def put_issue(options: argparse.Namespace) -> None:
    """Report the problems of the stack's nightly run in its issue; close it if the run wrote that there are none."""
    problems = issue.problems_in(options.problems)
    print(issue.put(this_run.forge(options.login), issue.of_stack(options.stack), problems))


def watch(options: argparse.Namespace) -> None:
    """Report in an issue that no nightly run has succeeded for longer than a day; close it if one has."""
    print(issue.watch(this_run.forge(options.login), datetime.now(UTC)))


def _write(file: Path | None, text: str) -> None:
    if file:
        file.write_text(text)


def _reports(options: argparse.Namespace) -> list[str]:
    """Return the verification's arguments for its reports."""
    files = {"--junit": options.junit, "--html": options.html}
    return [word for name, file in files.items() if file for word in (name, str(file))]


_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


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
    "stacks": (list_stacks, "--since", "--only", "--gitlab-jobs"),
    "kubeconfig": (write_kubeconfig,),
    "preview": (
        preview,
        "stack",
        "--plan",
        "--head",
        "--comment",
    ),
    "comment": (put_comment, "file", "--pull-request", "--login"),
    "previewed": (expect_previewed, "stack", "--plan", "--commit", "--since", "--record", "--login"),
    "update": (update, "stack", "--plan", "--record", "--junit", "--html"),
    "renew": (renew, "stack", "--problems", "--record", "--junit", "--html"),
    "issue": (put_issue, "stack", "--problems", "--login"),
    "watch": (watch, "--login"),
}
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "stack": {"metavar": "STACK", "type": _stack, "help": "the name of a stack; its file is Pulumi.STACK.yaml"},
    "file": {"metavar": "FILE", "type": Path, "help": "a comment that preview --comment wrote"},
    "--since": {"metavar": "REVISION", "help": "only what differs from this revision"},
    "--only": {"metavar": "STACK", "help": "only this stack; fail if the pipeline does not deploy it"},
    "--gitlab-jobs": {
        "metavar": "NAME",
        "nargs": "+",
        "help": "print a GitLab pipeline with the job NAME for each stack, which extends the job .NAME",
    },
    "--head": {"metavar": "SHA", "type": _sha, "help": "the last commit of the pull request's branch"},
    "--plan": {"metavar": "FILE", "type": Path, "required": True, "help": "the file with the plan that preview saves"},
    "--comment": {"metavar": "FILE", "type": Path, "help": "write the comment to this file, as Markdown"},
    "--pull-request": {"metavar": "NUMBER", "type": int, "required": True, "help": "the pull request to comment on"},
    "--commit": {"metavar": "SHA", "required": True, "help": "the commit that was pushed"},
    "--record": {"metavar": "FILE", "type": Path, "help": "write what was deployed, who approved it, and how it ended"},
    "--junit": {"metavar": "FILE", "type": Path, "help": "also write the verdicts as JUnit XML to this file"},
    "--html": {"metavar": "FILE", "type": Path, "help": "also write the evidence of the verification as a page"},
    "--problems": {
        "metavar": "FILE",
        "type": Path,
        "help": "the file to which renew writes its problems, empty if there are none",
    },
    "--login": {
        "help": "the account whose comments and issues are trusted and edited (default: that of the job's token)",
    },
}


if __name__ == "__main__":
    sys.exit(main())
