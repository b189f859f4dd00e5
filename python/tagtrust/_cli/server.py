"""`server`: a trust server in the foreground."""

from __future__ import annotations

import argparse
import signal
from typing import Any

from .. import PasswordFile, Server, TrustError
from .files import read_text
from .output import DONE, say, tell
from .settings import Commands, UsageError, number, text

LISTEN = "127.0.0.1:4443"
SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def add_commands(commands: Commands) -> None:
    server = commands.serving(
        "server",
        _serve,
        "run a trust server",
        "Runs a trust server until Ctrl-C or SIGTERM. SIGHUP has it read certificates and\n"
        "users again. Says where it answers, once it does.",
    )
    server.add_argument("--config", metavar="FILE", help="configuration of notary-server to run with, and nothing else")
    server.add_argument("--listen", metavar="HOST:PORT", type=text, help=f"port 0 takes a free one (default: {LISTEN})")

    storage = server.add_argument_group("storage")
    storage.add_argument(
        "--storage",
        metavar="WHERE",
        type=text,
        help="memory (default; gone when it stops), sqlite:FILE, or postgres://USER:PASSWORD@HOST/DATABASE",
    )
    storage.add_argument(
        "--passphrase-file",
        metavar="FILE",
        help="what protects the server's own keys in the database (default for SQLite: one is made, in DATABASE.passphrase)",
    )
    storage.add_argument(
        "--keep-versions", metavar="N", type=number, help="of each role, besides those in use (default: all)"
    )
    storage.add_argument("--read-only", action="store_true", default=None, help="store nothing, only serve")

    tls = server.add_argument_group("TLS (default: plain HTTP)")
    tls.add_argument("--tls-self-signed", metavar="FILE", help="make a certificate, and write it to FILE for --ca-file")
    tls.add_argument("--tls-cert", metavar="FILE", help="PEM certificate, and those above it")
    tls.add_argument("--tls-key", metavar="FILE", help="PEM key of that certificate")
    tls.add_argument("--tls-client-ca", metavar="FILE", help="only clients with a certificate under these may come")

    access = server.add_argument_group("access")
    access.add_argument("--htpasswd", metavar="FILE", help="users and passwords, as `htpasswd -B` writes them")
    access.add_argument(
        "--anonymous-pull", action="store_true", default=None, help="with --htpasswd: anyone may read"
    )
    access.add_argument(
        "--gun-prefix",
        metavar="PREFIX/",
        dest="gun_prefixes",
        type=text,
        action="append",
        help="serve only repositories whose names start with this (repeat for more)",
    )
    access.add_argument("--access-log", metavar="FILE", help="append a line of JSON for each request")
    access.add_argument("--no-ui", dest="ui", action="store_false", default=None, help="without the page /ui/")


def _serve(options: argparse.Namespace) -> int:
    # The server's threads must have them blocked, too: else one of them would end the process.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    with _server(options) as server:
        tell(f"Trust server at {server.url}")
        if options.tls_self_signed is not None:
            _write_certificate(server, options.tls_self_signed)
            tell(f"Its certificate, for --ca-file: {options.tls_self_signed}")
        if options.config is None and options.storage in (None, "memory"):
            tell("Everything is in memory, and gone when it stops.")
        while signal.sigwait(SIGNALS) == signal.SIGHUP:
            _reload(server)
    return DONE


def _write_certificate(server: Server, path: str) -> None:
    try:
        server.client_options(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def _reload(server: Server) -> None:
    try:
        server.reload()
    except TrustError as error:
        say(f"tagtrust: {error.message}; what was read before still holds")


def _server(options: argparse.Namespace) -> Server:
    settings = _settings(options)
    if options.config is None:
        return Server(**{"listen": LISTEN, **settings})
    if settings:
        raise UsageError("--config goes with no other option: say all of it in the file")
    return Server.from_config(options.config)


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """What was given, as a `Server` takes it."""
    settings: dict[str, Any] = {
        name: getattr(options, name)
        for name in ("listen", "storage", "keep_versions", "read_only", "gun_prefixes", "access_log", "ui")
    }
    settings["tls"] = _tls(options)
    if options.passphrase_file is not None:
        settings["passphrase"] = read_text(options.passphrase_file).rstrip("\r\n")
    if options.htpasswd is not None:
        settings["auth"] = PasswordFile(options.htpasswd, anonymous_pull=bool(options.anonymous_pull))
    elif options.anonymous_pull:
        raise UsageError("--anonymous-pull goes with --htpasswd")
    return {name: value for name, value in settings.items() if value is not None}


def _tls(options: argparse.Namespace) -> Any:
    files = (options.tls_cert, options.tls_key, options.tls_client_ca)
    if options.tls_self_signed is not None:
        if any(files):
            raise UsageError("--tls-self-signed goes with none of --tls-cert, --tls-key and --tls-client-ca")
        return "self-signed"
    if not any(files):
        return None
    if options.tls_cert is None or options.tls_key is None:
        raise UsageError("--tls-cert and --tls-key go together")
    return files
