"""What the command prints, and its exit status."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any, Iterable, Sequence, TextIO

from .. import InvalidInput, TrustError

TRUSTED = DONE = 0
REFUSED, USAGE, UNDECIDED = 1, 2, 3
# What a shell reports for a program that SIGPIPE ended.
BROKEN_PIPE = 141


def status(errors: Iterable[TrustError]) -> int:
    """No refusal hides behind another error, and none behind a trusted image."""
    found = {status_of(error) for error in errors}
    return next((status for status in (REFUSED, USAGE, UNDECIDED) if status in found), DONE)


def status_of(error: TrustError) -> int:
    if error.is_refusal:
        return REFUSED
    return USAGE if error.code < 10 else UNDECIDED


def fail(error: TrustError, as_json: bool, in_dockers_words: bool) -> int:
    """Tells the error that ended a command; its exit status."""
    if as_json:
        write_json(failure(error))
    else:
        say(words_of(error) if in_dockers_words else f"tagtrust: {error.message}")
    return status_of(error)


def failure(error: TrustError) -> dict[str, Any]:
    return {
        "error": type(error).__name__,
        "code": error.code,
        "message": error.message,
        "evidence": error.evidence,
    }


def words_of(error: TrustError) -> str:
    """Without what Docker does not say where a name or a file is wrong."""
    return error.reason if isinstance(error, InvalidInput) else error.message


def say(line: str) -> None:
    """One line on stderr. What a server says must not steer the terminal."""
    sys.stdout.flush()
    try:
        print(printable(line), file=sys.stderr, flush=True)
    except OSError:
        # The exit status says it still.
        discard(sys.stderr)


def tell(*lines: str) -> None:
    """Lines on stdout, as they happen."""
    write("".join(f"{printable(line)}\n" for line in lines))
    sys.stdout.flush()


def write(text: str) -> None:
    """Prints the same bytes whatever the locale and the system's line ends; to a terminal nothing that steers it."""
    if sys.stdout.isatty():
        text = "".join(c if c in "\n\t" else printable(c) for c in text)
    sys.stdout.buffer.write(text.encode(errors="surrogateescape"))


def write_json(value: Any) -> None:
    write(json.dumps(value, indent=4) + "\n")


def write_json_text(text: str) -> None:
    """It is the same JSON for a terminal: the escapes are JSON's own."""
    if sys.stdout.isatty():
        text = "".join(c if c in "\n\t" or c.isprintable() else json.dumps(c)[1:-1] for c in text)
    write(text + "\n")


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """As `notary` prints one: dashes below the titles, four spaces between columns, the last one not padded."""
    cells = [list(titles), ["-" * len(title) for title in titles], *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return ["    ".join([*map(str.ljust, row[:-1], widths), row[-1]]) for row in cells]


class LogLines(logging.Handler):
    """Such as: the server is out of reach, and the cache serves."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"warning: {record.getMessage()}")


def printable(line: str) -> str:
    """With escapes for what would steer a terminal, or begin another line."""
    # A lone surrogate stands for a byte of a file's name that is no text.
    return "".join(
        c if c.isprintable() or "\udc80" <= c <= "\udcff" else c.encode("unicode_escape").decode() for c in line
    )


def discard(stream: TextIO) -> None:
    """What is in there cannot be printed any more, and Python would complain when it flushes at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
