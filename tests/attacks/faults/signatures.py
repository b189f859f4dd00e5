"""Signatures: who signed, how often, and what the signature says of itself."""

import base64

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from attacks import tuf
from attacks.faults import EMPTY, GUN, RELEASES, ROOT_NOT_TRUSTED, TAMPERED, TRUSTED, each_role
from attacks.faults.reasons import BASE64

# A delegation without enough signatures is left out, as one that has expired;
# the tag is only in the one that Docker reads.
TOO_FEW = {"root": ROOT_NOT_TRUSTED, "releases": TAMPERED, "nightly": TRUSTED}

ORDER_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def stranger(role):
    """A key that nobody listed, of the kind that the role has."""
    return tuf.root_key("mallory", GUN) if role.name == "root" else tuf.key("mallory")


def resigned(change):
    """A hook that changes the first signature."""

    def hook(signatures, payload):
        first, *rest = signatures
        return [{**first, **change(first, payload)}, *rest]

    return hook


def each_signature(name, expect=TAMPERED, **options):
    """Registers a change of the role's first signature, for every role."""

    def register(change):
        @each_role(name, expect, roles=("root", "timestamp", "targets", RELEASES), cache=(EMPTY,), **options)
        def _(scene, role):
            role.on_signatures.append(resigned(change))

    return register


def numbers(signature):
    raw = base64.b64decode(signature["sig"])
    return int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")


@each_role("signed by a key that is not listed", **TOO_FEW)
def _(scene, role):
    role.signers = [stranger(role)]


@each_role("signed by a stranger under the key ID of the role", **TOO_FEW)
def _(scene, role):
    owner, other = role.signers[0], stranger(role)
    role.on_signatures.append(lambda _, payload: [{**other.sign(payload), "keyid": owner.id}])


@each_role("signed by a key of another role", **TOO_FEW)
def _(scene, role):
    role.signers = scene.repo["snapshot" if role.name == "timestamp" else "timestamp"].signers


@each_role("threshold 2, signed once", **TOO_FEW)
def _(scene, role):
    two_keys(scene, role)
    role.signers = role.signers[:1]


@each_role("threshold 2, one signature repeated", **TOO_FEW)
def _(scene, role):
    two_keys(scene, role)
    role.on_signatures.append(lambda signatures, _: signatures[:1] * 2)


@each_role("threshold 2, two signatures of one key", **TOO_FEW)
def _(scene, role):
    two_keys(scene, role)
    role.signers = role.signers[:1] * 2


@each_role("threshold 2, one key listed twice", **TOO_FEW)
def _(scene, role):
    two_keys(scene, role)
    declaration = scene.repo.declaration(role.name)
    declaration["keyids"] = declaration["keyids"][:1] * 2
    role.signers = role.signers[:1] * 2


@each_role("threshold 2, both signed, one signature bad", **TOO_FEW)
def _(scene, role):
    two_keys(scene, role)
    role.on_signatures.append(resigned(flipped))


@each_role("threshold 2, met", TRUSTED)
def _(scene, role):
    two_keys(scene, role)


@each_role("threshold 2, met, and a bad signature of each key before", TRUSTED)
def _(scene, role):
    two_keys(scene, role)
    role.on_signatures.append(lambda s, p: [{**one, **flipped(one, p)} for one in s] + s)


def two_keys(scene, role):
    """Gives the role a second key and threshold 2, in a new root where root says so."""
    if role.name in tuf.BASE_ROLES[1:]:
        scene.repo.next_root()
    second = tuf.root_key("second", GUN) if role.name == "root" else tuf.key("second")
    scene.repo.set_keys(role.name, [*role.signers, second], threshold=2)


@each_role("signatures empty", filled={"root": ROOT_NOT_TRUSTED})
def _(scene, role):
    role.on_signatures.append(lambda *_: [])


@each_role("signatures null", filled={"root": ROOT_NOT_TRUSTED})
def _(scene, role):
    role.on_signatures.append(lambda *_: None)


@each_role("signatures absent", filled={"root": ROOT_NOT_TRUSTED})
def _(scene, role):
    role.on_bytes.append(lambda data: data[: data.rindex(b',"signatures"')] + b"}")


@each_role("signatures an object")
def _(scene, role):
    role.on_signatures.append(lambda signatures, _: signatures[0])


def flipped(signature, _):
    raw = bytearray(base64.b64decode(signature["sig"]))
    raw[-1] ^= 1
    return {"sig": tuf.b64(raw)}


each_signature("signature changed", **TOO_FEW)(flipped)


@each_signature("signature over the payload of another version", **TOO_FEW)
def _(signature, payload):
    key = next(k for k in known_keys() if k.id == signature["keyid"])
    return key.sign(payload.replace(b'"version":', b'"version":1'))


@each_signature("signature empty", **TOO_FEW)
def _(signature, payload):
    return {"sig": ""}


@each_signature("signature cut short", **TOO_FEW)
def _(signature, payload):
    return {"sig": tuf.b64(base64.b64decode(signature["sig"])[:-1])}


@each_signature("signature with a byte more", **TOO_FEW)
def _(signature, payload):
    return {"sig": tuf.b64(base64.b64decode(signature["sig"]) + b"\0")}


@each_signature("signature of zeros", **TOO_FEW)
def _(signature, payload):
    return {"sig": tuf.b64(bytes(64))}


@each_signature("signature in DER", **TOO_FEW)
def _(signature, payload):
    return {"sig": tuf.b64(encode_dss_signature(*numbers(signature)))}


@each_signature("signature null", **TOO_FEW)
def _(signature, payload):
    return {"sig": None}


@each_signature("signature base64 without padding")
def _(signature, payload):
    return {"sig": signature["sig"].rstrip("=")}


@each_signature("signature not base64")
def _(signature, payload):
    return {"sig": "!" + signature["sig"][1:]}


@each_signature("signature base64 with line breaks", differs=BASE64)
def _(signature, payload):
    return {"sig": signature["sig"][:40] + "\r\n" + signature["sig"][40:]}


@each_signature("signature with the other value of s", TRUSTED)
def _(signature, payload):
    """Anyone can make it from a valid one; it signs the same bytes."""
    r, s = numbers(signature)
    return {"sig": tuf.b64(r.to_bytes(32, "big") + (ORDER_P256 - s).to_bytes(32, "big"))}


@each_signature("method unknown", **TOO_FEW)
def _(signature, payload):
    return {"method": "none"}


@each_signature("method absent", **TOO_FEW)
def _(signature, payload):
    return {"method": None}


@each_signature("method of another key type", **TOO_FEW)
def _(signature, payload):
    return {"method": "eddsa"}


@each_signature("method in upper case", TRUSTED)
def _(signature, payload):
    return {"method": "ECDSA"}


@each_signature("key ID in upper case", **TOO_FEW)
def _(signature, payload):
    return {"keyid": signature["keyid"].upper()}


@each_signature("key ID absent", **TOO_FEW)
def _(signature, payload):
    return {"keyid": None}


@each_role("a signature of a stranger and a bad one beside the good one", TRUSTED)
def _(scene, role):
    role.on_signatures.append(lambda s, p: [stranger(role).sign(p), {**s[0], **flipped(s[0], p)}, *s])


@each_role("a signature with odd members beside the good one", TRUSTED)
def _(scene, role):
    role.on_signatures.append(lambda s, p: [{"keyid": "", "method": "", "sig": "", "x": [1]}, *s])


def known_keys():
    names = ("targets", "snapshot", "timestamp", "alice", "nightly")
    return [tuf.root_key("root", GUN), *map(tuf.key, names)]
