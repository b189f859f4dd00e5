"""The command `tagtrust`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from typing import Any, Iterable, Sequence

from . import Client, Image, InvalidReference, NoTrustData, Pinning, Policy, Rule, TrustError, __version__
from ._tagtrust import inspections_to_json

TRUSTED, REFUSED, USAGE, UNDECIDED = 0, 1, 2, 3
# What a shell reports for a program that SIGPIPE ended.
BROKEN_PIPE = 141

EXIT_STATUS = """\
exit status:
  0  every image is trusted
  1  at least one is refused
  2  the command line, a setting or a reference is not valid
  3  could not be decided: server unreachable, not authorized, trust directory unusable

Of several images the first of 1, 2 and 3 that occurs counts. Without options
Docker's settings hold: its trust server for the registry or
$DOCKER_CONTENT_TRUST_SERVER, its credentials, its trust directory.
"""

IMAGE_FIELDS = ("repository", "tag", "tags", "digest", "size", "role", "signers", "fresh", "pinned_reference")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    # A request does not return to Python before it ends. This way Ctrl-C works at once.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    logging.getLogger("tagtrust").addHandler(_Warnings(logging.WARNING))
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(_client(options), options)
        sys.stdout.flush()
        return status
    except TrustError as error:
        _complain("tagtrust", error)
        return _status([error])
    except BrokenPipeError:
        # Nobody reads any more, and Python would complain when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def _verify(client: Client, options: argparse.Namespace) -> int:
    results = client.verify_many(options.references)
    answers = list(zip(options.references, results))
    if options.json:
        print(json.dumps([_answer(reference, result) for reference, result in answers], indent=4))
    else:
        for reference, result in answers:
            if isinstance(result, TrustError):
                _complain(reference, result)
            else:
                print(result.pinned_reference)
    return _status(result for result in results if isinstance(result, TrustError))


def _inspect(client: Client, options: argparse.Namespace) -> int:
    """Prints what `docker trust inspect` prints, in its order."""
    inspections, errors = [], []
    for number, reference in enumerate(options.references, start=1):
        try:
            inspection = client.inspect(reference)
        except TrustError as error:
            errors.append(error)
            if not isinstance(error, InvalidReference):
                _say(f"no signatures or cannot access {reference}")
            if not isinstance(error, NoTrustData):
                _complain(reference, error)
            if options.pretty:
                break
            continue
        inspections.append(inspection)
        if options.pretty:
            _write(inspection.to_pretty() + ("\n\n" if number < len(options.references) else ""))
    if not options.pretty:
        _write(inspections_to_json(inspections) + "\n")
    return _status(errors)


def _answer(reference: str, result: Image | TrustError) -> dict[str, Any]:
    if isinstance(result, TrustError):
        return {
            "reference": reference,
            "trusted": False,
            "error": type(result).__name__,
            "code": result.code,
            "message": result.message,
            "evidence": result.evidence,
        }
    fields = {name: getattr(result, name) for name in IMAGE_FIELDS}
    expires = result.expires.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"reference": reference, "trusted": True, **fields, "expires": expires}


def _status(errors: Iterable[TrustError]) -> int:
    """No refusal hides behind another error, and none behind a trusted image."""
    found = {_status_of(error) for error in errors}
    return next((status for status in (REFUSED, USAGE, UNDECIDED) if status in found), TRUSTED)


def _status_of(error: TrustError) -> int:
    if error.is_refusal:
        return REFUSED
    return USAGE if error.code < 10 else UNDECIDED


def _client(options: argparse.Namespace) -> Client:
    return Client(
        trust_dir=options.trust_dir,
        server=options.server,
        ca_file=options.ca_file,
        client_cert=options.client_cert,
        client_key=options.client_key,
        username=options.username,
        password=_password() if options.password_stdin else None,
        pinning=_pinning(options),
        policy=_policy(options),
        timeout=options.timeout,
        require_fresh=options.require_fresh,
        parallelism=options.parallelism,
        docker_config=options.docker_config,
        danger_plain_http=options.danger_plain_http,
    )


def _password() -> str:
    return sys.stdin.read().removesuffix("\n").removesuffix("\r")


def _pinning(options: argparse.Namespace) -> Pinning | None:
    first_use: bool | None = options.trust_on_first_use
    has_pins = bool(options.pin_certificate or options.pin_ca)
    if first_use is None and not has_pins:
        return None
    return Pinning(
        certificates=_grouped(options.pin_certificate),
        ca=dict(options.pin_ca),
        trust_on_first_use=bool(first_use),
    )


def _policy(options: argparse.Namespace) -> Policy:
    required = _grouped(getattr(options, "require_signer", []))
    rules = [Rule(repository, all_of=signers) for repository, signers in required.items()]
    return Policy(lookup=getattr(options, "lookup", "docker"), rules=rules)


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, value in pairs:
        groups.setdefault(name, []).append(value)
    return groups


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tagtrust",
        description="Docker Content Trust: which digest did the publisher sign for an image tag?",
    )
    parser.add_argument("--version", action="version", version=f"tagtrust {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Any, summary: str, description: str) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            help=summary,
            description=description,
            epilog=EXIT_STATUS,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.set_defaults(run=run)
        _add_settings(command)
        return command

    verify = command(
        "verify",
        _verify,
        "print the digest that was signed for each tag",
        "Prints repository@digest for each image that is trusted, in order, one on a line.\n"
        "Says on stderr why the others are not.",
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
        type=_pair,
        action="append",
        default=[],
        help="refuse what NAME has not signed, in this repository or in all that start with what stands before a *",
    )
    verify.add_argument("references", metavar="REF", type=_text, nargs="+", help="registry/repository:tag")

    inspect = command(
        "inspect",
        _inspect,
        "show signed tags, signers and keys",
        "Prints what `docker trust inspect` prints.",
    )
    inspect.add_argument("--pretty", action="store_true", help="print tables instead of JSON")
    inspect.add_argument("references", metavar="REPO[:TAG]", type=_text, nargs="+", help="registry/repository[:tag]")
    return parser


def _add_settings(command: argparse.ArgumentParser) -> None:
    server = command.add_argument_group("trust server")
    server.add_argument("--server", metavar="URL", type=_text, help="trust server to ask")
    server.add_argument("--ca-file", metavar="FILE", help="PEM file with the only CAs that may vouch for the server")
    server.add_argument("--client-cert", metavar="FILE", help="PEM certificate to show to the server")
    server.add_argument("--client-key", metavar="FILE", help="PEM key of that certificate")
    server.add_argument("--username", metavar="NAME", type=_text, help="user to log in as")
    server.add_argument("--password-stdin", action="store_true", help="read the user's password from stdin")
    server.add_argument(
        "--timeout", metavar="SECONDS", type=float, default=60.0, help="for each repository (default: %(default)s)"
    )
    server.add_argument(
        "--parallelism", metavar="N", type=_count, default=8, help="repositories at a time (default: %(default)s)"
    )
    server.add_argument(
        "--require-fresh", action="store_true", help="do not use cached trust data if the server cannot be asked"
    )
    server.add_argument(
        "--danger-plain-http", action="store_true", help="allow http:// to other machines, which anybody can read"
    )

    files = command.add_argument_group("directories")
    files.add_argument("--trust-dir", metavar="DIR", help="cached trust data (default: trust in Docker's directory)")
    files.add_argument("--docker-config", metavar="DIR", help="Docker's directory (default: $DOCKER_CONFIG or ~/.docker)")

    pins = command.add_argument_group("pins")
    pins.add_argument(
        "--pin-certificate",
        metavar="REPOSITORY=ID",
        type=_pair,
        action="append",
        default=[],
        help="admit only this root key (repeat for more), in this repository or in all before a *",
    )
    pins.add_argument(
        "--pin-ca",
        metavar="PREFIX=FILE",
        type=_pair,
        action="append",
        default=[],
        help="admit only roots certified by these CAs in all repositories that start with PREFIX",
    )
    pins.add_argument(
        "--trust-on-first-use",
        action=argparse.BooleanOptionalAction,
        help="trust the root that the server shows first, where nothing is pinned (default: only if no pins are given)",
    )


def _text(word: str) -> str:
    try:
        word.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("not UTF-8") from None
    return word


def _pair(word: str) -> tuple[str, str]:
    name, _, value = _text(word).partition("=")
    if not value:
        raise argparse.ArgumentTypeError(f"{word!r} is not NAME=VALUE")
    return name, value


def _count(word: str) -> int:
    if not (word.isdecimal() and 0 < int(word) <= 1024):
        raise argparse.ArgumentTypeError(f"{word!r} is not a number from 1 to 1024")
    return int(word)


def _complain(about: str, error: TrustError) -> None:
    _say(f"{about}: {error.message}")


class _Warnings(logging.Handler):
    """Such as: the server is out of reach, and the cache serves."""

    def emit(self, record: logging.LogRecord) -> None:
        _say(f"warning: {record.getMessage()}")


def _say(line: str) -> None:
    # What a server says must not steer the terminal.
    printable = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    print("".join(printable), file=sys.stderr)


def _write(text: str) -> None:
    """Prints the same bytes whatever the locale and the system's line ends."""
    sys.stdout.buffer.write(text.encode())
