"""`verify` and `inspect`."""

from __future__ import annotations

import argparse
import shutil
import sys
from typing import Any

from .. import Client, Image, InvalidReference, NoTrustData, TrustError
from .._tagtrust import inspections_to_json
from .output import failure, say, status, tell, write, write_json, write_json_text
from .settings import Commands, pair, text

IMAGE_FIELDS = ("repository", "tag", "tags", "digest", "size", "role", "signers", "fresh", "pinned_reference")


def add_commands(commands: Commands) -> None:
    verify = commands.reading(
        "verify",
        _verify,
        "print the digest that was signed for each tag",
        "Prints repository@digest for each image that is trusted, in order, one on a line.\n"
        "Says on stderr why the others are not.",
        trusted="every image is trusted",
        refused="at least one is refused",
    )
    verify.add_argument("--json", action="store_true", help="print an array with one object for each image instead")
    verify.add_argument(
        "--lookup",
        choices=("docker", "notary"),
        default="docker",
        help="which roles count: targets/releases and targets (docker), or targets and all delegations (notary)",
    )
    verify.add_argument(
        "--require-signer",
        metavar="REPOSITORY=NAME",
        type=pair,
        action="append",
        default=[],
        help="refuse what NAME has not signed, in this repository or in all that start with what stands before a *",
    )
    verify.add_argument("references", metavar="REF", type=text, nargs="+", help="registry/repository:tag")

    inspect = commands.reading(
        "inspect",
        _inspect,
        "show signed tags, signers and keys",
        "Prints what `docker trust inspect` prints, or draws the chain of trust.",
        trusted="the trust data of every repository is trusted; the tag may be unsigned all the same",
        refused="the trust data of at least one is refused, or there is none",
    )
    forms = inspect.add_mutually_exclusive_group()
    forms.add_argument("--pretty", action="store_true", help="print tables instead of JSON")
    forms.add_argument("--tree", action="store_true", help="draw the roles, when they expire, and their keys")
    inspect.add_argument("references", metavar="REPO[:TAG]", type=text, nargs="+", help="registry/repository[:tag]")


def _verify(client: Client, options: argparse.Namespace) -> int:
    results = client.verify_many(options.references)
    answers = list(zip(options.references, results))
    if options.json:
        write_json([_answer(reference, result) for reference, result in answers])
    else:
        for reference, result in answers:
            if isinstance(result, TrustError):
                say(f"{reference}: {result.message}")
            else:
                tell(result.pinned_reference)
    return status(result for result in results if isinstance(result, TrustError))


def _inspect(client: Client, options: argparse.Namespace) -> int:
    """Prints what `docker trust inspect` prints, in its order."""
    inspections, errors = [], []
    for number, reference in enumerate(options.references, start=1):
        try:
            inspection = client.inspect(reference)
        except TrustError as error:
            errors.append(error)
            if not isinstance(error, InvalidReference):
                say(f"no signatures or cannot access {reference}")
            if not isinstance(error, NoTrustData):
                say(f"{reference}: {error.message}")
            if options.pretty:
                break
            continue
        inspections.append(inspection)
        if options.pretty:
            write(inspection.to_pretty() + ("\n\n" if number < len(options.references) else ""))
        elif options.tree:
            write(inspection.to_tree(_width()) + ("\n" if number < len(options.references) else ""))
    if not options.pretty and not options.tree:
        write_json_text(inspections_to_json(inspections))
    return status(errors)


def _width() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _answer(reference: str, result: Image | TrustError) -> dict[str, Any]:
    if isinstance(result, TrustError):
        return {"reference": reference, "trusted": False, **failure(result)}
    fields = {name: getattr(result, name) for name in IMAGE_FIELDS}
    expires = result.expires.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"reference": reference, "trusted": True, **fields, "expires": expires}
