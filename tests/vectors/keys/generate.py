#!/usr/bin/env python3
"""Makes keys.json anew with notary, docker trust and OpenSSL 3.0. The keys protect nothing."""

import base64
import hashlib
import json
import os
import pathlib
import subprocess
import tempfile

PASSPHRASE = "correct horse"
vectors = []


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, **more).stdout


def openssl(*arguments, stdin=None):
    return run("openssl", *arguments, input=stdin)


def key_id(pem, kind):
    spki = openssl("pkey", "-pubout", "-outform", "DER", stdin=pem)
    public = base64.b64encode(spki).decode()
    canonical = '{"keytype":"%s","keyval":{"private":null,"public":"%s"}}' % (kind, public)
    return hashlib.sha256(canonical.encode()).hexdigest()


def add(name, pem, *, writer="openssl", role=None, passphrase=None, id=None, fault=None):
    vector = {"name": name, "writer": writer, "pem": pem.decode()}
    optional = {"role": role, "passphrase": passphrase, "id": id, "fault": fault}
    vectors.append(vector | {key: value for key, value in optional.items() if value is not None})


def encrypted(name, pem, **more):
    add(name, pem, passphrase=PASSPHRASE, **more)


def of_openssl():
    password = ["-passout", f"pass:{PASSPHRASE}"]
    for curve, name in ("p256", "prime256v1"), ("p384", "secp384r1"), ("p521", "secp521r1"):
        sec1 = openssl("ecparam", "-name", name, "-genkey")
        id = key_id(sec1, "ecdsa")
        add(f"{curve} sec1, after its parameters", sec1, id=id)
        add(f"{curve} pkcs8", openssl("pkcs8", "-topk8", "-nocrypt", stdin=sec1), id=id)
        encrypted(f"{curve} pkcs8, hmac-sha256", openssl("pkcs8", "-topk8", *password, stdin=sec1), id=id)
        legacy = openssl("ec", "-aes256", *password, stdin=sec1)
        encrypted(f"{curve} sec1, aes-256 by rfc 1423", legacy, id=id)

    p256 = openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout")
    id = key_id(p256, "ecdsa")

    def pkcs8(*options):
        return openssl("pkcs8", "-topk8", *options, *password, stdin=p256)

    for prf in "hmacWithSHA1", "hmacWithSHA224", "hmacWithSHA384", "hmacWithSHA512":
        encrypted(f"pkcs8, {prf}", pkcs8("-v2prf", prf), id=id)
    for cipher in "aes-128-cbc", "aes-192-cbc":
        encrypted(f"pkcs8, {cipher}", pkcs8("-v2", cipher), id=id)
    for cipher in "aes128", "aes192", "des3":
        encrypted(f"sec1, {cipher} by rfc 1423", openssl("ec", f"-{cipher}", *password, stdin=p256), id=id)
    encrypted("pkcs8, 10000 iterations", pkcs8("-iter", "10000"), id=id)
    for name, options in {
        "pkcs8, too many iterations": None,
        "pkcs8, triple des": ["-v2", "des3"],
        "pkcs8, camellia": ["-v2", "camellia256"],
        "pkcs8, scrypt": ["-scrypt"],
        "pkcs8, pbes1": ["-v1", "PBE-SHA1-3DES"],
    }.items():
        if options is None:
            der = openssl("pkcs8", "-topk8", "-outform", "DER", "-iter", "9999999", *password, stdin=p256)
            # INTEGER 9999999 becomes 10000001.
            pem = base64.encodebytes(der.replace(b"\x98\x96\x7f", b"\x98\x96\x81")).decode().replace("\n", "")
            lines = "\n".join(pem[at : at + 64] for at in range(0, len(pem), 64))
            pem = f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{lines}\n-----END ENCRYPTED PRIVATE KEY-----\n".encode()
        else:
            pem = pkcs8(*options)
        encrypted(name, pem, fault="unsupported")
    encrypted("sec1, camellia by rfc 1423", openssl("ec", "-camellia256", *password, stdin=p256), fault="unsupported")
    explicit = openssl("ec", "-param_enc", "explicit", stdin=p256)
    add("sec1, explicit curve", explicit, fault="malformed")
    for curve in "secp256k1", "secp224r1":
        add(f"sec1, {curve}", openssl("ecparam", "-name", curve, "-genkey", "-noout"), fault="unsupported")
    ed25519 = openssl("genpkey", "-algorithm", "ed25519")
    add("ed25519 by rfc 8410", ed25519, fault="unsupported")
    encrypted("ed25519 by rfc 8410, encrypted", openssl("pkcs8", "-topk8", *password, stdin=ed25519), fault="unsupported")
    add("x25519", openssl("genpkey", "-algorithm", "x25519"), fault="unsupported")

    pkcs1 = openssl("genrsa", "-traditional", "2048")
    id = key_id(pkcs1, "rsa")
    add("rsa pkcs1", pkcs1, id=id)
    add("rsa pkcs8", openssl("pkcs8", "-topk8", "-nocrypt", stdin=pkcs1), id=id)
    encrypted("rsa pkcs8, hmac-sha256", openssl("pkcs8", "-topk8", *password, stdin=pkcs1), id=id)
    legacy = openssl("rsa", "-traditional", "-aes256", *password, stdin=pkcs1)
    encrypted("rsa pkcs1, aes-256 by rfc 1423", legacy, id=id)
    for bits in "1024", "2047":
        add(f"rsa pkcs1, {bits} bits", openssl("genrsa", "-traditional", bits), fault="unsupported")
    return pkcs1


def of_notary(directory, rsa):
    secret = {f"NOTARY_{role}_PASSPHRASE": PASSPHRASE for role in ("ROOT", "DELEGATION")}
    secret["DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"] = PASSPHRASE
    notary_dir, docker_dir = directory / "notary", directory / "docker"
    environment = os.environ | secret | {"DOCKER_CONFIG": str(docker_dir)}
    run("notary", "-d", notary_dir, "key", "generate", env=environment)
    imported = {"rsa": rsa}
    for role, curve in ("p384", "secp384r1"), ("p521", "secp521r1"):
        imported[role] = openssl("ecparam", "-name", curve, "-genkey", "-noout")
    for role, pem in imported.items():
        file = directory / f"{role}.pem"
        file.write_bytes(pem)
        run("notary", "-d", notary_dir, "key", "import", file, "--role", role, env=environment)
    run("docker", "trust", "key", "generate", "alice", "--dir", directory, env=environment)
    for file in sorted([*notary_dir.glob("private/*.key"), *docker_dir.glob("trust/private/*.key")]):
        pem = file.read_bytes()
        role = pem.split(b"role: ")[1].split(b"\n")[0].decode()
        encrypted(f"{role} of the real programs", pem, writer="notary", role=role, id=file.stem)


with tempfile.TemporaryDirectory() as directory:
    of_notary(pathlib.Path(directory), of_openssl())
vectors.sort(key=lambda vector: vector["writer"])
text = json.dumps(vectors, indent=1) + "\n"
(pathlib.Path(__file__).parent / "keys.json").write_text(text)
