"""Root certificates and the structure of root.

With a filled cache each of these is a rotation that the known root key signed too.
"""

import copy
import functools
import re

from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from attacks import tuf
from attacks.faults import FILLED, GUN, ROOT_NOT_TRUSTED, TAMPERED, TRUSTED, fault
from attacks.faults.reasons import PINS
from attacks.tuf import DAY, NOW, certificate, certificate_key, pem

CA = ("authority", "Test Authority", "P-256")


def each_root_key(name, expect=ROOT_NOT_TRUSTED, **options):
    """Registers a repository whose new root key is what the function makes."""

    def register(make):
        @fault(f"root key: {name}", expect, roles="root", **options)
        def _(scene):
            scene.repo.rotate_root([make()])

    return register


def each_certificate(name, expect=ROOT_NOT_TRUSTED, common_name=GUN, **options):
    """Registers a repository whose new root certificate was made with these options."""

    @each_root_key(f"certificate {name}", expect)
    def _():
        kind = options.get("kind", "P-256")
        return certificate_key("next root", pem(certificate("next root", common_name, **options)), kind)


def each_text(name, expect=ROOT_NOT_TRUSTED):
    """Registers a repository whose root key has this text instead of its certificate's PEM."""

    def register(change):
        @each_root_key(name, expect)
        def _():
            return certificate_key("next root", change(pem(leaf())))

    return register


def leaf(**options):
    return certificate("next root", GUN, **options)


@functools.cache
def authority(**options):
    return certificate(*CA, ca=True, **options)


each_certificate("as Notary makes it", TRUSTED)
each_certificate("of another repository", common_name="registry.example/team/other")
each_certificate("of the parent's name", common_name="registry.example/team")
each_certificate("of a longer name", common_name=GUN + "2")
each_certificate("of the name in upper case", common_name=GUN.upper())
each_certificate("of the name with a NUL behind", common_name=GUN + "\0")
each_certificate("of the name after a space", common_name=" " + GUN)
each_certificate("for all names of the team", TRUSTED, common_name="registry.example/team/*")
each_certificate("for all names with a prefix", TRUSTED, common_name="registry.example/team/ap*")
each_certificate("for all names with two stars", TRUSTED, common_name="registry.example/**")
each_certificate("for the name and more", TRUSTED, common_name=GUN + "*")
each_certificate("for all names", TRUSTED, common_name="*")
each_certificate("with a star within the name", common_name="registry.*/team/app")
each_certificate("with a star at the start of the name", common_name="*/team/app")
each_certificate("for all names of another team", common_name="registry.example/crew/*")
each_certificate("that is a CA", ca=True)
each_certificate("expired", begins=NOW - 30 * DAY, ends=NOW - DAY)
each_certificate("valid from the day after tomorrow", begins=NOW + 2 * DAY)
each_certificate("valid from tonight", TRUSTED, begins=NOW + DAY / 2)
each_certificate("for server authentication", TRUSTED, purpose=ExtendedKeyUsageOID.SERVER_AUTH)
each_certificate("without a purpose", TRUSTED, purpose=None)
each_certificate("signed with SHA-384", TRUSTED, digest=hashes.SHA384())
each_certificate("on P-384", TRUSTED, kind="P-384")
each_certificate("on P-521", TRUSTED, kind="P-521")
each_certificate("with RSA 2048", TRUSTED, kind="rsa-2048")
each_certificate("with RSA 1024", kind="rsa-1024")
each_certificate("with Ed25519", kind="ed25519", digest=None)
each_certificate("of a CA that is not there", TRUSTED, issuer=CA)


@each_root_key("certificate signed with SHA-1")
def _():
    """The name of the algorithm is changed by hand: Notary looks at no more."""
    der = leaf().public_bytes(tuf.serialization.Encoding.DER)
    ecdsa_with_sha256, ecdsa_with_sha1 = (
        b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02",
        b"\x06\x07\x2a\x86\x48\xce\x3d\x04\x01",
    )
    return certificate_key("next root", pem_of(shortened(der, ecdsa_with_sha256, ecdsa_with_sha1)))


def shortened(der, old, new):
    """Replaces an algorithm identifier by a shorter one and corrects the lengths around it."""
    algorithm = lambda oid: b"\x30" + bytes([len(oid)]) + oid
    tbs_start = 4
    tbs_length = 4 + int.from_bytes(der[tbs_start + 2 : tbs_start + 4], "big")
    tbs, rest = der[tbs_start : tbs_start + tbs_length], der[tbs_start + tbs_length :]
    tbs_body = tbs[4:].replace(algorithm(old), algorithm(new), 1)
    tbs = b"\x30\x82" + len(tbs_body).to_bytes(2, "big") + tbs_body
    body = tbs + rest.replace(algorithm(old), algorithm(new), 1)
    return b"\x30\x82" + len(body).to_bytes(2, "big") + body


def pem_of(der):
    lines = re.findall(".{1,64}", tuf.b64(der))
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""]).encode()


@each_root_key("certificate whose own signature is wrong", TRUSTED)
def _():
    """Nobody checks it without a CA pin."""
    der = bytearray(leaf().public_bytes(tuf.serialization.Encoding.DER))
    der[-1] ^= 1
    return certificate_key("next root", pem_of(bytes(der)))


# More or less than one certificate


each_text("two leaf certificates")(lambda text: text + pem(certificate("other", GUN)))
each_text("its certificate twice")(lambda text: text + text)
each_text("the CA before the leaf")(lambda text: pem(authority()) + text)
each_text("only a CA")(lambda text: pem(authority()))
each_text("bundle with its CA", TRUSTED)(lambda text: pem(leaf(issuer=CA), authority()))
each_text("bundle with a CA that did not sign it", TRUSTED)(lambda text: text + pem(authority()))
each_text("bundle with an expired CA")(lambda text: pem(leaf(issuer=CA), authority(ends=NOW - DAY)))
each_text("bundle with two CAs", TRUSTED)(
    lambda text: pem(leaf(issuer=CA), authority(), certificate("second", "Second", ca=True))
)
each_text("a public key behind the certificate")(lambda text: text + public_key_block())
each_text("empty")(lambda text: b"")
each_text("not PEM")(lambda text: b"not a certificate")
each_text("certificate in DER")(lambda text: leaf().public_bytes(tuf.serialization.Encoding.DER))
each_text("certificate under another label")(lambda text: text.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"))
each_text("certificate cut short")(lambda text: b"\n".join(text.split(b"\n")[:4] + text.split(b"\n")[-2:]))


def public_key_block():
    return (
        tuf.private_key("other")
        .public_key()
        .public_bytes(tuf.serialization.Encoding.PEM, tuf.serialization.PublicFormat.SubjectPublicKeyInfo)
    )


# PEM that Notary would have written otherwise: it computes the key ID anew from that


each_text("PEM with CR LF")(lambda text: text.replace(b"\n", b"\r\n"))
each_text("PEM without its last line feed")(lambda text: text.rstrip())
each_text("PEM with two last line feeds")(lambda text: text + b"\n")
each_text("PEM with text before it")(lambda text: b"Our certificate:\n" + text)
each_text("PEM with text behind it")(lambda text: text + b"That was it.\n")
each_text("PEM with a header")(lambda text: text.replace(b"CERTIFICATE-----\n", b"CERTIFICATE-----\nName: x\n\n", 1))
each_text("PEM on one line")(
    lambda text: b"\n".join([text.split(b"\n")[0], b"".join(text.split(b"\n")[1:-2]), text.split(b"\n")[-2], b""])
)


# Keys without certificates


each_root_key("bare ECDSA key")(lambda: tuf.key("next root"))
each_root_key("bare Ed25519 key")(lambda: tuf.key("next root", "ed25519"))
each_root_key("bare RSA key")(lambda: tuf.key("next root", "rsa-2048"))
each_root_key("certificate as key type ecdsa")(
    lambda: tuf.Key("ecdsa", pem(leaf()), tuf.private_key("next root"), "ecdsa")
)
each_root_key("ECDSA certificate as key type rsa-x509")(
    lambda: tuf.Key("rsa-x509", pem(leaf()), tuf.private_key("next root"), "ecdsa")
)
each_root_key("certificate of one key, signed with another")(lambda: certificate_key("other root", pem(leaf())))


@fault("root key: good and unusable, signed by the good one", TRUSTED)
def _(scene):
    scene.repo.rotate_root([tuf.root_key("next root", GUN), tuf.key("bare")])


@fault("root key: good and unusable, signed by the unusable one", ROOT_NOT_TRUSTED, roles="root")
def _(scene):
    scene.repo.rotate_root([tuf.root_key("next root", GUN), tuf.key("bare")])
    scene.repo["root"].signers.pop(0)


@fault("root key: threshold 2 of a good and an unusable key", ROOT_NOT_TRUSTED, roles="root")
def _(scene):
    scene.repo.rotate_root([tuf.root_key("next root", GUN), tuf.key("bare")], threshold=2)


@fault("root key: threshold 2, two certificates of one key", TRUSTED, roles="root")
def _(scene):
    """Two key IDs, one private key: who wrote the root allowed it."""
    second = certificate_key("next root", pem(leaf(ends=NOW + 100 * DAY)))
    scene.repo.rotate_root([tuf.root_key("next root", GUN), second], threshold=2)


# Structure


def each_structure(name, expect=TAMPERED):
    """Registers a change of the payload of a new root."""

    def register(change):
        @fault(f"root: {name}", expect, roles="root")
        def _(scene):
            scene.repo.next_root()
            change(scene.repo["root"].signed)

    return register


for role in tuf.BASE_ROLES:
    each_structure(f"no {role} role")(lambda signed, role=role: signed["roles"].pop(role))
    each_structure(f"{role} role null")(lambda signed, role=role: signed["roles"].update({role: None}))
    each_structure(f"{role} role in title case")(
        lambda signed, role=role: signed["roles"].update({role.title(): signed["roles"].pop(role)})
    )

each_structure("no roles")(lambda signed: signed.pop("roles"))
each_structure("roles null")(lambda signed: signed.update(roles=None))
each_structure("roles a list")(lambda signed: signed.update(roles=[]))
each_structure("no keys")(lambda signed: signed.pop("keys"))
each_structure("keys null")(lambda signed: signed.update(keys=None))
each_structure("consistent_snapshot a string")(lambda signed: signed.update(consistent_snapshot="no"))
each_structure("consistent_snapshot true", TRUSTED)(lambda signed: signed.update(consistent_snapshot=True))
each_structure("consistent_snapshot null", TRUSTED)(lambda signed: signed.update(consistent_snapshot=None))
each_structure("consistent_snapshot absent", TRUSTED)(lambda signed: signed.pop("consistent_snapshot"))
each_structure("a mirrors role without a threshold", TRUSTED)(
    lambda signed: signed["roles"].update(mirrors={"keyids": [], "threshold": 0})
)
each_structure("an old root role, as Notary 0.3 kept it", TRUSTED)(
    lambda signed: signed["roles"].update({"root.1": copy.deepcopy(signed["roles"]["root"])})
)
each_structure("an unused key of an unknown type", TRUSTED)(
    lambda signed: signed["keys"].update(
        {"0" * 64: {"keytype": "rot13", "keyval": {"private": None, "public": "AAAA"}}}
    )
)


# Pins


def pinned(*key_ids):
    return {"certs": {GUN: list(key_ids)}}


GOOD = tuf.root_key("root", GUN).id
NEXT = tuf.root_key("next root", GUN).id


def each_pinning(name, expect, pinning, differs=None):
    fault(f"pins: {name}", expect, differs=differs, roles="root", pinning=pinning)(lambda scene: None)


def each_mismatch(name, pinning):
    each_pinning(name, ROOT_NOT_TRUSTED, pinning, differs={FILLED: PINS})


OTHER = "0" * 64

each_pinning("the certificate", TRUSTED, pinned(GOOD))
each_pinning("the certificate and another", TRUSTED, pinned(OTHER, GOOD))
each_pinning("the certificate by wildcard", TRUSTED, {"certs": {"registry.example/team/*": [GOOD]}})
each_pinning("only another repository", TRUSTED, {"certs": {"registry.example/team/other": [OTHER]}})
each_mismatch("another certificate", pinned(OTHER))
each_mismatch("no certificate", pinned())
each_mismatch("another certificate by wildcard", {"certs": {"registry.example/*": [OTHER]}})
each_mismatch(
    "the longer wildcard wrong", {"certs": {"registry.example/*": [GOOD], "registry.example/team/*": [OTHER]}}
)
each_mismatch("the exact name wrong", {"certs": {GUN: [OTHER], "registry.example/*": [GOOD]}})
each_mismatch(
    "only another repository, no first use", {"certs": {"registry.example/team/other": [GOOD]}, "disable_tofu": True}
)
each_mismatch("none, no first use", {"disable_tofu": True})


@fault(
    "pins: the certificate of before the rotation",
    ROOT_NOT_TRUSTED,
    differs={FILLED: PINS},
    roles="root",
    pinning=pinned(GOOD),
)
def _(scene):
    scene.repo.rotate_root([tuf.root_key("next root", GUN)])


@fault("pins: the certificate of after the rotation", TRUSTED, roles="root", pinning=pinned(NEXT))
def _(scene):
    scene.repo.rotate_root([tuf.root_key("next root", GUN)])


def each_authority(name, expect, make, pinned=lambda: pem(authority()), differs=None):
    """Registers a new root key, and a pinned CA."""

    @fault(
        f"pins: CA, {name}",
        expect,
        differs=differs,
        roles="root",
        pinning={"ca": {"registry.example/": pinned()}, "disable_tofu": True},
    )
    def _(scene):
        scene.repo.rotate_root([certificate_key("next root", make())])


def for_any_use(**options):
    return leaf(purpose=None, **options)


second = functools.partial(certificate, "second", "Second Authority")

each_authority("certificate of the CA", TRUSTED, lambda: pem(for_any_use(issuer=CA)))
each_authority("certificate and CA", TRUSTED, lambda: pem(for_any_use(issuer=CA), authority()))
each_authority(
    "certificate by way of an intermediate",
    TRUSTED,
    lambda: pem(for_any_use(issuer=("second", "Second Authority", "P-256")), second(ca=True, issuer=CA)),
)
each_authority(
    "certificate without its intermediate",
    ROOT_NOT_TRUSTED,
    lambda: pem(for_any_use(issuer=("second", "Second Authority", "P-256"))),
    differs={FILLED: PINS},
)
each_authority("certificate of no CA", ROOT_NOT_TRUSTED, lambda: pem(for_any_use()), differs={FILLED: PINS})
each_authority(
    "certificate of another CA",
    ROOT_NOT_TRUSTED,
    lambda: pem(for_any_use(issuer=("second", "Second Authority", "P-256")), second(ca=True)),
    differs={FILLED: PINS},
)
each_authority(
    "certificate of another CA with the same name",
    ROOT_NOT_TRUSTED,
    lambda: pem(for_any_use(issuer=("second", CA[1], "P-256"))),
    differs={FILLED: PINS},
)
each_authority(
    "certificate only for code signing", ROOT_NOT_TRUSTED, lambda: pem(leaf(issuer=CA)), differs={FILLED: PINS}
)
each_authority(
    "the CA expired",
    ROOT_NOT_TRUSTED,
    lambda: pem(for_any_use(issuer=CA)),
    lambda: pem(authority(ends=NOW - DAY)),
    differs={FILLED: PINS},
)
