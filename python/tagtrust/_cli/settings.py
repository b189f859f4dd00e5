"""What commands have in common: their options, and the client that these make."""

from __future__ import annotations

import argparse
import datetime
import sys
from typing import Any, Callable, Iterable

from .. import Client, Pinning, Policy, Rule
from .terminal import Passphrases

READING_STATUS = """\
exit status:
  0  {trusted}
  1  {refused}
  2  the command line, a setting or a reference is not valid
  3  could not be decided: server unreachable, not authorized, trust directory unusable

Of several images the first of 1, 2 and 3 that occurs counts. Without options
Docker's settings hold: its trust server for the registry or
$DOCKER_CONTENT_TRUST_SERVER, its credentials, its trust directory.
"""

PUBLISHING_STATUS = """\
exit status:
  0  done; also if there was nothing to do, or a question was answered with no
  1  the repository's trust data is refused, or what was named is not in it
  2  the command line, a setting, a reference, a name or a file is not valid
  3  could not be done: server unreachable, not authorized, rejected by it,
     no key or passphrase, changed by somebody else, trust directory unusable

Of several repositories the first of 1, 2 and 3 that occurs counts. After an error
nothing is published, except perhaps if the server is unreachable: the message says
if the upload may have been stored. What was staged still is.

Passphrases come from $DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE (root keys) and
$DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE (all others), else from the terminal.
Without options Docker's settings hold: its trust server for the registry or
$DOCKER_CONTENT_TRUST_SERVER, its credentials, its trust directory.
"""

SERVING_STATUS = """\
exit status:
  0  stopped
  2  the command line, a setting or a file is not valid, or the address is taken
  3  the storage cannot be used

The database's password and keys are safest in files that only the server may
read: --config and --passphrase-file. More than these options: docs/server.md.
"""

# Settings of a client that options of the same name hold as it takes them.
PLAIN_SETTINGS = (
    "trust_dir",
    "docker_config",
    "server",
    "ca_file",
    "client_cert",
    "client_key",
    "username",
    "timeout",
    "require_fresh",
    "parallelism",
    "danger_plain_http",
)

Run = Callable[[Client, argparse.Namespace], int]
# What a command does with its options.
Serve = Callable[[argparse.Namespace], int]


class UsageError(Exception):
    """The command line cannot be carried out."""


class Commands:
    """The commands of a parser."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def group(self, name: str, summary: str) -> Commands:
        """Commands of two words."""
        return Commands(self._commands.add_parser(name, help=summary, description=summary, allow_abbrev=False))

    def reading(
        self, name: str, run: Run, summary: str, description: str, trusted: str, refused: str
    ) -> argparse.ArgumentParser:
        """A command that asks the server, and whose answer is a trusted one. The last two say what 0 and 1 mean."""
        epilog = READING_STATUS.format(trusted=trusted, refused=refused)
        command = self._add(name, _with_client(run), summary, description, epilog)
        _add_server(command)
        reading = command.add_argument_group("answers")
        reading.add_argument(
            "--parallelism", metavar="N", type=_count, default=8, help="repositories at a time (default: %(default)s)"
        )
        reading.add_argument(
            "--require-fresh", action="store_true", help="do not use cached trust data if the server cannot be asked"
        )
        _add_directories(command)
        _add_pins(command)
        return command

    def publishing(self, name: str, run: Run, summary: str, description: str) -> argparse.ArgumentParser:
        """A command that changes a repository, or looks at one for whoever does."""
        command = self.offline(name, run, summary, description)
        command.set_defaults(publishes=True)
        _add_server(command)
        command.add_argument("--json", action="store_true", help="print what was done, and errors, as JSON")
        command.add_argument(
            "--expiry",
            metavar="ROLE=DAYS",
            type=_role_days,
            action="append",
            default=[],
            help="how long what is signed for a role is valid (repeat for more roles)",
        )
        _add_pins(command)
        return command

    def offline(self, name: str, run: Run, summary: str, description: str) -> argparse.ArgumentParser:
        """A command that needs no more than the trust directory."""
        command = self._add(name, _with_client(run), summary, description, PUBLISHING_STATUS)
        command.set_defaults(passphrases=Passphrases())
        _add_directories(command)
        return command

    def serving(self, name: str, run: Serve, summary: str, description: str) -> argparse.ArgumentParser:
        """A command that is no client."""
        return self._add(name, run, summary, description, SERVING_STATUS)

    def _add(self, name: str, run: Serve, summary: str, description: str, epilog: str) -> argparse.ArgumentParser:
        command = self._commands.add_parser(
            name,
            help=summary,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.set_defaults(run=run)
        return command


def add_modes(command: argparse.ArgumentParser, can_stage: bool = False) -> argparse._MutuallyExclusiveGroup:
    """What a command can do instead of publishing."""
    modes = command.add_mutually_exclusive_group()
    modes.add_argument("--dry-run", action="store_true", help="only say what would change; needs no passphrase")
    if can_stage:
        modes.add_argument(
            "--stage", action="store_true", help="keep it for `tagtrust publish` or `notary publish` instead"
        )
    return modes


def mode_of(options: argparse.Namespace) -> dict[str, bool]:
    """As a client's methods take it."""
    return {name: True for name in ("dry_run", "stage") if getattr(options, name, False)}


def _with_client(run: Run) -> Serve:
    return lambda options: run(_client_for(options), options)


def _client_for(options: argparse.Namespace) -> Client:
    given = vars(options)
    settings: dict[str, Any] = {name: given[name] for name in PLAIN_SETTINGS if name in given}
    if given.get("password_stdin"):
        settings["password"] = line_from_stdin()
    if "pin_ca" in given:
        settings["pinning"] = _pinning(options)
    if "lookup" in given:
        settings["policy"] = _policy(options)
    if "passphrases" in given:
        settings["passphrase"] = options.passphrases
    if given.get("expiry"):
        settings["expiry"] = dict(options.expiry)
    return Client(**settings)


def line_from_stdin() -> str:
    """A secret: it is nowhere on the command line."""
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
    required = _grouped(options.require_signer)
    rules = [Rule(repository, all_of=signers) for repository, signers in required.items()]
    return Policy(lookup=options.lookup, rules=rules)


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, value in pairs:
        groups.setdefault(name, []).append(value)
    return groups


def _add_server(command: argparse.ArgumentParser) -> None:
    server = command.add_argument_group("trust server")
    server.add_argument("--server", metavar="URL", type=text, help="trust server to ask")
    server.add_argument("--ca-file", metavar="FILE", help="PEM file with the only CAs that may vouch for the server")
    server.add_argument("--client-cert", metavar="FILE", help="PEM certificate to show to the server")
    server.add_argument("--client-key", metavar="FILE", help="PEM key of that certificate")
    server.add_argument("--username", metavar="NAME", type=text, help="user to log in as")
    server.add_argument("--password-stdin", action="store_true", help="read the user's password from stdin")
    server.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=60.0,
        help="for the requests of each repository; when publishing, for each exchange (default: %(default)s)",
    )
    server.add_argument(
        "--danger-plain-http", action="store_true", help="allow http:// to other machines, which anybody can read"
    )


def _add_directories(command: argparse.ArgumentParser) -> None:
    files = command.add_argument_group("directories")
    files.add_argument(
        "--trust-dir", metavar="DIR", help="trust data and private keys (default: trust in Docker's directory)"
    )
    files.add_argument(
        "--docker-config", metavar="DIR", help="Docker's directory (default: $DOCKER_CONFIG or ~/.docker)"
    )


def _add_pins(command: argparse.ArgumentParser) -> None:
    pins = command.add_argument_group("pins")
    pins.add_argument(
        "--pin-certificate",
        metavar="REPOSITORY=ID",
        type=pair,
        action="append",
        default=[],
        help="admit only this root key (repeat for more), in this repository or in all before a *",
    )
    pins.add_argument(
        "--pin-ca",
        metavar="PREFIX=FILE",
        type=pair,
        action="append",
        default=[],
        help="admit only roots certified by these CAs in all repositories that start with PREFIX",
    )
    pins.add_argument(
        "--trust-on-first-use",
        action=argparse.BooleanOptionalAction,
        help="trust the root that the server shows first, where nothing is pinned (default: only if no pins are given)",
    )


# Types of arguments


def text(word: str) -> str:
    try:
        word.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("not UTF-8") from None
    return word


def texts(word: str) -> list[str]:
    """Separated by commas, as `notary` takes them."""
    return text(word).split(",")


def pair(word: str) -> tuple[str, str]:
    name, _, value = text(word).partition("=")
    if not value:
        raise argparse.ArgumentTypeError(f"{word!r} is not NAME=VALUE")
    return name, value


def days(word: str) -> datetime.timedelta:
    if not (word.isdecimal() and word.isascii() and int(word) <= 36500):
        raise argparse.ArgumentTypeError(f"{word!r} is not a number of days from 0 to 36500")
    return datetime.timedelta(days=int(word))


def number(word: str) -> int:
    if not (word.isdecimal() and word.isascii()):
        raise argparse.ArgumentTypeError(f"{word!r} is not a number")
    return int(word)


def _role_days(word: str) -> tuple[str, datetime.timedelta]:
    role, value = pair(word)
    if not (lifetime := days(value)):
        raise argparse.ArgumentTypeError(f"{word!r} would have expired already")
    return role, lifetime


def _count(word: str) -> int:
    if not (word.isdecimal() and 0 < int(word) <= 1024):
        raise argparse.ArgumentTypeError(f"{word!r} is not a number from 1 to 1024")
    return int(word)
