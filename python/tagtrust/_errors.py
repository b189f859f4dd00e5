"""Why an image is not trusted, why that could not be decided, or why something was not published.

One class for each thing that a caller would do differently. Names and numbers
are the core's, and a test holds them together.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, Mapping


class TrustError(Exception):
    """Do not use the image, and take nothing for published. Every error of this package derives from this class.

    The names in `evidence` are attributes too: `error.gun`, `error.role`.
    """

    #: The stable number that Rust and C share.
    code: ClassVar[int] = 99

    def __init__(self, message: str, evidence: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        #: What was expected and what was found, by name.
        self.evidence: dict[str, Any] = dict(evidence or {})
        self.__dict__.update(self.evidence)

    @property
    def message(self) -> str:
        """What happened, in one line."""
        return str(self)

    @property
    def is_refusal(self) -> bool:
        """True if the answer is "not trusted", false if there is no answer."""
        return 10 <= self.code < 30


class InvalidReference(TrustError):
    """The image reference cannot be read."""

    code = 1
    reference: str
    reason: str


class InvalidConfiguration(TrustError):
    """A setting of the client cannot be used."""

    code = 2
    what: str
    reason: str


class InvalidInput(TrustError):
    """A name, key, file or value that was given cannot be used."""

    code = 4
    what: str
    reason: str


class NoTrustData(TrustError):
    """The trust server has nothing for this repository."""

    code = 10
    gun: str
    server: str


class TagNotSigned(TrustError):
    """The repository is signed, this tag (or digest) in it is not."""

    code = 11
    gun: str
    name: str
    reason: str


class DigestMismatch(TrustError):
    """The reference has a tag and a digest, and the publisher signed another digest."""

    code = 12
    gun: str
    tag: str
    requested: str
    signed: str


class Expired(TrustError):
    """Trust data is past its expiry."""

    code = 13
    gun: str
    role: str
    expired: str


class RolledBack(TrustError):
    """The server offers older trust data than was seen before."""

    code = 14
    gun: str
    role: str
    known: int
    found: int


class Tampered(TrustError):
    """Trust data is not what its signers published.

    `fault` has a `kind`, such as `"threshold"`, and where there is more to say a `detail`.
    """

    code = 15
    gun: str
    role: str
    fault: dict[str, Any]


class RootNotTrusted(TrustError):
    """A root does not match the pins, or does not follow from the known root.

    `fault` has a `kind`, such as `"pin_mismatch"`, and where there is more to say a `detail`.
    """

    code = 16
    gun: str
    fault: dict[str, Any]


class PolicyViolation(TrustError):
    """Correctly signed, but not by the signers that the policy wants."""

    code = 17
    gun: str
    tag: str
    reason: str


class Unreachable(TrustError):
    """The trust server, or its token server, gave no usable answer."""

    code = 30
    url: str
    reason: str


class Unauthorized(TrustError):
    """The trust server wants other credentials."""

    code = 31
    url: str
    reason: str


class StoreError(TrustError):
    """The trust directory cannot be read or written, or holds damaged files."""

    code = 32
    path: str
    reason: str


class KeyNotFound(TrustError):
    """No private key at hand may sign for a role."""

    code = 40
    role: str
    key_ids: list[str]
    reason: str


class WrongPassphrase(TrustError):
    """A private key could not be decrypted, or a new one has no acceptable passphrase."""

    code = 41
    key_id: str
    role: str
    reason: str


class Conflict(TrustError):
    """What was to be published contradicts what others have published meanwhile."""

    code = 42
    gun: str
    reason: str


class ServerRejected(TrustError):
    """The trust server refused an upload or another request to change something."""

    code = 43
    url: str
    reason: str


class InternalError(TrustError):
    """A defect in this library. Nothing was trusted."""

    code = 99
    reason: str


_CLASSES: dict[str, type[TrustError]] = {cls.__name__: cls for cls in TrustError.__subclasses__()}

for _cls in (TrustError, *_CLASSES.values()):
    # What users import, catch and see in tracebacks.
    _cls.__module__ = "tagtrust"


def from_core(name: str, message: str, evidence: str) -> TrustError:
    """The exception for an error of the core. `evidence` is JSON."""
    return _CLASSES.get(name, TrustError)(message, json.loads(evidence))
