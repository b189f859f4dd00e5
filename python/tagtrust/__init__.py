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
from ._settings import Pinning, Policy, Rule
from ._tagtrust import Client, Image, Inspection, SignedTag, Signer, __version__

__all__ = [
    "Client",
    "Conflict",
    "DigestMismatch",
    "Expired",
    "Image",
    "Inspection",
    "InternalError",
    "InvalidConfiguration",
    "InvalidInput",
    "InvalidReference",
    "KeyNotFound",
    "NoTrustData",
    "Pinning",
    "Policy",
    "PolicyViolation",
    "RolledBack",
    "RootNotTrusted",
    "Rule",
    "ServerRejected",
    "SignedTag",
    "Signer",
    "StoreError",
    "TagNotSigned",
    "Tampered",
    "TrustError",
    "Unauthorized",
    "Unreachable",
    "WrongPassphrase",
    "__version__",
]
