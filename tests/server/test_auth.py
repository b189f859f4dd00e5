"""Token authentication: the same tokens, answered alike by both servers."""

import base64
import hashlib
import json
import re
import time

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from attacks import tuf
from lab.repositories import new_gun
from server.wire import multipart

REALM, SERVICE, ISSUER = "https://auth.example/token", "notary-svc", "auth.example"
INVALID, INSUFFICIENT = "invalid_token", "insufficient_scope"


class Issuer:
    """Who signs tokens; servers get its certificate in `bundle`."""

    def __init__(self, directory, kind="P-256", name="issuer"):
        self.certificate = tuf.certificate(name, name, kind, ca=True)
        self.private = tuf.private_key(name, kind)
        self.bundle = directory / f"{name}.pem"
        self.bundle.write_bytes(tuf.pem(self.certificate))

    @property
    def x5c(self):
        return [base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()]

    def token(self, *access, header=None, **claims) -> str:
        """`access`: (type, name, actions). A claim that is None is left out."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": SERVICE,
            "sub": "somebody",
            "exp": now + 300,
            "nbf": now - 10,
            "iat": now - 10,
            "jti": "one",
            "access": [{"type": kind, "name": name, "actions": actions.split(",")} for kind, name, actions in access],
        } | claims
        claims = {name: value for name, value in claims.items() if value is not None}
        algorithm = "RS256" if isinstance(self.private, rsa.RSAPrivateKey) else "ES256"
        header = {"typ": "JWT", "alg": algorithm} | ({"x5c": self.x5c} if header is None else header)
        message = f"{url64(json.dumps(header).encode())}.{url64(json.dumps(claims).encode())}"
        return f"{message}.{url64(self.sign(message.encode()))}"

    def sign(self, message) -> bytes:
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(message, padding.PKCS1v15(), hashes.SHA256())
        r, s = utils.decode_dss_signature(self.private.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def url64(data) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture(scope="session")
def issuer(tmp_path_factory):
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="session")
def guarded(program_for_session, issuer):
    """Each server, asking for tokens of the issuer."""
    return program_for_session(auth=token_auth(issuer))


def token_auth(issuer) -> dict:
    """The section of the configuration."""
    options = {"realm": REALM, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": str(issuer.bundle)}
    return {"type": "token", "options": options}


def ask(site, method, path, token=None, scheme="Bearer"):
    return site.wire.request(method, path, headers={"Authorization": f"{scheme} {token}"} if token else {})


def path(gun, name="root.json"):
    return f"/v2/{gun}/_trust/tuf/{name}"


def assert_challenge(answer, scope, error=None):
    """401, with a challenge for this scope ("type:name:actions", the actions in any order)."""
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED"), answer
    assert answer.error["message"] == "authentication required"
    challenge = answer.headers["www-authenticate"]
    rest = rf',error="{error}"' if error else ""
    parts = re.fullmatch(rf'Bearer realm="{REALM}",service="{SERVICE}",scope="([^"]+)"{rest}', challenge)
    assert parts, challenge
    kind, _, name_and_actions = parts[1].partition(":")
    name, _, actions = name_and_actions.rpartition(":")
    actions = set(actions.split(","))
    expected_kind, _, expected = scope.partition(":")
    expected_name, _, expected_actions = expected.rpartition(":")
    assert (kind, name, actions) == (expected_kind, expected_name, set(expected_actions.split(",")))
    detail = answer.error["detail"]
    assert {entry["Action"] for entry in detail} == actions and len(detail) == len(actions)
    assert all(entry == {"Type": kind, "Class": "", "Name": name, "Action": entry["Action"]} for entry in detail)


ROUTES = {
    "ping": ("GET", "/v2/", "registry:catalog:*"),
    "upload": ("POST", "/v2/{gun}/_trust/tuf/", "repository:{gun}:push,pull"),
    "current": ("GET", "/v2/{gun}/_trust/tuf/root.json", "repository:{gun}:pull"),
    "by version": ("GET", "/v2/{gun}/_trust/tuf/1.root.json", "repository:{gun}:pull"),
    "by hash": ("GET", "/v2/{gun}/_trust/tuf/root." + "0" * 64 + ".json", "repository:{gun}:pull"),
    "key": ("GET", "/v2/{gun}/_trust/tuf/snapshot.key", "repository:{gun}:push,pull"),
    "rotate": ("POST", "/v2/{gun}/_trust/tuf/timestamp.key", "repository:{gun}:*"),
    "delete": ("DELETE", "/v2/{gun}/_trust/tuf/", "repository:{gun}:*"),
    "feed": ("GET", "/v2/{gun}/_trust/changefeed", "repository:{gun}:pull"),
    "feed of all": ("GET", "/v2/_trust/changefeed", "registry:catalog:*"),
    "elsewhere": ("GET", "/elsewhere", "registry:catalog:*"),
}


@pytest.mark.parametrize("route", ROUTES)
def test_09_every_route_asks_for_its_own_access(guarded, route):
    gun = new_gun("guarded")
    method, address, scope = ROUTES[route]
    assert_challenge(ask(guarded, method, address.format(gun=gun)), scope.format(gun=gun))


@pytest.mark.parametrize("address", ["/_notary_server/health", "/metrics"])
def test_nobody_needs_a_token_for_health(guarded, address):
    assert ask(guarded, "GET", address).status == 200


def allowed(answer) -> bool:
    assert answer.status != 401 or answer.code == "UNAUTHORIZED"
    return answer.status != 401


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("actions", ["pull", "push", "push,pull", "pull,push", "*", "delete"])
def test_10_actions_that_are_enough(guarded, issuer, route, actions):
    gun = new_gun("guarded")
    method, address, scope = ROUTES[route]
    kind, _, needed = scope.partition(":")
    name = "catalog" if kind == "registry" else gun
    needed = set(needed.rpartition(":")[2].split(","))
    token = issuer.token((kind, name, actions))
    answer = ask(guarded, method, address.format(gun=gun), token)
    enough = actions == "*" or needed <= set(actions.split(","))
    assert allowed(answer) == enough, answer
    if not enough:
        assert_challenge(answer, scope.format(gun=gun), INSUFFICIENT)


def test_a_repository_with_tokens(guarded, issuer):
    """From the first key to the deletion."""
    gun = new_gun("guarded")
    token = issuer.token(("repository", gun, "push,pull"))
    headers = {"Authorization": f"Bearer {token}"}
    draft = tuf.Repository(gun)
    for role in ("timestamp", "snapshot"):
        key = ask(guarded, "GET", path(gun, f"{role}.key"), token).json
        draft.set_keys(role, [tuf.Key(key["keytype"], base64.b64decode(key["keyval"]["public"]), None, "eddsa")])
    body, more = multipart([(role, draft[role].sealed()) for role in ("root", "targets")])
    assert guarded.wire.request("POST", path(gun, ""), body, headers | more).status == 200
    assert ask(guarded, "GET", path(gun), token).body == draft["root"].sealed()
    for actions, method, name in [("push,pull", "DELETE", ""), ("push,pull", "POST", "timestamp.key")]:
        answer = ask(guarded, method, path(gun, name), issuer.token(("repository", gun, actions)))
        assert_challenge(answer, f"repository:{gun}:*", INSUFFICIENT)
    assert ask(guarded, "GET", path(gun), token).status == 200
    everything = issuer.token(("repository", gun, "*"))
    assert ask(guarded, "POST", path(gun, "timestamp.key"), everything).status == 200
    assert ask(guarded, "DELETE", path(gun, ""), everything).status == 200
    assert ask(guarded, "GET", path(gun), everything).status == 404


def test_11_tokens_for_something_else(guarded, issuer):
    gun = new_gun("guarded")
    for access in [
        ("repository", gun + "-other", "*"),
        ("repository", gun[:-1], "*"),
        ("repository", gun.rpartition("/")[0], "*"),
        ("repository", gun.partition("/")[2], "*"),
        ("repository", gun.upper(), "*"),
        ("repository", "*", "*"),
        ("registry", gun, "*"),
        ("registry", "catalog", "*"),
        ("Repository", gun, "*"),
    ]:
        answer = ask(guarded, "GET", path(gun), issuer.token(access))
        assert_challenge(answer, f"repository:{gun}:pull", INSUFFICIENT)
    assert_challenge(ask(guarded, "GET", path(gun), issuer.token()), f"repository:{gun}:pull", INSUFFICIENT)


def test_several_accesses_in_one_token(guarded, issuer):
    gun = new_gun("guarded")
    token = issuer.token(
        ("registry", "catalog", "*"),
        ("repository", gun, "pull"),
        ("repository", "other", "*"),
        ("repository", gun, "push"),
    )
    assert ask(guarded, "GET", path(gun, "snapshot.key"), token).status == 200
    assert ask(guarded, "GET", "/v2/", token).status == 200


def now():
    return int(time.time())


CLAIMS = {
    "as it should be": ({}, True),
    "another issuer": ({"iss": "someone.example"}, False),
    "no issuer": ({"iss": None}, False),
    "another service": ({"aud": "another"}, False),
    "no service": ({"aud": None}, False),
    "a list of services": ({"aud": [SERVICE]}, False),
    "expired an hour ago": ({"exp": lambda: now() - 3600}, False),
    "expired 70 seconds ago": ({"exp": lambda: now() - 70}, False),
    "expired 50 seconds ago": ({"exp": lambda: now() - 50}, True),
    "no expiry": ({"exp": None}, False),
    "valid in an hour": ({"nbf": lambda: now() + 3600}, False),
    "valid in 70 seconds": ({"nbf": lambda: now() + 70}, False),
    "valid in 50 seconds": ({"nbf": lambda: now() + 50}, True),
    "no beginning": ({"nbf": None}, True),
    "no id": ({"jti": None}, True),
    "no subject": ({"sub": None}, True),
    "no access": ({"access": None}, None),
    "access as text": ({"access": "all"}, False),
    "more that nobody knows": ({"x": {"y": [1]}}, True),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_of_a_token(guarded, issuer, name):
    gun = new_gun("guarded")
    claims, valid = CLAIMS[name]
    claims = {name: value() if callable(value) else value for name, value in claims.items()}
    answer = ask(guarded, "GET", path(gun), issuer.token(("repository", gun, "pull"), **claims))
    if valid:
        assert answer.status == 404
    else:
        assert_challenge(answer, f"repository:{gun}:pull", INVALID if valid is False else INSUFFICIENT)


def changed(token, part, change):
    """Part 0, 1 or 2 of a token, changed as bytes."""
    parts = token.split(".")
    data = base64.urlsafe_b64decode(parts[part] + "==")
    parts[part] = url64(change(data))
    return ".".join(parts)


FORGERIES = {
    "another byte in the signature": lambda token: changed(token, 2, lambda s: bytes([s[0] ^ 1]) + s[1:]),
    "no signature": lambda token: token.rpartition(".")[0] + ".",
    "two parts": lambda token: token.rpartition(".")[0],
    "more access": lambda token: changed(token, 1, lambda c: c.replace(b'"pull"', b'"*"')),
    "no algorithm": lambda token: changed(token, 0, lambda h: h.replace(b"ES256", b"none")),
    "an algorithm of passwords": lambda token: changed(token, 0, lambda h: h.replace(b"ES256", b"HS256")),
    "a signature in DER": lambda token: changed(token, 2, in_der),
    "a word": lambda token: "word",
    "dots": lambda token: "..",
}


def in_der(signature):
    return utils.encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_tokens(guarded, issuer, name):
    gun = new_gun("guarded")
    token = FORGERIES[name](issuer.token(("repository", gun, "pull")))
    assert_challenge(ask(guarded, "GET", path(gun), token), f"repository:{gun}:pull", INVALID)


def test_a_token_without_a_key(guarded, issuer):
    gun = new_gun("guarded")
    token = issuer.token(("repository", gun, "pull"), header={})
    assert_challenge(ask(guarded, "GET", path(gun), token), f"repository:{gun}:pull", INVALID)


def test_a_token_of_another_issuer_s_key(guarded, fresh_directory):
    gun = new_gun("guarded")
    stranger = Issuer(fresh_directory(), name="stranger")
    answer = ask(guarded, "GET", path(gun), stranger.token(("repository", gun, "pull")))
    assert_challenge(answer, f"repository:{gun}:pull", INVALID)


def test_the_certificate_of_the_issuer_with_another_s_signature(guarded, issuer, fresh_directory):
    gun = new_gun("guarded")
    stranger = Issuer(fresh_directory(), name="stranger")
    token = stranger.token(("repository", gun, "pull"), header={"x5c": issuer.x5c})
    assert_challenge(ask(guarded, "GET", path(gun), token), f"repository:{gun}:pull", INVALID)


def der(certificate):
    return base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()


@pytest.mark.parametrize(
    "options, valid",
    [
        ({}, True),
        ({"ends": tuf.NOW - tuf.DAY}, False),
        ({"begins": tuf.NOW + tuf.DAY}, False),
        ({"issuer": ("stranger", "stranger", "P-256")}, False),
    ],
    ids=["below the issuer", "expired", "not yet valid", "below a stranger"],
)
def test_keys_certified_by_the_issuer(guarded, issuer, options, valid):
    gun = new_gun("guarded")
    options = {"issuer": ("issuer", "issuer", "P-256")} | options
    below = tuf.certificate("below", "below", **options)
    signer = Issuer.__new__(Issuer)
    signer.private, signer.certificate = tuf.private_key("below"), below
    answer = ask(guarded, "GET", path(gun), signer.token(("repository", gun, "pull")))
    if valid:
        assert answer.status == 404
    else:
        assert_challenge(answer, f"repository:{gun}:pull", INVALID)


@pytest.mark.parametrize(
    "header, error",
    [
        (None, None),
        ("Basic dXNlcjpzZWNyZXQ=", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Token abc", None),
        ("Bearer three words here", None),
        ("Bearer abc", INVALID),
        ("bearer abc", INVALID),
        ("BEARER abc", INVALID),
    ],
)
def test_authorization_headers(guarded, header, error):
    gun = new_gun("guarded")
    answer = guarded.get(gun, "root.json", **({"Authorization": header} if header else {}))
    assert_challenge(answer, f"repository:{gun}:pull", error)


def test_the_scheme_is_written_in_any_case(guarded, issuer):
    gun = new_gun("guarded")
    token = issuer.token(("repository", gun, "pull"))
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert ask(guarded, "GET", path(gun), token, scheme).status == 404


def test_tokens_by_rsa(start, fresh_directory):
    issuer = Issuer(fresh_directory(), "rsa-2048", "issuer with RSA")
    site = start(auth=token_auth(issuer))
    gun = new_gun("guarded")
    token = issuer.token(("repository", gun, "pull"))
    assert ask(site, "GET", path(gun), token).status == 404
    forged = changed(token, 1, lambda claims: claims.replace(b'"pull"', b'"*"'))
    assert_challenge(ask(site, "GET", path(gun), forged), f"repository:{gun}:pull", INVALID)


def test_a_key_by_its_id(guarded, issuer):
    """The bundle's own keys need no chain: libtrust's key ID names one of them."""
    gun = new_gun("guarded")
    spki = issuer.certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    text = base64.b32encode(hashlib.sha256(spki).digest()[:30]).decode()
    key_id = ":".join(text[start : start + 4] for start in range(0, len(text), 4))
    token = issuer.token(("repository", gun, "pull"), header={"kid": key_id})
    assert ask(guarded, "GET", path(gun), token).status == 404


def test_prefixes_are_looked_at_before_tokens(start, issuer):
    site = start(auth=token_auth(issuer), repositories={"gun_prefixes": ["docker.io/"]})
    assert ask(site, "GET", path("elsewhere.example/app")).status == 404
    assert ask(site, "GET", path("docker.io/app")).status == 401


@pytest.mark.parametrize("option", ["realm", "service", "issuer", "rootcertbundle"])
def test_all_options_are_needed(start, issuer, option):
    auth = token_auth(issuer)
    del auth["options"][option]
    with pytest.raises(RuntimeError, match=option):
        start(auth=auth)


def test_other_types_are_no_authentication(start):
    """As notary-server has it; ours does not start with what it does not know."""
    try:
        site = start(auth={"type": "whatever", "options": {}})
    except RuntimeError as refused:
        assert "whatever" in str(refused)
    else:
        assert site.reference
        assert site.get(new_gun("open"), "root.json").status == 404


def test_the_resource_is_the_name_as_it_was_asked_for(guarded, issuer):
    """Of an encoded name, too."""
    gun = new_gun("guarded")
    encoded = gun.replace("/", "%2F", 1)
    assert_challenge(ask(guarded, "GET", path(encoded)), f"repository:{gun}:pull")
    assert ask(guarded, "GET", path(encoded), issuer.token(("repository", gun, "pull"))).status == 404
