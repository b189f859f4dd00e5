"""Exceptions: one for each error of the core, with its evidence."""

import copy
import pickle
import re
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "core/src/error.rs"


def test_classes_and_codes_are_those_of_the_core(tagtrust):
    source = CORE.read_text()
    codes = dict(re.findall(r"Self::(\w+) \{ \.\. \} => (\d+),", source))
    names = dict(re.findall(r'Self::(\w+) \{ \.\. \} => "(\w+)",', source))
    assert len(codes) == len(names) > 10
    core = {names[variant]: int(code) for variant, code in codes.items()}
    assert {cls.__name__: cls.code for cls in tagtrust.TrustError.__subclasses__()} == core
    assert core.keys() <= set(tagtrust.__all__)


def test_fields_are_those_of_the_core(tagtrust):
    enum = re.search(r"pub enum Error \{\n(.*?)\n\}\n", CORE.read_text(), re.DOTALL)[1]
    variants = re.findall(r"^    (\w+) \{\n(.*?)^    \},", enum, re.DOTALL | re.MULTILINE)
    assert len(variants) == len(tagtrust.TrustError.__subclasses__())
    for variant, body in variants:
        cls = getattr(tagtrust, {"Internal": "InternalError"}.get(variant, variant))
        fields = re.findall(r"^        (\w+): ", body, re.MULTILINE)
        assert list(cls.__annotations__) == fields, variant


def test_refusals_are_told_from_what_could_not_be_decided(tagtrust):
    refusals = {"NoTrustData", "TagNotSigned", "DigestMismatch", "Expired", "RolledBack", "Tampered"}
    refusals |= {"RootNotTrusted", "PolicyViolation"}
    for cls in tagtrust.TrustError.__subclasses__():
        assert cls("").is_refusal == (cls.__name__ in refusals)


def test_an_error_names_what_it_is_about(client, tagtrust, signed, server):
    with pytest.raises(tagtrust.TagNotSigned) as caught:
        client.verify(f"{signed.gun}:absent")
    error = caught.value
    assert (error.code, error.gun, error.name) == (11, signed.gun, "absent")
    assert error.evidence == {"gun": signed.gun, "name": "absent", "reason": error.reason}
    assert error.message == str(error) and signed.gun in error.message

    with pytest.raises(tagtrust.NoTrustData) as caught:
        client.verify("registry.example:5000/lab/unknown:v1")
    assert caught.value.server.rstrip("/") == server.url


def test_a_fault_has_a_kind_and_details(connect, tagtrust, proxy, signed):
    proxy.change = lambda path, body: None if "/targets." in path else body
    with pytest.raises(tagtrust.Tampered) as caught:
        connect(proxy).verify(f"{signed.gun}:v1")
    assert caught.value.role == "targets"
    assert caught.value.fault == {"kind": "missing"}

    proxy.change = lambda path, body: b" " * len(body) if "/targets." in path else body
    with pytest.raises(tagtrust.Tampered) as caught:
        connect(proxy).verify(f"{signed.gun}:v1")
    assert caught.value.fault["kind"] == "checksum"
    assert caught.value.fault["detail"]["algorithm"] == "sha256"


def test_an_error_survives_copying_and_pickling(client, tagtrust):
    with pytest.raises(tagtrust.InvalidReference) as caught:
        client.verify("a@b")
    error = caught.value
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(twin) is tagtrust.InvalidReference
        assert (twin.message, twin.evidence, twin.reference) == (error.message, error.evidence, "a@b")


def test_users_see_the_public_name(tagtrust):
    for cls in (tagtrust.TrustError, *tagtrust.TrustError.__subclasses__()):
        assert cls.__module__ == "tagtrust"
        assert cls.__doc__
