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
    DigestMismatch,
    Expired,
    InternalError,
    InvalidConfiguration,
    InvalidReference,
    NoTrustData,
    PolicyViolation,
    RolledBack,
    RootNotTrusted,
    StoreError,
    TagNotSigned,
    Tampered,
    TrustError,
    Unauthorized,
    Unreachable,
)
from ._settings import Pinning, Policy, Rule
from ._tagtrust import Client, Image, Inspection, SignedTag, Signer, __version__

__all__ = [
    "Client",
    "DigestMismatch",
    "Expired",
    "Image",
    "Inspection",
    "InternalError",
    "InvalidConfiguration",
    "InvalidReference",
    "NoTrustData",
    "Pinning",
    "Policy",
    "PolicyViolation",
    "RolledBack",
    "RootNotTrusted",
    "Rule",
    "SignedTag",
    "Signer",
    "StoreError",
    "TagNotSigned",
    "Tampered",
    "TrustError",
    "Unauthorized",
    "Unreachable",
    "__version__",
]
