"""One page of HTML that shows a JSON document of a verification: whole in itself, without scripts and requests."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from verification.evidence import layout, verdicts
from verification.evidence.verdicts import Document
from verification.report import as_json
from verification.runner import printable

SOON_DAYS = 30
"""For how many days before its end the page says of a certificate that it ends soon."""
_TEMPLATES = Path(__file__).parent / "templates"


def page(document: Document) -> str:
    """Return the page of a document that `--json` prints: of verdicts, or of the problems that prevent them."""
    checks = document.get("checks", [])
    style = (_TEMPLATES / "page.css").read_text()
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            document=document,
            checks=checks,
            style=style,
            style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
            headline=headline(document),
            digest=hashlib.sha256(f"{as_json(document)}\n".encode()).hexdigest(),
            pictures=layout.pictures(document),
            groups=verdicts.groups(checks),
            tally=verdicts.tally(checks),
            untried=verdicts.untried(checks),
            certificates=[_with_days(each, document["began"]) for each in document.get("certificates", ())],
            ways=_ways(document),
            scope=_scope(document),
        )
    )


def headline(document: Document) -> tuple[str, list[str]]:
    """Return the verdict on the whole run, and the sentences that say it."""
    if problems := document.get("problems"):
        return "error", ["The stack could not be verified.", *problems]
    totals, sentences = document["totals"], []
    if totals["failed"]:
        sentences.append(_counted(totals["failed"], "promise is broken.", "promises are broken."))
    if totals["error"]:
        sentences.append(_counted(totals["error"], "promise could not be judged.", "promises could not be judged."))
    if document["left"]:
        sentences.append("Objects of the verification are left in a cluster.")
    if document["ended"]:
        tried = f"{len(document['checks'])} of {document['promises']} promises were judged."
        sentences.append(f"The run was ended by {document['ended']}: {tried}")
    if not sentences and document["exitCode"]:
        unknown = "It is not known what a killed run left in a cluster."
        code = f"The verification ended with exit code {document['exitCode']}."
        sentences.append(unknown if document.get("notSought") else code)
    if sentences:
        return "failed" if totals["failed"] else "error", sentences
    kept = "Every promise that was tried is kept." if totals["passed"] else "No promise was tried."
    return "passed" if totals["passed"] else "skipped", [kept]


def _counted(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def _with_days(certificate: Mapping[str, str], began: str) -> dict[str, Any]:
    """Return a certificate with its whole days left at the begin of the run, and a word of warning."""
    days = (datetime.fromisoformat(certificate["ends"]) - datetime.fromisoformat(began)).days
    return {**certificate, "days": days, "note": "expired" if days < 0 else "ends soon" if days < SOON_DAYS else ""}


def _ways(document: Document) -> dict[str, dict[str, list[str]]]:
    """Return, for each host, the clients that it admits, by the verdict on their ways to it."""
    found = verdicts.Verdicts(document.get("checks", ()))
    by_host: dict[str, dict[str, list[str]]] = {
        name: {each: [] for each in verdicts.WORDS} for name in document.get("hosts", {})
    }
    for way in document.get("ways", ()):
        said = found.of(way["client"], way["host"]) or verdicts.Tally()
        by_host[way["host"]][said.verdict].append(way["client"])
    return {name: {each: clients for each, clients in said.items() if clients} for name, said in by_host.items()}


def _scope(document: Document) -> list[str]:
    """Say which promises of the stack were chosen."""
    options = document["options"]
    lines = [
        f"only promises about {kind}: {', '.join(options[kind])}" for kind in ("hosts", "clients") if options[kind]
    ]
    if options["only"]:
        lines.append(f"only promises with one of these texts: {', '.join(options['only'])}")
    if options["readOnly"]:
        lines.append("read-only: nothing was created in any cluster")
    chosen = lines or ["every promise of the stack"]
    return [*chosen, "strict: what was not tried counts as not judged"] if options.get("strict") else chosen


@cache
def _environment() -> Environment:
    """Return an environment that escapes every value, and fails for one that is missing."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.globals.update(words=verdicts.WORDS, geometry=layout)
    return environment


def _shown(value: Any) -> Any:
    """Return a value as the page shows it: without control characters, which could turn the text around it."""
    is_markup = hasattr(value, "__html__")  # what a macro returns
    return printable(value) if isinstance(value, str) and not is_markup else value
