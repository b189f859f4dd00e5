"""What snapshot and timestamp say about the files that they refer to."""

import base64

from attacks.faults import RELEASES, TAMPERED, TRUSTED, each_role, referring
from attacks.faults.reasons import NEGATIVE

# The first root is fetched before there is a snapshot that could list it.
ON_REFRESH = {"root": TRUSTED, "filled": {"root": TAMPERED}}


def mismatched(role):
    """The file does not fit its entry; a root that its keys signed is a good one all the same."""
    return () if role == "root" else (role,)


def each_entry(name, expect=TAMPERED, at_fault=mismatched, **options):
    """Registers a change of the entry of a role in the file that refers to it."""

    def register(change):
        @each_role(name, expect, roles=("root", "snapshot", "targets", RELEASES), at_fault=at_fault, **options)
        def _(scene, role):
            role.on_entry.append(change)

    return register


def without(mapping, *names):
    return {name: value for name, value in mapping.items() if name not in names}


def hashes(entry, **changed):
    return {**entry, "hashes": {**entry["hashes"], **changed}}


@each_entry("listed length one too small", **ON_REFRESH)
def _(entry):
    return {**entry, "length": entry["length"] - 1}


@each_entry("listed length 0", **ON_REFRESH)
def _(entry):
    return {**entry, "length": 0}


@each_entry("listed length negative", at_fault=referring, differs=NEGATIVE)
def _(entry):
    return {**entry, "length": -1}


@each_entry("listed length a string", at_fault=referring)
def _(entry):
    return {**entry, "length": str(entry["length"])}


@each_entry("listed length null", **ON_REFRESH)
def _(entry):
    return {**entry, "length": None}


@each_entry("listed length absent", **ON_REFRESH)
def _(entry):
    return without(entry, "length")


@each_entry("listed length too large", TRUSTED)
def _(entry):
    """It is only a limit on the download."""
    return {**entry, "length": entry["length"] + 1000}


@each_entry("listed length 2^53", TRUSTED)
def _(entry):
    return {**entry, "length": 2**53}


@each_entry("listed length 2^63", at_fault=referring)
def _(entry):
    return {**entry, "length": 2**63}


@each_entry("listed sha256 of other bytes")
def _(entry):
    return hashes(entry, sha256=base64.b64encode(b"\7" * 32).decode())


@each_entry("listed sha512 of other bytes")
def _(entry):
    return hashes(entry, sha512=base64.b64encode(b"\7" * 64).decode())


@each_entry("listed sha256 too short", at_fault=referring)
def _(entry):
    return hashes(entry, sha256=base64.b64encode(base64.b64decode(entry["hashes"]["sha256"])[:31]).decode())


@each_entry("listed sha256 empty", at_fault=referring)
def _(entry):
    return hashes(entry, sha256="")


@each_entry("listed sha256 null", at_fault=referring)
def _(entry):
    return hashes(entry, sha256=None)


@each_entry("listed sha512 too short", at_fault=referring)
def _(entry):
    return hashes(entry, sha512=base64.b64encode(base64.b64decode(entry["hashes"]["sha512"])[:63]).decode())


@each_entry("listed sha512 empty", at_fault=referring)
def _(entry):
    return hashes(entry, sha512="")


@each_entry("listed sha256 in hex", at_fault=referring)
def _(entry):
    return hashes(entry, sha256=base64.b64decode(entry["hashes"]["sha256"]).hex())


@each_entry("listed only with sha512", at_fault=referring, releases=TRUSTED)
def _(entry):
    return {**entry, "hashes": without(entry["hashes"], "sha256")}


@each_entry("listed only with sha256", TRUSTED)
def _(entry):
    return {**entry, "hashes": without(entry["hashes"], "sha512")}


@each_entry("listed only with an unknown hash", at_fault=referring)
def _(entry):
    return {**entry, "hashes": {"sha3-256": entry["hashes"]["sha256"]}}


@each_entry("listed with sha256 in upper case", at_fault=referring)
def _(entry):
    return {**entry, "hashes": {"SHA256": entry["hashes"]["sha256"]}}


@each_entry("listed with an unknown hash too", TRUSTED)
def _(entry):
    return hashes(entry, md5="AAAA")


@each_entry("listed without hashes", at_fault=referring)
def _(entry):
    return without(entry, "hashes")


@each_entry("listed with hashes empty", at_fault=referring)
def _(entry):
    return {**entry, "hashes": {}}


@each_entry("listed with hashes null", at_fault=referring)
def _(entry):
    return {**entry, "hashes": None}


@each_entry("listed with custom data", TRUSTED)
def _(entry):
    return {**entry, "custom": {"b": "<&>", "a": None}}


@each_entry("not listed", releases="TagNotSigned", nightly=TRUSTED, filled={RELEASES: "RolledBack"})
def _(entry):
    return None
