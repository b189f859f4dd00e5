"""What a caller wants beyond Docker's rules: pins and policies. And who may use a server."""

from __future__ import annotations

from ._values import FrozenDict, Settings, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Mapping, Sequence


class Pinning(Settings):
    """Which roots may be trusted. For a repository the first rule that applies decides:

    1. `certificates` under its exact name (`docker.io/library/alpine`),
    2. `certificates` under the longest name with a final `*` that fits,
    3. `ca` under the longest prefix of its name,
    4. trust on first use, if allowed.

    Where no rule applies, nothing is trusted.

    certificates: IDs of the root keys that are admitted, by repository name.
    ca: PEM file with the CA certificates that root certificates must chain to, by prefix.
    trust_on_first_use: trust the root that the server shows first, and then its
        successors: whoever answers first can choose the keys. This is what Docker does.

    >>> root = client.inspect("registry.example/team/app").administrative_keys[0]
    >>> pinned = tagtrust.Pinning({"registry.example/team/*": root.keys})
    >>> tagtrust.Client(pinning=pinned).verify("registry.example/team/app:1.2").tag
    '1.2'
    >>> tagtrust.Client(pinning=tagtrust.Pinning()).verify("registry.example/team/app:1.2")
    Traceback (most recent call last):
    tagtrust.RootNotTrusted: ...
    """

    __slots__ = ("certificates", "ca", "trust_on_first_use")

    certificates: Mapping[str, Sequence[str]]
    ca: Mapping[str, str | os.PathLike[str]]
    trust_on_first_use: bool

    def __init__(
        self,
        certificates: Mapping[str, Sequence[str]] = FrozenDict(),
        ca: Mapping[str, str | os.PathLike[str]] = FrozenDict(),
        trust_on_first_use: bool = False,
    ) -> None:
        pinned = FrozenDict((name, names(ids, "certificates")) for name, ids in dict(certificates).items())
        self._set(pinned, FrozenDict(ca), trust_on_first_use)


class Rule(Settings):
    """Signers that must have signed the same digest for a tag.

    A signer `alice` is the delegation `targets/alice`, as `docker trust` makes it.

    repository: full name of a repository (`docker.io/library/alpine`), or the start of one
        and `*`.
    all_of: every one of these must have signed.
    any_of: at least `threshold` of these must have signed.
    threshold: how many of `any_of`.

    >>> tagtrust.Rule("registry.example/team/*", all_of=["alice"], any_of=["bob", "carol"])
    Rule(repository='registry.example/team/*', all_of=('alice',), any_of=('bob', 'carol'), threshold=1)
    """

    __slots__ = ("repository", "all_of", "any_of", "threshold")

    repository: str
    all_of: Sequence[str]
    any_of: Sequence[str]
    threshold: int

    def __init__(
        self, repository: str, all_of: Sequence[str] = (), any_of: Sequence[str] = (), threshold: int = 1
    ) -> None:
        self._set(repository, names(all_of, "all_of"), names(any_of, "any_of"), threshold)


class Policy(Settings):
    """Which signatures count, and which more are wanted. All rules that fit a repository hold.

    lookup: `"docker"`: `targets/releases` first, then `targets`, and no other delegation;
        or `"notary"`: `targets` first, then all delegations, as `notary lookup` does.
    rules: a `Rule` for each thing that must hold besides.

    >>> both = tagtrust.Rule("registry.example/team/*", all_of=["alice", "bob"])
    >>> client = tagtrust.Client(policy=tagtrust.Policy(rules=[both]))
    >>> client.verify("registry.example/team/app:1.2").signers
    ('alice', 'bob')
    >>> client.verify("registry.example/team/app:1.1")
    Traceback (most recent call last):
    tagtrust.PolicyViolation: ...wants a signature of bob, found alice...
    """

    __slots__ = ("lookup", "rules")

    lookup: str
    rules: Sequence[Rule]

    def __init__(self, lookup: str = "docker", rules: Sequence[Rule] = ()) -> None:
        self._set(lookup, tuple(rules))


class TokenAuth(Settings):
    """Docker's token scheme: a `Server` takes the tokens that another server issues.

    realm: URL of the token server.
    service: name of this service in the tokens.
    issuer: who issues the tokens.
    root_certificates: PEM file with the certificates under which tokens are signed.

    >>> auth = tagtrust.TokenAuth("https://auth.example/token", "notary", "auth.example", "/etc/auth/ca.pem")
    >>> tagtrust.Server(auth=auth)
    Server(not running)
    """

    __slots__ = ("realm", "service", "issuer", "root_certificates")

    realm: str
    service: str
    issuer: str
    root_certificates: str | os.PathLike[str]

    def __init__(self, realm: str, service: str, issuer: str, root_certificates: str | os.PathLike[str]) -> None:
        self._set(realm, service, issuer, root_certificates)


class PasswordFile(Settings):
    """Users and their passwords in a file, as `htpasswd -B` makes it, for a `Server`. All may do everything.

    path: the file; read again when it changes.
    realm: what a client that asks for the password calls it.
    anonymous_pull: whether anyone may read without a password.

    >>> tagtrust.Server(auth=tagtrust.PasswordFile("/etc/tagtrust/users", anonymous_pull=True))
    Server(not running)
    """

    __slots__ = ("path", "realm", "anonymous_pull")

    path: str | os.PathLike[str]
    realm: str
    anonymous_pull: bool

    def __init__(
        self, path: str | os.PathLike[str], realm: str = "tagtrust", anonymous_pull: bool = False
    ) -> None:
        self._set(path, realm, anonymous_pull)


for _cls in (Pinning, Rule, Policy, TokenAuth, PasswordFile):
    # What users import, and see in pickles.
    _cls.__module__ = "tagtrust"
