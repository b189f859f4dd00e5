"""What users write; checked by mypy in test_typing.py, not run."""

import asyncio
import datetime
import pickle
from pathlib import Path

import tagtrust


def pinned(references: list[str]) -> list[str]:
    client = tagtrust.Client(
        trust_dir=Path("trust"),
        server="https://notary.example",
        pinning=tagtrust.Pinning({"registry.example/team/*": ["0" * 64]}, ca={"registry.example/": Path("ca.pem")}),
        policy=tagtrust.Policy(lookup="docker", rules=[tagtrust.Rule("*", all_of=["ci"], any_of=("a", "b"))]),
        clock=lambda: datetime.datetime.now(datetime.timezone.utc),
    )
    found: list[str] = []
    for reference, result in zip(references, client.verify_many(references)):
        if isinstance(result, tagtrust.Image):
            found.append(result.pinned_reference)
        elif result.is_refusal:
            raise result
        else:
            print(reference, result.code, result.message, result.evidence)
    return found


def explain(reference: str) -> str:
    try:
        image = tagtrust.Client(clock=lambda: 1.5e9).verify(reference)
    except tagtrust.RolledBack as error:
        return f"{error.role} went from {error.known} to {error.found}, {error.known - error.found} back"
    except tagtrust.Tampered as error:
        return f"{error.gun}: {error.fault['kind']}"
    except tagtrust.TrustError as error:
        return error.message
    left: datetime.timedelta = image.expires - datetime.datetime.now(datetime.timezone.utc)
    return f"{image.tag} of {image.repository}, {image.size} bytes, by {', '.join(image.signers)}, for {left}"


class Publisher:
    def __init__(self, public_key: bytes, secrets: dict[str, str]) -> None:
        self.secrets = secrets
        self.client = tagtrust.Client(
            passphrase=self.passphrase,
            signers=[tagtrust.CallbackSigner(public_key, lambda message: message[:64])],
            expiry={"targets": datetime.timedelta(days=30)},
            local_snapshot=True,
        )

    def passphrase(self, key_id: str, role: str, create: bool, attempt: int) -> str | None:
        return None if create or attempt else self.secrets.get(key_id)

    def release(self, repository: str, images: dict[str, tuple[str, int]]) -> list[str]:
        edit = self.client.edit(repository).add_signer("ci", [Path("ci.pub"), "more.pub", b"-----BEGIN"])
        for tag, (digest, size) in images.items():
            edit.sign(tag, digest, size, custom={"build": 1}, roles=("targets/releases",))
        planned: tagtrust.Publication = edit.dry_run()
        return [f"{change}: {change.type} {change.path}" for change in planned.changes] + list(edit.publish().warnings)

    def many(self, references: list[str | tuple[str, str, int]]) -> int:
        results = self.client.sign_many(references)
        return sum(result.published for result in results if isinstance(result, tagtrust.Publication))

    def look(self, repository: str, part: bytes) -> dict[str, tuple[str, ...]]:
        within = datetime.timedelta(days=7)
        left = [role.expires - within for role in self.client.expiring(repository, within) if role.can_sign]
        print(left, [key.gun or key.location for key in self.client.keys()], self.client.export_keys(gun=repository))
        print(self.client.generate_key("alice", Path("keys")).public_key_file.name)
        return tagtrust.Proposal(self.client.cosign(part)).signed_by


def keys(repository: str) -> dict[str, tuple[str, ...]]:
    inspection = tagtrust.Client().inspect(repository)
    print(inspection.to_json(), inspection.to_pretty(), [tag.digest for tag in inspection.signed_tags])
    return {signer.name: signer.keys for signer in inspection.signers + inspection.administrative_keys}


def chain(repository: str) -> dict[str, list[str]]:
    inspection = tagtrust.Client().inspect(repository)
    Path("chain.svg").write_text(inspection.to_svg())
    print(inspection.to_tree(), inspection.to_tree(80))
    for role in inspection.roles:
        expires = "never published" if role.expires is None else role.expires.isoformat()
        print(role.name, role.version or 0, expires, role.threshold, role.tags, role.paths, role.excluded or "counts")
    return {role.name: [key.id for key in role.keys if key.signed] for role in inspection.roles}


def without_requests(repository: str, files: dict[str, bytes], known_roots: list[bytes]) -> tagtrust.Image:
    trusted = tagtrust.TrustedSet(
        repository, files["root"], known_roots=known_roots, pinning=tagtrust.Pinning(trust_on_first_use=True)
    )
    trusted.add_timestamp(files["timestamp"])
    trusted.add_snapshot(files["snapshot"])
    while (role := trusted.next_role) is not None:
        trusted.add_role(files[role])
    trusted.add_all(files)
    return trusted.verify("1.0")


async def in_a_thread(client: tagtrust.Client, references: list[str]) -> list[tagtrust.Image]:
    return await asyncio.gather(*(asyncio.to_thread(client.verify, reference) for reference in references))


def as_values(image: tagtrust.Image, rule: tagtrust.Rule) -> bool:
    known: dict[tagtrust.Image | tagtrust.Rule, str] = {image: image.digest, rule: rule.repository}
    return pickle.loads(pickle.dumps(image)) in known and rule.all_of == ("alice",)
