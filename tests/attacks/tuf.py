"""A small Notary v1 publisher, written from the protocol and independent of tagtrust.

It exists to publish repositories that are wrong in one exact way. A
`Repository` is built in stages, and a fault may hook into each of them:

    signed    the payload of a role, before it is signed       role.signed, role.on_signed
    signers   the keys that sign it                             role.signers
    seal      its list of signatures                            role.on_signatures
    bytes     its file, before other files refer to it          role.on_bytes
    entry     what the referring file says about it             role.on_entry
    wire      the finished files, by name, after everything     repository.on_wire

So a fault is either covered by all signatures above it, or by none.
"""

import base64
import copy
import datetime
import functools
import hashlib
import json
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
BASE_ROLES = ("root", "targets", "snapshot", "timestamp")
TYPES = {"root": "Root", "snapshot": "Snapshot", "timestamp": "Timestamp"}


def canonical(value):
    """Notary's canonical JSON: what is signed, and what key IDs are the hash of."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value).encode()
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, float):  # only in faults; no verifier accepts it
        return repr(value).encode()
    if isinstance(value, bytes):  # only in faults: text that is canonical already
        return value
    if isinstance(value, str):
        return b'"' + value.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'
    if isinstance(value, list):
        return b"[" + b",".join(map(canonical, value)) + b"]"
    members = sorted(value.items(), key=lambda member: member[0].encode())
    return b"{" + b",".join(canonical(k) + b":" + canonical(v) for k, v in members) + b"}"


def html_escaped(text):
    """What Go's JSON encoder does to text that it copies into a file."""
    for character in "<>&\u2028\u2029":
        text = text.replace(character.encode(), b"\\u%04x" % ord(character))
    return text


def b64(data):
    return base64.b64encode(data).decode()


def rfc3339(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


# Keys and certificates


@functools.cache
def private_key(name, kind="P-256"):
    """The private key of that name: the same one for the whole session."""
    if kind.startswith("rsa-"):
        return rsa.generate_private_key(65537, int(kind[4:]))
    seed = hashlib.sha256(name.encode()).digest()
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    curve = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}[kind]
    return ec.derive_private_key(int.from_bytes(seed, "big") >> 1, curve)


@dataclass(frozen=True)
class Key:
    """A key as the metadata lists it, together with its private half."""

    keytype: str
    public: bytes
    private: object
    method: str

    def __deepcopy__(self, _):
        return self

    @property
    def entry(self):
        return {"keytype": self.keytype, "keyval": {"private": None, "public": b64(self.public)}}

    @functools.cached_property
    def id(self):
        return hashlib.sha256(canonical(self.entry)).hexdigest()

    def sign(self, message, method=None):
        method = method or self.method
        return {"keyid": self.id, "method": method, "sig": b64(raw_signature(self.private, message, method))}


def raw_signature(private, message, method):
    if isinstance(private, rsa.RSAPrivateKey):
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        if method == "rsapkcs1v15":
            scheme = padding.PKCS1v15()
        return private.sign(message, scheme, hashes.SHA256())
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return private.sign(message)
    size = (private.curve.key_size + 7) // 8
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    r, s = utils.decode_dss_signature(private.sign(message, algorithm))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


@functools.cache
def key(name, kind="P-256"):
    """A plain key, for every role but root."""
    private = private_key(name, kind)
    if kind == "ed25519":
        return Key("ed25519", private.public_key().public_bytes_raw(), private, "eddsa")
    spki = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    keytype, method = ("rsa", "rsapss") if kind.startswith("rsa-") else ("ecdsa", "ecdsa")
    return Key(keytype, spki, private, method)


def certificate(
    name,
    common_name,
    kind="P-256",
    issuer=None,
    ca=False,
    begins=NOW - 30 * DAY,
    ends=NOW + 3650 * DAY,
    digest=hashes.SHA256(),
    purpose=ExtendedKeyUsageOID.CODE_SIGNING,
):
    """A certificate as Notary makes them; `issuer` is a (name, common name, kind) or itself."""
    issuer_name, issuer_common_name, issuer_kind = issuer or (name, common_name, kind)
    private = private_key(name, kind)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer_common_name)]))
        .public_key(private.public_key())
        .serial_number(int.from_bytes(hashlib.sha256(name.encode()).digest()[:15], "big"))
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(x509.KeyUsage(True, False, not ca, False, False, ca, ca, False, False), critical=True)
    )
    if purpose and not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    deterministic = True if issuer_kind.startswith("P-") else None
    return builder.sign(private_key(issuer_name, issuer_kind), digest, ecdsa_deterministic=deterministic)


def pem(*certificates):
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)


def certificate_key(name, public, kind="P-256"):
    """A key whose public part is the given text, normally PEM certificates."""
    keytype, method = ("rsa-x509", "rsapss") if kind.startswith("rsa-") else ("ecdsa-x509", "ecdsa")
    return Key(keytype, public, private_key(name, kind), method)


@functools.cache
def root_key(name, gun, kind="P-256"):
    return certificate_key(name, pem(certificate(name, gun, kind)), kind)


# Metadata


def target(content, **more):
    """The entry of a tag whose manifest is `content`."""
    return {
        "hashes": {"sha256": b64(hashlib.sha256(content).digest()), "sha512": b64(hashlib.sha512(content).digest())},
        "length": len(content),
        **more,
    }


def digest_of(entry):
    return "sha256:" + base64.b64decode(entry["hashes"]["sha256"]).hex()


def parent_of(name):
    return name.rpartition("/")[0]


@dataclass
class Role:
    name: str
    signed: dict
    signers: list
    on_signed: list = field(default_factory=list)
    on_signatures: list = field(default_factory=list)
    on_bytes: list = field(default_factory=list)
    on_entry: list = field(default_factory=list)

    def sealed(self):
        """The file: signed payload, signatures, hooks."""
        signed = self.signed
        for hook in self.on_signed:
            signed = hook(signed)
        payload = canonical(signed)
        signatures = [signer.sign(payload) for signer in self.signers]
        for hook in self.on_signatures:
            signatures = hook(signatures, payload)
        data = envelope(html_escaped(payload), signatures)
        for hook in self.on_bytes:
            data = hook(data)
        return data

    def entry(self, data):
        """What the referring file says about `data`."""
        entry = target(data)
        for hook in self.on_entry:
            entry = hook(entry)
        return entry


def envelope(payload, signatures):
    text = json.dumps(signatures, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    return b'{"signed":' + payload + b',"signatures":' + html_escaped(text) + b"}"


class Repository:
    """One published state of a repository, and the root versions before it."""

    def __init__(self, gun, version=1, prefix="", root_keys=None):
        self.gun = gun
        self.history = {}
        self.on_wire = []
        self.roles = {}
        self.undeclared = {}
        for name in BASE_ROLES:
            self._add(name, version)
        self["root"].signed.update(consistent_snapshot=False, keys={}, roles={})
        self["snapshot"].signed["meta"] = {}
        self["timestamp"].signed["meta"] = {}
        self.set_keys("root", root_keys or [root_key(prefix + "root", gun)])
        for name in BASE_ROLES[1:]:
            self.set_keys(name, [key(prefix + name)])

    def __getitem__(self, name):
        return self.roles[name]

    def _add(self, name, version):
        signed = {
            "_type": TYPES.get(name, "Targets"),
            "expires": rfc3339(NOW + (14 if name == "timestamp" else 1000) * DAY),
            "version": version,
        }
        if name not in TYPES:
            signed.update(delegations={"keys": {}, "roles": []}, targets={})
        self.roles[name] = Role(name, signed, [])

    def delegate(self, name, keys, paths=("",), threshold=1, version=1):
        """Adds a delegation role, its declaration in the parent, and its (empty) file."""
        self._add(name, version)
        self[parent_of(name)].signed["delegations"]["roles"].append(
            {"keyids": [], "name": name, "paths": list(paths), "threshold": threshold}
        )
        self.set_keys(name, keys, threshold)
        return self[name]

    def declaration(self, name):
        """The object that says whose signatures count for the role."""
        if name in BASE_ROLES:
            return self["root"].signed["roles"].setdefault(name, {})
        roles = self[parent_of(name)].signed["delegations"]["roles"]
        return next(role for role in roles if role["name"] == name)

    def listed_keys(self, name):
        """The key list that the declaration's key IDs point into."""
        if name in BASE_ROLES:
            return self["root"].signed["keys"]
        return self[parent_of(name)].signed["delegations"]["keys"]

    def set_keys(self, name, keys, threshold=1):
        """Says which keys count for a role; the same keys then sign it."""
        self.listed_keys(name).update({k.id: k.entry for k in keys})
        self.declaration(name).update(keyids=[k.id for k in keys], threshold=threshold)
        self[name].signers = list(keys)

    def next(self):
        """A copy for the next publication: every version but root's is one higher."""
        copied = copy.deepcopy(self)
        for role in copied.roles.values():
            if role.name != "root":
                role.signed["version"] += 1
        return copied

    def next_root(self):
        """Starts the next root version; what was published stays in the history."""
        root = self["root"]
        self.history[root.signed["version"]] = root.sealed()
        root.signed = copy.deepcopy(root.signed)
        root.signed["version"] += 1

    def rotate_root(self, keys, threshold=1, keep_old=True):
        """Publishes new root keys as Notary does: signed by the old and the new ones."""
        listed = self.declaration("root")["keyids"]
        old = [k for k in self["root"].signers if k.id in listed]
        self.next_root()
        self.set_keys("root", keys, threshold)
        if keep_old:
            self["root"].signers += [k for k in old if k not in keys]

    def files(self):
        """The files by wire name, built from the leaves of the references to the timestamp."""
        files = {f"{version}.root.json": data for version, data in self.history.items()}

        def put(role, meta):
            data = role.sealed()
            files[f"{role.name}.json"] = data
            if meta is not None:
                entry = role.entry(data)
                if entry is not None:
                    meta[role.name] = entry
                    sha256 = (entry.get("hashes") or {}).get("sha256")
                    if isinstance(sha256, str):
                        files[f"{role.name}.{hexadecimal(sha256)}.json"] = data
            return data

        snapshot_meta = self["snapshot"].signed["meta"] = {}
        root = put(self["root"], snapshot_meta)
        version = self["root"].signed.get("version")
        files.setdefault(f"{version}.root.json", root)
        for name, role in self.roles.items():
            if name not in TYPES:
                put(role, snapshot_meta)
        snapshot_meta.update(self.undeclared)
        timestamp_meta = self["timestamp"].signed["meta"] = {}
        put(self["snapshot"], timestamp_meta)
        put(self["timestamp"], None)
        for hook in self.on_wire:
            hook(files)
        return files


def hexadecimal(text):
    try:
        return base64.b64decode(text).hex()
    except ValueError:
        return text


def hashed_name(files, role):
    """The wire name under which clients ask for a role's file."""
    names = [n for n in files if n.startswith(f"{role}.") and n != f"{role}.json"]
    return names[0] if names else f"{role}.json"
