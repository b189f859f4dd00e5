"""What tagtrust bounds and Notary does not: the last that is allowed, and one more."""

from attacks import tuf
from attacks.faults import EMPTY, GUN, RELEASES, ROOT_NOT_TRUSTED, TAG, TAMPERED, TRUSTED, fault
from attacks.faults.reasons import LIMITS


def each_limit(name, most, refusal=TAMPERED, role=RELEASES):
    """Registers a function of scene and number, for the limit and for one more."""

    def register(make):
        fault(f"limits: {most:,} {name}", TRUSTED, roles=(), cache=(EMPTY,))(lambda scene: make(scene, most))
        beyond = fault(f"limits: {most + 1:,} {name}", refusal, roles=role, cache=(EMPTY,), differs=LIMITS)
        beyond(lambda scene: make(scene, most + 1))

    return register


@each_limit("signatures", 1024)
def _(scene, number):
    odd = {"keyid": "", "method": "ecdsa", "sig": ""}
    scene.repo[RELEASES].on_signatures.append(lambda signatures, _: [odd] * (number - 1) + signatures)


@each_limit("keys of a role", 256)
def _(scene, number):
    scene.repo.set_keys(RELEASES, [*scene.repo[RELEASES].signers, *(tuf.key(f"alice {n}") for n in range(number - 1))])
    del scene.repo[RELEASES].signers[1:]


@each_limit("paths of a role", 1024)
def _(scene, number):
    scene.repo.declaration(RELEASES)["paths"] = [TAG] * number


@each_limit("targets and delegation roles", 1024, role="targets")
def _(scene, number):
    """Four are there already: targets, two delegations and a nested one."""
    declared = scene.repo["targets"].signed["delegations"]["roles"]
    declared += [{**declared[0], "name": f"targets/d{n}"} for n in range(number - 4)]


@each_limit("certificates in a bundle", 6, ROOT_NOT_TRUSTED, role="root")
def _(scene, number):
    authorities = [tuf.certificate(f"authority {n}", f"Authority {n}", ca=True) for n in range(number - 1)]
    bundle = tuf.pem(tuf.certificate("next root", GUN), *authorities)
    scene.repo.rotate_root([tuf.certificate_key("next root", bundle)])


@each_limit("KiB of root", 8 * 1024, role="root")
def _(scene, number):
    scene.repo.next_root()
    root = scene.repo["root"]
    root.on_bytes.append(lambda data: data + b" " * (number * 1024 - len(data)))
