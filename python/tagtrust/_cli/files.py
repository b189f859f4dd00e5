"""Files that are named on the command line."""

from __future__ import annotations

import os
import sys

from .settings import UsageError


def read_text(path: str) -> str:
    """`-` is stdin."""
    content = sys.stdin.buffer.read() if path == "-" else read(path)
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8") from None


def read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def write_new(path: str, content: bytes) -> None:
    """For this user's eyes. What is there already stays."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
