"""What a caller wants beyond Docker's rules: pins and policies. And who may use a server."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Mapping, Sequence


@dataclass(frozen=True)
class Pinning:
    """Which roots may be trusted. For a repository the first rule that applies decides:

    1. `certificates` under its exact name (`docker.io/library/alpine`),
    2. `certificates` under the longest name with a final `*` that fits,
    3. `ca` under the longest prefix of its name,
    4. trust on first use, if allowed.

    Where no rule applies, nothing is trusted.
    """

    #: IDs of the root keys that are admitted, by repository name.
    certificates: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: PEM file with the CA certificates that root certificates must chain to, by prefix.
    ca: Mapping[str, str | os.PathLike[str]] = field(default_factory=dict)
    #: Trust the root that the server shows first, and then its successors: whoever
    #: answers first can choose the keys. This is what Docker does.
    trust_on_first_use: bool = False


@dataclass(frozen=True)
class Rule:
    """Signers that must have signed the same digest for a tag.

    A signer `alice` is the delegation `targets/alice`, as `docker trust` makes it.
    """

    #: Full name of a repository (`docker.io/library/alpine`), or the start of one and `*`.
    repository: str
    #: Every one of these must have signed.
    all_of: Sequence[str] = ()
    #: At least `threshold` of these must have signed.
    any_of: Sequence[str] = ()
    #: How many of `any_of`.
    threshold: int = 1


@dataclass(frozen=True)
class Policy:
    """Which signatures count, and which more are wanted. All rules that fit a repository hold."""

    #: `"docker"`: `targets/releases` first, then `targets`, and no other delegation.
    #: `"notary"`: `targets` first, then all delegations, as `notary lookup` does.
    lookup: str = "docker"
    #: What must hold besides.
    rules: Sequence[Rule] = ()


@dataclass(frozen=True)
class TokenAuth:
    """Docker's token scheme: a `Server` takes the tokens that another server issues."""

    #: URL of the token server.
    realm: str
    #: Name of this service in the tokens.
    service: str
    #: Who issues the tokens.
    issuer: str
    #: PEM file with the certificates under which tokens are signed.
    root_certificates: str | os.PathLike[str]


@dataclass(frozen=True)
class PasswordFile:
    """Users and their passwords in a file, as `htpasswd -B` makes it, for a `Server`. All may do everything."""

    #: The file; read again when it changes.
    path: str | os.PathLike[str]
    #: What a client that asks for the password calls it.
    realm: str = "tagtrust"
    #: Whether anyone may read without a password.
    anonymous_pull: bool = False
