"""What users write; checked by mypy in test_typing.py, not run."""

import datetime
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


def keys(repository: str) -> dict[str, tuple[str, ...]]:
    inspection = tagtrust.Client().inspect(repository)
    print(inspection.to_json(), inspection.to_pretty(), [tag.digest for tag in inspection.signed_tags])
    return {signer.name: signer.keys for signer in inspection.signers + inspection.administrative_keys}
