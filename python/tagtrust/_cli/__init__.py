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
from .output import BROKEN_PIPE, UNDECIDED, USAGE, LogLines, fail, say
from .settings import Commands, UsageError

MODULES = (reading, signing, repositories, keys, server)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    # A request does not return to Python before it ends. This way Ctrl-C works at once.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
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
        # Nothing can be printed any more, and Python would complain when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return BROKEN_PIPE
        say(f"tagtrust: {error}")
        return UNDECIDED


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
