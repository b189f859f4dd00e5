#!/usr/bin/env python3
"""Makes vectors.json anew with OpenSSL 3.0: one vector for each rule about keys and methods.

The keys are thrown away. The Ed25519 vector is Notary's own form with the seed 00 01 … 1f.
"""
import base64
import json
import pathlib
import subprocess
import tempfile

MESSAGE = b'{"_type":"Targets","version":1}'
ED25519_PUBLIC = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
ED25519_MESSAGE = (
    '{"_type":"Targets","delegations":{"keys":{},"roles":[]},"expires":"2099-01-01T00:00:00Z",'
    '"targets":{"a<b>&é\\"\\\\":{"hashes":{"sha256":"WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM="},'
    '"length":6}},"version":1}'
)
ED25519_SIGNATURE = (
    "KI+jEBavRmRcJty9Mc4/ijpfo8Zj0u2izUU8B8Pseky52ICOBld/RB7aPctoXqNRTqkh3D8o7Sow/NstJnZ/AA=="
)

vectors = []


def openssl(*arguments, stdin=None):
    return subprocess.run(["openssl", *arguments], input=stdin, check=True, capture_output=True).stdout


class Key:
    def __init__(self, *options):
        self.file = tempfile.NamedTemporaryFile(suffix=".pem")
        self.file.write(openssl("genpkey", "-quiet", *options))
        self.file.flush()

    def spki(self):
        return openssl("pkey", "-in", self.file.name, "-pubout", "-outform", "DER")

    def pem(self):
        return openssl("pkey", "-in", self.file.name, "-pubout")

    def certificate(self):
        return openssl("req", "-x509", "-new", "-key", self.file.name, "-days", "36500", "-subj", "/CN=vector")

    def sign(self, digest="sha256", **options):
        options = [word for name, value in options.items() for word in ("-sigopt", f"{name}:{value}")]
        return openssl("dgst", f"-{digest}", "-sign", self.file.name, *options, stdin=MESSAGE)

    def pss(self, digest="sha256", salt=32, mgf="sha256"):
        return self.sign(digest, rsa_padding_mode="pss", rsa_pss_saltlen=salt, rsa_mgf1_md=mgf)


def ec(curve):
    return Key("-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-pkeyopt", "ec_param_enc:named_curve")


def rsa(bits, exponent=65537):
    return Key("-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}", "-pkeyopt", f"rsa_keygen_pubexp:{exponent}")


def raw(signature, size):
    """The two numbers of an ASN.1 signature, side by side."""
    at, numbers = (2 if signature[1] < 0x80 else 3), b""
    for _ in range(2):
        length = signature[at + 1]
        numbers += signature[at + 2 : at + 2 + length].lstrip(b"\0").rjust(size, b"\0")
        at += 2 + length
    return numbers


def vector(name, valid, keytype, public, method, signature, message=MESSAGE):
    b64 = lambda data: base64.b64encode(data).decode()
    vectors.append(
        {
            "name": name,
            "valid": valid,
            "keytype": keytype,
            "public": b64(public),
            "method": method,
            "message": message.decode(),
            "sig": b64(signature),
        }
    )


ed = [base64.b64decode(ED25519_PUBLIC), "eddsa", base64.b64decode(ED25519_SIGNATURE), ED25519_MESSAGE.encode()]
vector("Ed25519", True, "ed25519", *ed)
vector("Ed25519, other message", False, "ed25519", *ed[:3], MESSAGE)
vector("Ed25519, key type in upper case", False, "ED25519", *ed)
vector("Ed25519, method of ECDSA", False, "ed25519", ed[0], "ecdsa", *ed[2:])
vector("Ed25519, key too long", False, "ed25519", ed[0] + b"\0", *ed[1:])
vector("Ed25519, signature too long", False, "ed25519", *ed[:2], ed[2] + b"\0", ed[3])

for curve, size in (("P-256", 32), ("P-384", 48), ("P-521", 66)):
    key = ec(curve)
    spki, der = key.spki(), key.sign()
    signature = raw(der, size)
    vector(curve, True, "ecdsa", spki, "ecdsa", signature)
    vector(f"{curve}, certificate", True, "ecdsa-x509", key.certificate(), "ecdsa", signature)
    vector(f"{curve}, certificate under the bare type", False, "ecdsa", key.certificate(), "ecdsa", signature)
    vector(f"{curve}, bare key under the certificate type", False, "ecdsa-x509", spki, "ecdsa", signature)
    vector(f"{curve}, ASN.1 signature", False, "ecdsa", spki, "ecdsa", der)
    vector(f"{curve}, signature with leading zeros", False, "ecdsa", spki, "ecdsa",
           b"\0" + signature[:size] + b"\0" + signature[size:])
    vector(f"{curve}, empty signature", False, "ecdsa", spki, "ecdsa", b"")
    vector(f"{curve}, r and s zero", False, "ecdsa", spki, "ecdsa", bytes(2 * size))
    vector(f"{curve}, digest SHA-512", False, "ecdsa", spki, "ecdsa", raw(key.sign("sha512"), size))
    vector(f"{curve}, method of RSA", False, "ecdsa", spki, "rsapss", signature)
    vector(f"{curve}, method in upper case", False, "ecdsa", spki, "ECDSA", signature)
    vector(f"{curve}, bytes after the key", False, "ecdsa", spki + b"\0", "ecdsa", signature)
    vector(f"{curve}, point not on the curve", False, "ecdsa", spki[:-1] + bytes([spki[-1] ^ 1]), "ecdsa", signature)
    compressed = openssl("ec", "-in", key.file.name, "-pubout", "-outform", "DER", "-conv_form", "compressed")
    vector(f"{curve}, compressed point", False, "ecdsa", compressed, "ecdsa", signature)

key = ec("secp256k1")
vector("secp256k1", False, "ecdsa", key.spki(), "ecdsa", raw(key.sign(), 32))

key = rsa(2048)
spki, pss, pkcs1 = key.spki(), key.pss(), key.sign()
vector("RSA-PSS", True, "rsa", spki, "rsapss", pss)
vector("RSA-PSS, certificate", True, "rsa-x509", key.certificate(), "rsapss", pss)
vector("RSA-PSS, salt of 31 bytes", False, "rsa", spki, "rsapss", key.pss(salt=31))
vector("RSA-PSS, longest salt", False, "rsa", spki, "rsapss", key.pss(salt="max"))
vector("RSA-PSS, no salt", False, "rsa", spki, "rsapss", key.pss(salt=0))
vector("RSA-PSS, digest SHA-512", False, "rsa", spki, "rsapss", key.pss("sha512"))
vector("RSA-PSS, mask SHA-1", False, "rsa", spki, "rsapss", key.pss(mgf="sha1"))
vector("RSA-PSS as PKCS#1", False, "rsa", spki, "rsapkcs1v15", pss)
vector("RSA-PSS, signature one byte short", False, "rsa", spki, "rsapss", pss[1:])
vector("RSA-PSS, signature with a leading zero", False, "rsa", spki, "rsapss", b"\0" + pss)
vector("RSA-PSS, method of ECDSA", False, "rsa", spki, "ecdsa", pss)
vector("RSA-PSS, key type of ECDSA", False, "ecdsa", spki, "rsapss", pss)
vector("RSA PKCS#1", True, "rsa", spki, "rsapkcs1v15", pkcs1)
vector("RSA PKCS#1, certificate", True, "rsa-x509", key.certificate(), "rsapkcs1v15", pkcs1)
vector("RSA PKCS#1 as PSS", False, "rsa", spki, "rsapss", pkcs1)
vector("RSA PKCS#1, digest SHA-512", False, "rsa", spki, "rsapkcs1v15", key.sign("sha512"))
vector("RSA, PyCrypto", True, "rsa", key.pem(), "pycrypto-pkcs#1 pss", pss)
vector("RSA, PyCrypto, no newline at the end", True, "rsa", key.pem().strip(), "pycrypto-pkcs#1 pss", pss)
vector("RSA, PyCrypto, DER", False, "rsa", spki, "pycrypto-pkcs#1 pss", pss)
vector("RSA, PyCrypto, certificate", False, "rsa-x509", key.certificate(), "pycrypto-pkcs#1 pss", pss)
vector("RSA, PyCrypto, PKCS#1", False, "rsa", key.pem(), "pycrypto-pkcs#1 pss", pkcs1)
vector("RSA-PSS, PEM", False, "rsa", key.pem(), "rsapss", pss)
null = bytes.fromhex("300d06092a864886f70d0101010500")
assert null in spki and spki[:2] == b"\x30\x82"
body = spki[4:].replace(null, bytes.fromhex("300b06092a864886f70d010101"))
without_null = b"\x30\x82" + len(body).to_bytes(2, "big") + body
vector("RSA, key without NULL parameters", False, "rsa", without_null, "rsapss", pss)
key = rsa(2047)
vector("RSA-PSS, 2047 bits", False, "rsa", key.spki(), "rsapss", key.pss())
vector("RSA PKCS#1, 2047 bits", False, "rsa", key.spki(), "rsapkcs1v15", key.sign())
key = rsa(2049)
vector("RSA-PSS, 2049 bits", True, "rsa", key.spki(), "rsapss", key.pss())
key = rsa(2048, 2**32 + 1)
vector("RSA-PSS, exponent above 2^31", False, "rsa", key.spki(), "rsapss", key.pss())

text = "[\n" + ",\n".join(json.dumps(v) for v in vectors) + "\n]\n"
pathlib.Path(__file__).with_name("vectors.json").write_text(text)
