"""Docker Content Trust: which digest did the publisher sign for this image tag?

>>> import tagtrust
>>> client = tagtrust.Client()
>>> image = client.verify("registry.example/team/app:1.2")
>>> image.pinned_reference
'registry.example/team/app@sha256:...'
>>> client.verify("registry.example/team/app:unsigned")
Traceback (most recent call last):
tagtrust.TagNotSigned: no valid trust data for unsigned in registry.example/team/app: ...

`verify` returns an image that may be used, or raises a `TrustError`. Without
settings the client does what Docker does: it asks Docker's trust server for the
registry, with Docker's credentials, and shares Docker's trust directory.

`sign`, `revoke`, `add_signer` and the other methods that change something return a
`Publication`, or raise a `TrustError`. After an error nothing is published, except
perhaps after `Unreachable`: its message says if the upload may have been stored.
Private keys are those in Docker's trust directory, and a `CallbackSigner` for each
that signs elsewhere.

A `TrustedSet` verifies files that somebody else has fetched, without a request.

A `Server` is a trust server in this process: for tests, or for a small site.

No call holds the interpreter while it works or waits, so threads scale, and in
`asyncio` a thread is the place for one:

>>> import asyncio
>>> async def pinned(*references):
...     calls = (asyncio.to_thread(client.verify, reference) for reference in references)
...     return [image.pinned_reference for image in await asyncio.gather(*calls)]
>>> asyncio.run(pinned("registry.example/team/app:1.1", "registry.example/team/app:1.2"))
['registry.example/team/app@sha256:...', 'registry.example/team/app@sha256:...']

A client, a server, an edit and what calls back cannot be pickled; answers, settings
and exceptions can.

Log lines go to the logger `tagtrust`.
"""

from ._errors import (
    Conflict,
    DigestMismatch,
    Expired,
    InternalError,
    InvalidConfiguration,
    InvalidInput,
    InvalidReference,
    KeyNotFound,
    NoTrustData,
    PolicyViolation,
    RolledBack,
    RootNotTrusted,
    ServerRejected,
    StoreError,
    TagNotSigned,
    Tampered,
    TrustError,
    Unauthorized,
    Unreachable,
    WrongPassphrase,
)
from ._settings import PasswordFile, Pinning, Policy, Rule, TokenAuth
from ._tagtrust import (
    CallbackSigner,
    Change,
    Client,
    Delegation,
    Edit,
    Expiry,
    GeneratedKey,
    Image,
    InspectedKey,
    InspectedRole,
    Inspection,
    Key,
    Proposal,
    Publication,
    Server,
    SignedFile,
    SignedTag,
    Signer,
    TrustedSet,
    __version__,
)

__all__ = [
    "CallbackSigner",
    "Change",
    "Client",
    "Conflict",
    "Delegation",
    "DigestMismatch",
    "Edit",
    "Expired",
    "Expiry",
    "GeneratedKey",
    "Image",
    "InspectedKey",
    "InspectedRole",
    "Inspection",
    "InternalError",
    "InvalidConfiguration",
    "InvalidInput",
    "InvalidReference",
    "Key",
    "KeyNotFound",
    "NoTrustData",
    "PasswordFile",
    "Pinning",
    "Policy",
    "PolicyViolation",
    "Proposal",
    "Publication",
    "RolledBack",
    "RootNotTrusted",
    "Rule",
    "Server",
    "ServerRejected",
    "SignedFile",
    "SignedTag",
    "Signer",
    "StoreError",
    "TagNotSigned",
    "Tampered",
    "TokenAuth",
    "TrustError",
    "TrustedSet",
    "Unauthorized",
    "Unreachable",
    "WrongPassphrase",
    "__version__",
]
