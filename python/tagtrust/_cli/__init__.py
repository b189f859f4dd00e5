"""The command `tagtrust`."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from typing import Sequence

from .. import TrustError, __version__
from . import keys, reading, repositories, server, signing
from .output import BROKEN_PIPE, UNDECIDED, USAGE, LogLines, discard, fail, say
from .settings import Commands, UsageError

MODULES = (reading, signing, repositories, keys, server)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    # A request does not return to Python before it ends. This way Ctrl-C works at once.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if _is_stdout_closed():
        say("tagtrust: standard output is closed")
        return UNDECIDED
    logging.getLogger("tagtrust").addHandler(LogLines(logging.WARNING))
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except TrustError as error:
        in_dockers_words = getattr(options, "in_dockers_words", False)
        return fail(error, getattr(options, "publishes", False) and options.json, in_dockers_words)
    except UsageError as error:
        say(str(error))
        return USAGE
    except OSError as error:
        discard(sys.stdout)
        if isinstance(error, BrokenPipeError):
            return BROKEN_PIPE
        say(f"tagtrust: {error}")
        return UNDECIDED


def _is_stdout_closed() -> bool:
    """Streams that were closed lead nowhere from here on: else files that are opened would take their places."""
    closed = sys.stdout is None
    sys.stdin = sys.stdin or open(os.devnull)
    sys.stdout = sys.stdout or open(os.devnull, "w")
    sys.stderr = sys.stderr or open(os.devnull, "w")
    return closed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tagtrust",
        description="Docker Content Trust: which digest did the publisher sign for an image tag?",
    )
    parser.add_argument("--version", action="version", version=f"tagtrust {__version__}")
    commands = Commands(parser)
    for module in MODULES:
        module.add_commands(commands)
    return parser
