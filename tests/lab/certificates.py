"""Certificates for the lab's servers, and keys for delegations."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True)
class ServerCertificate:
    """Files in PEM: the CA that signed, the server's (or client's) certificate and its key."""

    ca_file: Path
    cert_file: Path
    key_file: Path


def make_server_certificate(directory: Path) -> ServerCertificate:
    """A new CA, and a certificate for 127.0.0.1 and localhost signed by it."""
    return _make_certificate(directory, "server", ExtendedKeyUsageOID.SERVER_AUTH)


def make_client_certificate(directory: Path) -> ServerCertificate:
    """A new CA, and a certificate for clients signed by it."""
    directory.mkdir(parents=True, exist_ok=True)
    return _make_certificate(directory, "client", ExtendedKeyUsageOID.CLIENT_AUTH)


def _make_certificate(directory, name, usage) -> ServerCertificate:
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("tagtrust test CA")
    ca = (
        _certificate(ca_name, ca_name, ca_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    certificate = (
        _certificate(_name("localhost"), ca_name, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    files = ServerCertificate(directory / "ca.crt", directory / f"{name}.crt", directory / f"{name}.key")
    files.ca_file.write_bytes(ca.public_bytes(Encoding.PEM))
    files.cert_file.write_bytes(certificate.public_bytes(Encoding.PEM))
    _write_private_key(files.key_file, key)
    return files


def make_delegation_key(kind: str, directory: Path, name: str) -> tuple[Path, Path]:
    """(public, private) PEM files of a delegation key.

    `kind`: ecdsa or rsa for a bare public key, ecdsa-x509 or rsa-x509 for a
    self-signed certificate, which is what Notary's documentation tells people to make.
    """
    algorithm, _, certified = kind.partition("-")
    key = rsa.generate_private_key(65537, 2048) if algorithm == "rsa" else ec.generate_private_key(ec.SECP256R1())
    public, private = directory / f"{name}.pem", directory / f"{name}.key"
    if certified:
        own_name = _name(name)
        public.write_bytes(_certificate(own_name, own_name, key).sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    else:
        public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    _write_private_key(private, key)
    return public, private


def _certificate(subject, issuer, key):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=365))
    )


def _name(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(**used):
    every = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement "
        "key_cert_sign crl_sign encipher_only decipher_only"
    ).split()
    return x509.KeyUsage(**{usage: used.get(usage, False) for usage in every})


def _write_private_key(path, key):
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
