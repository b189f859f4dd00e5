"""Well-made repositories, common and odd: who refuses everything fails here."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from attacks import tuf
from attacks.faults import EMPTY, RELEASES, TAMPERED, TRUSTED, fault


def control(name, expect=TRUSTED, **options):
    return fault(f"control: {name}", expect, **{"roles": (), **options})


@control("the repository as it is")
def _(scene):
    pass


@control("the repository with a new root")
def _(scene):
    scene.repo.next_root()


# The forms of "nothing" that Notary writes


def each_nothing(name, role, change):
    @control(name)
    def _(scene):
        change(scene.repo[role].signed)


each_nothing("delegations null", RELEASES, lambda signed: signed.update(delegations=None))
each_nothing("delegations absent", RELEASES, lambda signed: signed.pop("delegations"))
each_nothing("delegations empty", RELEASES, lambda signed: signed.update(delegations={}))
each_nothing("delegated roles null", RELEASES, lambda signed: signed["delegations"].update(roles=None))
each_nothing("delegated keys null", RELEASES, lambda signed: signed.update(delegations={"keys": None, "roles": []}))
each_nothing("targets null", "targets", lambda signed: signed.update(targets=None))
each_nothing("targets absent", "targets", lambda signed: signed.pop("targets"))


# Key types and signature methods


def each_kind(name, make, method=None, expect=TRUSTED):
    """Registers targets and releases signed with such a key."""
    for role in ("targets", RELEASES):

        @control(f"{role} signed with {name}", expect, roles=role, cache=(EMPTY,))
        def _(scene, role=role):
            if role == "targets":
                scene.repo.next_root()
            key = make()
            scene.repo.set_keys(role, [key])
            if method:
                scene.repo[role].on_signatures.append(lambda _, payload: [method(key, payload)])


def signed_as(method):
    return lambda key, payload: key.sign(payload, method)


def rsa_signature(method, scheme, digest):
    """An RSA signature with other parameters than the method says."""
    return lambda key, payload: {
        "keyid": key.id,
        "method": method,
        "sig": tuf.b64(key.private.sign(payload, scheme, digest)),
    }


def ecdsa_signature(digest):
    def method(key, payload):
        r, s = tuf.utils.decode_dss_signature(key.private.sign(payload, ec.ECDSA(digest)))
        return {"keyid": key.id, "method": "ecdsa", "sig": tuf.b64(r.to_bytes(48, "big") + s.to_bytes(48, "big"))}

    return method


def pss(salt, digest=hashes.SHA256()):
    return padding.PSS(padding.MGF1(digest), salt)


SHA256, SHA512 = hashes.SHA256(), hashes.SHA512()

each_kind("ECDSA P-384", lambda: tuf.key("kind", "P-384"))
each_kind("ECDSA P-521", lambda: tuf.key("kind", "P-521"))
each_kind("Ed25519", lambda: tuf.key("kind", "ed25519"))
each_kind("RSA-PSS 2048", lambda: tuf.key("kind", "rsa-2048"))
each_kind("RSA-PSS 3072", lambda: tuf.key("kind", "rsa-3072"))
each_kind("RSA PKCS#1 v1.5", lambda: tuf.key("kind", "rsa-2048"), signed_as("rsapkcs1v15"))
each_kind("a P-256 certificate", lambda: tuf.root_key("kind", "anything"))
each_kind("an RSA certificate", lambda: tuf.root_key("kind", "anything", "rsa-2048"))
each_kind(
    "an expired CA certificate",
    lambda: tuf.certificate_key("kind", tuf.pem(tuf.certificate("kind", "x", ca=True, ends=tuf.NOW - tuf.DAY))),
)
each_kind(
    "two certificates, by the first key",
    lambda: tuf.certificate_key("kind", tuf.pem(tuf.certificate("kind", "x"), tuf.certificate("other", "y"))),
)
each_kind(
    "two certificates, by the second key",
    lambda: tuf.certificate_key("other", tuf.pem(tuf.certificate("kind", "x"), tuf.certificate("other", "y"))),
    expect=TAMPERED,
)
each_kind("RSA-PSS 1024", lambda: tuf.key("kind", "rsa-1024"), expect=TAMPERED)
each_kind(
    "RSA-PSS and a salt of 20", lambda: tuf.key("kind", "rsa-2048"), rsa_signature("rsapss", pss(20), SHA256), TAMPERED
)
each_kind("RSA-PSS and no salt", lambda: tuf.key("kind", "rsa-2048"), rsa_signature("rsapss", pss(0), SHA256), TAMPERED)
each_kind(
    "RSA-PSS and SHA-512",
    lambda: tuf.key("kind", "rsa-2048"),
    rsa_signature("rsapss", pss(32, SHA512), SHA512),
    TAMPERED,
)
each_kind(
    "RSA PKCS#1 v1.5 and SHA-512",
    lambda: tuf.key("kind", "rsa-2048"),
    rsa_signature("rsapkcs1v15", padding.PKCS1v15(), SHA512),
    TAMPERED,
)
each_kind(
    "RSA PKCS#1 v1.5, called PSS",
    lambda: tuf.key("kind", "rsa-2048"),
    rsa_signature("rsapss", padding.PKCS1v15(), SHA256),
    TAMPERED,
)
each_kind(
    "RSA-PSS, called PKCS#1 v1.5",
    lambda: tuf.key("kind", "rsa-2048"),
    rsa_signature("rsapkcs1v15", pss(32), SHA256),
    TAMPERED,
)
each_kind("ECDSA P-384 and SHA-384", lambda: tuf.key("kind", "P-384"), ecdsa_signature(hashes.SHA384()), TAMPERED)
each_kind(
    "an Ed25519 key of 31 bytes",
    lambda: tuf.Key("ed25519", b"\1" * 31, tuf.private_key("kind", "ed25519"), "eddsa"),
    expect=TAMPERED,
)
each_kind(
    "an Ed25519 key of small order",
    lambda: tuf.Key("ed25519", b"\1" + b"\0" * 31, tuf.private_key("kind", "ed25519"), "eddsa"),
    lambda key, payload: {"keyid": key.id, "method": "eddsa", "sig": tuf.b64(b"\1" + b"\0" * 63)},
)


# Size


@control("5,000 tags")
def _(scene):
    for number in range(5000):
        scene.repo[RELEASES].signed["targets"][f"tag-{number}"] = tuf.target(b"%d" % number)


@control("100 delegations")
def _(scene):
    for number in range(100):
        scene.repo.delegate(f"targets/signer-{number}", [tuf.key("alice")])


@control("delegations ten levels deep")
def _(scene):
    name = "targets"
    for level in range(10):
        name = f"{name}/l{level}"
        scene.repo.delegate(name, [tuf.key("alice")])


@control("ten signatures")
def _(scene):
    scene.repo.next_root()
    scene.repo.set_keys("targets", [tuf.key(f"targets {n}") for n in range(10)], threshold=10)
