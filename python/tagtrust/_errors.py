"""Why an image is not trusted, why that could not be decided, or why publishing failed.

One class for each thing that a caller would do differently. Names and numbers
are the core's, and a test holds them together.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, Mapping


class TrustError(Exception):
    """Do not use the image. Nothing is published, except perhaps after `Unreachable`.

    Every error of this package derives from this class. Python's own are raised for arguments
    of a wrong type or range, by a `Server` that is not running or cannot write a file, and for
    a callback that uses what calls it; what a callback raises is raised as it is.

    The names in `evidence` are attributes too: `error.gun`, `error.role`.

    >>> try:
    ...     client.verify("registry.example/team/app:unsigned")
    ... except tagtrust.TrustError as error:
    ...     print(type(error).__name__, error.code, error.is_refusal, error.evidence["name"])
    TagNotSigned 11 True unsigned
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
    """The image reference cannot be read.

    >>> client.verify("Registry/App")
    Traceback (most recent call last):
    tagtrust.InvalidReference: ...
    """

    code = 1
    reference: str
    reason: str


class InvalidConfiguration(TrustError):
    """A setting of the client cannot be used.

    >>> tagtrust.Client(timeout=-1)
    Traceback (most recent call last):
    tagtrust.InvalidConfiguration: ...timeout=-1...
    """

    code = 2
    what: str
    reason: str


class InvalidInput(TrustError):
    """A name, key, file or value that was given cannot be used.

    >>> client.generate_key("Not a name", directory)
    Traceback (most recent call last):
    tagtrust.InvalidInput: ...
    """

    code = 4
    what: str
    reason: str


class NoTrustData(TrustError):
    """The trust server has nothing for this repository.

    >>> client.verify("registry.example/team/unknown:1.0")
    Traceback (most recent call last):
    tagtrust.NoTrustData: ...registry.example/team/unknown...
    """

    code = 10
    gun: str
    server: str


class TagNotSigned(TrustError):
    """The repository is signed, this tag (or digest) in it is not.

    >>> client.verify("registry.example/team/app:unsigned")
    Traceback (most recent call last):
    tagtrust.TagNotSigned: ...
    """

    code = 11
    gun: str
    name: str
    reason: str


class DigestMismatch(TrustError):
    """The reference has a tag and a digest, and the publisher signed another digest.

    >>> client.verify("registry.example/team/app:1.2@sha256:" + "0" * 64)
    Traceback (most recent call last):
    tagtrust.DigestMismatch: ...
    """

    code = 12
    gun: str
    tag: str
    requested: str
    signed: str


class Expired(TrustError):
    """Trust data is past its expiry.

    >>> import time
    >>> late = tagtrust.Client(clock=lambda: time.time() + 30 * 24 * 3600)
    >>> late.verify("registry.example/team/app:1.2")
    Traceback (most recent call last):
    tagtrust.Expired: ...
    """

    code = 13
    gun: str
    role: str
    expired: str


class RolledBack(TrustError):
    """The server offers older trust data than was seen before.

    >>> older = files["root"]
    >>> publication = client.rotate_key("registry.example/team/app", "targets")
    >>> known = files["root"]
    >>> tagtrust.TrustedSet("registry.example/team/app", older, known_roots=[known])
    Traceback (most recent call last):
    tagtrust.RolledBack: ...
    """

    code = 14
    gun: str
    role: str
    known: int
    found: int


class Tampered(TrustError):
    """Trust data is not what its signers published.

    `fault` has a `kind`, such as `"threshold"`, and where there is more to say a `detail`.

    >>> trusted.add_timestamp(files["timestamp"].replace(b"Timestamp", b"Targets"))
    Traceback (most recent call last):
    tagtrust.Tampered: ...timestamp...
    """

    code = 15
    gun: str
    role: str
    fault: dict[str, Any]


class RootNotTrusted(TrustError):
    """A root does not match the pins, or does not follow from the known root.

    `fault` has a `kind`, such as `"pin_mismatch"`, and where there is more to say a `detail`.

    >>> tagtrust.Client(pinning=tagtrust.Pinning({"*": ["0" * 64]})).verify("registry.example/team/app:1.2")
    Traceback (most recent call last):
    tagtrust.RootNotTrusted: ...
    """

    code = 16
    gun: str
    fault: dict[str, Any]


class PolicyViolation(TrustError):
    """Correctly signed, but not by the signers that the policy wants.

    >>> release = tagtrust.Rule("*", all_of=["release"])
    >>> tagtrust.Client(policy=tagtrust.Policy(rules=[release])).verify("registry.example/team/app:1.2")
    Traceback (most recent call last):
    tagtrust.PolicyViolation: ...wants a signature of release...
    """

    code = 17
    gun: str
    tag: str
    reason: str


class Unreachable(TrustError):
    """The trust server, or its token server, gave no usable answer.

    If the answer to an upload was lost, the message says that it may have been stored.

    >>> tagtrust.Client(server="https://127.0.0.1:1", trust_dir=directory).verify("registry.example/team/app:1.2")
    Traceback (most recent call last):
    tagtrust.Unreachable: ...
    """

    code = 30
    url: str
    reason: str


class Unauthorized(TrustError):
    """The trust server wants other credentials.

    >>> (directory / "users").write_text("")
    0
    >>> closed = tagtrust.Server(auth=tagtrust.PasswordFile(directory / "users"))
    >>> with closed:
    ...     tagtrust.Client(server=closed.url, trust_dir=directory).verify("registry.example/team/app:1.2")
    Traceback (most recent call last):
    tagtrust.Unauthorized: ...
    """

    code = 31
    url: str
    reason: str


class StoreError(TrustError):
    """The trust directory cannot be read or written, or holds damaged files.

    >>> (directory / "file").write_text("")
    0
    >>> tagtrust.Client(trust_dir=directory / "file").verify("registry.example/team/app:1.2")
    Traceback (most recent call last):
    tagtrust.StoreError: ...
    """

    code = 32
    path: str
    reason: str


class KeyNotFound(TrustError):
    """No private key at hand may sign for a role.

    >>> reader = tagtrust.Client(trust_dir=directory)
    >>> reader.sign("registry.example/team/app:1.3", "sha256:" + "3" * 64, 1570)
    Traceback (most recent call last):
    tagtrust.KeyNotFound: ...
    """

    code = 40
    role: str
    key_ids: list[str]
    reason: str


class WrongPassphrase(TrustError):
    """A private key could not be decrypted, or a new one has no acceptable passphrase.

    >>> forgetful = tagtrust.Client(passphrase=lambda key_id, role, create, attempt: None)
    >>> forgetful.sign("registry.example/team/app:1.3", "sha256:" + "3" * 64, 1570)
    Traceback (most recent call last):
    tagtrust.WrongPassphrase: ...
    """

    code = 41
    key_id: str
    role: str
    reason: str


class Conflict(TrustError):
    """What was to be published contradicts what others have published meanwhile.

    So it does if the registry has another digest than the reference, and if others have come
    first 64 times.

    >>> part = client.sign_partial("registry.example/team/app:1.3", "sha256:" + "3" * 64, 1570)
    >>> publication = client.revoke("registry.example/team/app:1.1")
    >>> client.publish_proposals([part])
    Traceback (most recent call last):
    tagtrust.Conflict: ...
    """

    code = 42
    gun: str
    reason: str


class ServerRejected(TrustError):
    """The trust server refused an upload or another request to change something.

    >>> replica = tagtrust.Server(read_only=True)
    >>> with replica:
    ...     tagtrust.Client(server=replica.url).init("registry.example/team/tool")
    Traceback (most recent call last):
    tagtrust.ServerRejected: ...
    """

    code = 43
    url: str
    reason: str


class InternalError(TrustError):
    """A defect in this library. Nothing was trusted.

    >>> issubclass(tagtrust.InternalError, tagtrust.TrustError)
    True
    """

    code = 99
    reason: str


_CLASSES: dict[str, type[TrustError]] = {cls.__name__: cls for cls in TrustError.__subclasses__()}

for _cls in (TrustError, *_CLASSES.values()):
    # What users import, catch and see in tracebacks.
    _cls.__module__ = "tagtrust"


def from_core(name: str, message: str, evidence: str) -> TrustError:
    """The exception for an error of the core. `evidence` is JSON."""
    # Not needed before, and slow to import.
    import json

    return _CLASSES.get(name, TrustError)(message, json.loads(evidence))
