"""Repositories whose root and targets keys are on a token and nowhere else, read by the real programs."""

import json
import shutil
from pathlib import Path

import pytest

from interop.verifiers import BUILD, options
from lab import CommandFailed, run
from lab.need import need
from lab.repositories import make_image, new_gun

MODULES = [Path(directory, "libsofthsm2.so") for directory in ("/usr/lib/softhsm", "/usr/local/lib/softhsm")]
PROGRAM = BUILD / "examples/pkcs11"
PIN = "7391-geheim"


class SoftHsm:
    """A token named `release`, and the example program that publishes with it."""

    def __init__(self, directory: Path, server):
        self.server, self.trust_dir = server, directory / "trust"
        (directory / "tokens").mkdir()
        configuration = directory / "softhsm2.conf"
        configuration.write_text(f"directories.tokendir = {directory}/tokens\n")
        self.environment = {"SOFTHSM2_CONF": configuration}
        self.manage("--init-token", "--free", "--label", "release", "--so-pin", "0000-officer")

    def manage(self, *words):
        run("softhsm2-util", *words, "--pin", PIN, env=self.environment)

    def import_key(self, label, number, *algorithm):
        file = self.trust_dir.parent / f"{label}.pem"
        run("openssl", "genpkey", "-out", file, *algorithm)
        self.manage("--import", file, "--token", "release", "--label", label, "--id", number)
        file.unlink()

    def publish(self, *words, pin=PIN, token="release") -> dict:
        module = next(filter(Path.exists, MODULES))
        settings = options(self.server, self.trust_dir)
        environment = self.environment | {"TOKEN_PIN": pin}
        return json.loads(run(PROGRAM, module, token, *words, *settings, env=environment).stdout)

    def init(self, gun):
        return self.publish("init", gun)

    def sign(self, gun, tag, **how):
        digest, size = image = make_image(f"{gun}:{tag}")
        self.publish("sign", f"{gun}:{tag}", digest, size, **how)
        return image


@pytest.fixture
def hsm(tmp_path, server):
    need(any(map(Path.exists, MODULES)) and bool(shutil.which("softhsm2-util")), "softhsm2")
    need(PROGRAM.exists(), "the example `pkcs11` (of `make test`)")
    (tmp_path / "hsm").mkdir()
    return SoftHsm(tmp_path / "hsm", server)


@pytest.mark.parametrize("kind", ["made on it", "RSA and P-384"])
def test_a_repository_of_keys_on_a_token_is_read_by_the_real_programs(kind, hsm, notary, docker):
    if kind != "made on it":
        hsm.import_key("root", "01", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
        hsm.import_key("targets", "02", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384")
    gun = new_gun("pkcs11")
    publication = hsm.init(gun)
    assert [file["role"] for file in publication["files"]] == ["root", "targets"]
    images = {tag: hsm.sign(gun, tag) for tag in ("v1", "v2")}
    assert notary.list(gun) == {tag: (*image, "targets") for tag, image in images.items()}
    (seen,) = json.loads(docker.inspect(gun))
    digests = {tag["SignedTag"]: f"sha256:{tag['Digest']}" for tag in seen["SignedTags"]}
    assert digests == {tag: digest for tag, (digest, _) in images.items()}
    root = json.loads(hsm.server.metadata(gun, "root"))
    expected = {"made on it": ("ecdsa", "ecdsa"), "RSA and P-384": ("rsapss", "ecdsa")}[kind]
    targets = json.loads(hsm.server.metadata(gun, "targets"))
    assert tuple(file["signatures"][0]["method"] for file in (root, targets)) == expected
    # No key was made on disk.
    assert not list(hsm.trust_dir.glob("private/**/*.key"))


@pytest.mark.parametrize(
    "how, says",
    [({"pin": "1937-falsch"}, "the token refused it"), ({"token": "elsewhere"}, 'there are "release"')],
    ids=["wrong PIN", "wrong token"],
)
def test_what_cannot_be_signed_is_not_published(how, says, hsm, notary):
    gun = new_gun("pkcs11")
    hsm.init(gun)
    image = hsm.sign(gun, "v1")
    with pytest.raises(CommandFailed, match=says) as caught:
        hsm.sign(gun, "v2", **how)
    assert caught.value.returncode == 3
    assert not any(pin in str(caught.value) for pin in (PIN, "1937-falsch"))
    assert notary.list(gun) == {"v1": (*image, "targets")}
