"""What came of publishing, in words and as JSON."""

from __future__ import annotations

import argparse
import json
from typing import Any

from .. import Publication, TrustError
from .output import DONE, failure, say, tell, write_json
from .settings import mode_of


def report(publication: Publication, options: argparse.Namespace, *done: str) -> int:
    """Of a command for one repository. `done`: what to say of it, if it is neither a dry run nor staged."""
    if options.json:
        write_json(fields(publication))
    else:
        describe(publication, options, *done)
    return DONE


def describe(publication: Publication, options: argparse.Namespace, *done: str) -> None:
    """`done` alone where Docker or Notary has words for it; else, and if nothing is published, the changes."""
    what = fields(publication)
    repository, changes = what["repository"], [f"  {change['description']}" for change in what["changes"]]
    files = [f"  {file['role']} version {file['version']}, until {file['expires']}" for file in what["files"]]
    mode = mode_of(options)
    if "stage" in mode:
        tell(f"Staged for {repository}:" if changes else f"Nothing to stage for {repository}", *changes)
    elif "dry_run" in mode:
        tell(f"Would change in {repository}:" if changes else f"Would change nothing in {repository}", *changes)
        if files:
            tell("Would sign:", *files)
    elif done:
        tell(*done)
    elif what["published"]:
        tell(f"Changed in {repository}:", *changes)
        tell("Signed:", *files)
    else:
        tell(f"Nothing to change in {repository}")
    for warning in what["warnings"]:
        say(f"warning: {warning}")


def report_proposal(options: argparse.Namespace, repository: str, file: str) -> int:
    if options.json:
        write_json({"repository": repository, "proposal": file})
    else:
        tell(f"Wrote the proposal for {repository} to {file}")
    return DONE


def outcome(repository: str, result: Publication | TrustError) -> dict[str, Any]:
    """As JSON, one of several."""
    if isinstance(result, TrustError):
        return {"repository": repository, "published": False, **failure(result)}
    return fields(result)


def fields(publication: Publication) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(publication.to_json())
    return found


def is_new(publication: Publication) -> bool:
    """Whether the repository was made with it."""
    what = fields(publication)
    return bool(what["published"]) and any(f["role"] == "root" and f["version"] == 1 for f in what["files"])
