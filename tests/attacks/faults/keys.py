"""How the keys and the threshold of a role are declared, in root or a parent's file."""

from attacks import tuf
from attacks.faults import NESTED, ROOT_NOT_TRUSTED, TAMPERED, TRUSTED, declaring, each_role
from attacks.faults.reasons import FORM
from attacks.faults.signatures import TOO_FEW, resigned, stranger


def each_declaration(name, expect=TAMPERED, **options):
    """Registers a change of (role, key list, declaration), for every role.

    The change is published in a new root where root declares the role.
    """

    def register(change):
        @each_role(name, expect, **options)
        def _(scene, role):
            if role.name in tuf.BASE_ROLES[1:]:
                scene.repo.next_root()
            change(role, scene.repo.listed_keys(role.name), scene.repo.declaration(role.name))

    return register


def listed(role, keys, declaration, **change):
    """Lists the role's key with another type or content, under the ID that follows from it."""
    old = role.signers[0]
    fields = {"keytype": old.keytype, "public": old.public, "private": old.private, "method": old.method}
    new = tuf.Key(**{**fields, **change})
    keys[new.id] = new.entry
    declaration["keyids"] = [new.id]
    role.signers = [new]


@each_declaration("signed by a key of the key list that is not the role's", **TOO_FEW)
def _(role, keys, declaration):
    role.signers = [stranger(role)]
    keys[stranger(role).id] = stranger(role).entry


@each_declaration("its key is not in the key list", at_fault=declaring)
def _(role, keys, declaration):
    del keys[role.signers[0].id]


@each_declaration("its key is listed under another ID", root=ROOT_NOT_TRUSTED)
def _(role, keys, declaration):
    other = "0" * 64
    keys[other] = role.signers[0].entry
    declaration["keyids"] = [other]
    role.on_signatures.append(resigned(lambda *_: {"keyid": other}))


@each_declaration("its key ID belongs to other key content", root=ROOT_NOT_TRUSTED)
def _(role, keys, declaration):
    other, key_id = stranger(role), role.signers[0].id
    keys[key_id] = other.entry
    role.on_signatures.append(lambda _, payload: [{**other.sign(payload), "keyid": key_id}])


@each_declaration("its key type in upper case", **TOO_FEW)
def _(role, keys, declaration):
    listed(role, keys, declaration, keytype=role.signers[0].keytype.upper())


@each_declaration("its key type unknown", **TOO_FEW)
def _(role, keys, declaration):
    listed(role, keys, declaration, keytype="rot13")


@each_declaration("its key bytes empty", **TOO_FEW)
def _(role, keys, declaration):
    listed(role, keys, declaration, public=b"")


@each_declaration("its key bytes not a key", **TOO_FEW)
def _(role, keys, declaration):
    listed(role, keys, declaration, public=b"not a key")


@each_declaration("its key base64 without padding", at_fault=declaring)
def _(role, keys, declaration):
    keyval = keys[role.signers[0].id]["keyval"]
    keyval["public"] = keyval["public"].rstrip("=") + "A"


@each_declaration("its key value null", root=ROOT_NOT_TRUSTED)
def _(role, keys, declaration):
    keys[role.signers[0].id]["keyval"] = None


@each_declaration("its key null", root=ROOT_NOT_TRUSTED)
def _(role, keys, declaration):
    keys[role.signers[0].id] = None


@each_declaration("key IDs null", **TOO_FEW)
def _(role, keys, declaration):
    declaration["keyids"] = None


@each_declaration("threshold 0", at_fault=declaring)
def _(role, keys, declaration):
    declaration["threshold"] = 0


@each_declaration("threshold 0 and no signature", at_fault=declaring)
def _(role, keys, declaration):
    declaration["threshold"] = 0
    role.on_signatures.append(lambda *_: [])


@each_declaration("threshold negative", at_fault=declaring)
def _(role, keys, declaration):
    declaration["threshold"] = -1


@each_declaration("threshold absent", at_fault=declaring)
def _(role, keys, declaration):
    del declaration["threshold"]


@each_declaration("threshold a string", at_fault=declaring)
def _(role, keys, declaration):
    declaration["threshold"] = "1"


@each_declaration("threshold 2^32 + 1", at_fault=declaring, differs={NESTED: FORM})
def _(role, keys, declaration):
    """1 for who keeps 32 bits of it."""
    declaration["threshold"] = (1 << 32) + 1


@each_declaration("key with a private half", TRUSTED)
def _(role, keys, declaration):
    """Odd, but the key ID does not cover it."""
    keys[role.signers[0].id]["keyval"]["private"] = "AAAA"
