"""A hostile server: whatever it sends, the answer comes in bounded time and memory."""

import functools
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from attacks import server, tuf
from attacks.faults import (
    GUN,
    RELEASES,
    ROOT_NOT_TRUSTED,
    TAG,
    TAMPERED,
    TRUSTED,
    UNREACHABLE,
    cache_of,
    names_of,
    published,
)
from attacks.judges import TrustDirectory
from attacks.server import Server
from lab.process import clean_environment

MIB, GIB = 1 << 20, 1 << 30
TIMEOUT = 1.0  # seconds, the client's own, where it is to run out
SPARE = 10.0  # seconds that a loaded machine may add to it
QUICK = 2.0  # seconds of computing for an answer without much to read, in a build that is not optimised
CODE = 12 * MIB  # pages of the library itself that come into memory with the first request, in such a build
LONG = 60.0  # the timeout where the answer must not depend on how busy the machine is
FIGURES = []


class Report:
    """What one verification answered and took."""

    def __init__(self, name, url, ca_file, cached, pinning, timeout):
        with TrustDirectory(cached) as directory:
            if pinning:
                (directory.path / "ca.pem").write_bytes(pinning)
                pinning = {"ca": {"": str(directory.path / "ca.pem")}}
            client = {
                "trust_dir": str(directory.path),
                "docker_config": str(directory.path / "docker"),
                "server": url,
                "ca_file": str(ca_file),
                "timeout": timeout,
                "pinning": pinning,
            }
            order = {"reference": f"{GUN}:{TAG}", "client": client, "most_bytes": 2 * GIB}
            program = [sys.executable, Path(__file__).with_name("child.py"), json.dumps(order)]
            run = subprocess.run(program, env=clean_environment(), capture_output=True, text=True, timeout=120)
            assert run.returncode == 0, run.stderr
            self.__dict__ = json.loads(run.stdout)
            self.cache = directory.read()
        FIGURES.append(
            f"{self.seconds:6.2f} s {self.cpu:6.2f} s CPU {self.bytes / MIB:6.1f} MiB  {self.answer:15} {name}"
        )


@pytest.fixture
def verify(request, clients, hostile_server):
    """Publishes the repository, verifies, and holds time and memory against the bounds.

    Memory is counted beyond what the process had before it began.
    """

    def verify(repository, expect, **bounds):
        return verify.url(hostile_server.publish(GUN, repository.files()), hostile_server.ca_file, expect, **bounds)

    def check(
        url, ca_file, expect, *, filled=False, timeout=None, most_cpu=QUICK, most_bytes=48 * MIB, pinning=None
    ):
        timeout = timeout or (TIMEOUT if expect == UNREACHABLE else LONG)
        cached = cache_of(published().files()) if filled else {}
        report = Report(request.node.name, url, ca_file, cached, pinning, timeout)
        assert report.answer == expect, report.message
        assert report.seconds < timeout + SPARE
        assert report.cpu < most_cpu
        assert report.bytes < CODE + most_bytes
        if expect != TRUSTED:
            assert {name: report.cache.get(name) for name in cached} == cached
        return report

    verify.url = check
    return verify


def answering(role, answer):
    """A new publication in which the role's file is answered like this."""
    repository = published().next()
    if role == "root":
        repository.next_root()

    def hook(files):
        for name in names_of(files, role):
            files[name] = answer

    repository.on_wire.append(hook)
    return repository


def containing(role, change):
    """A new publication whose role has bytes that the files above vouch for."""
    repository = published().next()
    repository[role].on_bytes.append(change)
    return repository


# Bytes without an end

ROLES = ("root", "timestamp", "snapshot", RELEASES)


@pytest.mark.parametrize("role", ROLES)
def test_an_endless_body_is_cut_at_the_limit_of_its_role(verify, role):
    verify(answering(role, server.endless()), TAMPERED)


@pytest.mark.parametrize("role", ROLES)
def test_an_endless_body_in_chunks_is_cut_at_the_limit_of_its_role(verify, role):
    verify(answering(role, server.endless_chunks), TAMPERED)


@pytest.mark.parametrize("role", ROLES)
def test_a_body_that_announces_too_much_is_not_read(verify, role):
    answer = server.endless(Content_Length=8 * GIB)
    verify(answering(role, answer), TAMPERED, most_bytes=8 * MIB)


@pytest.mark.parametrize("status", [204, 401, 404, 500])
def test_the_endless_body_of_an_error_is_not_read(verify, status):
    answer = server.endless(status=status)
    expect = {204: UNREACHABLE, 401: "Unauthorized", 404: "NoTrustData", 500: UNREACHABLE}[status]
    verify(answering("timestamp", answer), expect, most_bytes=8 * MIB)


@pytest.mark.parametrize("packed", ["gzip", "deflate", "br", "gzip, gzip"])
def test_a_packed_body_is_not_unpacked(verify, packed):
    verify(answering("timestamp", server.bomb(packed)), UNREACHABLE, most_bytes=8 * MIB)


# Time without an end


@pytest.mark.parametrize("role", ROLES)
def test_one_byte_a_second_ends_at_the_timeout(verify, role):
    data = published().files()[f"{role}.json"]
    verify(answering(role, server.drip(data, 1.0)), UNREACHABLE)


def test_one_byte_a_second_for_a_timestamp_leads_to_the_cached_one(verify):
    data = published().files()["timestamp.json"]
    verify(answering("timestamp", server.drip(data, 1.0)), TRUSTED, filled=True, timeout=TIMEOUT)


@pytest.mark.parametrize("role", ROLES)
def test_silence_ends_at_the_timeout(verify, role):
    verify(answering(role, server.silence(10)), UNREACHABLE)


def test_headers_one_byte_a_second_end_at_the_timeout(verify):
    verify(answering("timestamp", server.slow_head), UNREACHABLE)


def test_headers_without_an_end_are_cut(verify):
    verify(answering("timestamp", server.endless_head), UNREACHABLE, most_bytes=8 * MIB)


def test_interim_answers_without_an_end_end_at_the_timeout(verify):
    verify(answering("timestamp", server.endless_continue), UNREACHABLE, most_cpu=TIMEOUT + SPARE, most_bytes=8 * MIB)


def test_the_timeout_is_for_the_whole_chain_of_roots(verify):
    """Each of 100 roots comes late, none of them too late."""
    repository = published().next()
    for number in range(100):
        repository.rotate_root([tuf.root_key(f"root {number}", GUN)])

    def hook(files):
        for name in files:
            if name[0].isdigit():
                files[name] = server.late(files[name], 0.2)

    repository.on_wire.append(hook)
    verify(repository, UNREACHABLE, filled=True)


@pytest.mark.parametrize(
    "says", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"\x15\x03\x01\x00\x02\x02\x28"]
)
def test_a_server_without_tls_is_unreachable(verify, hostile_server, says):
    """Silence, plain HTTP, a TLS alert."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = []

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                taken.append(connection)
                connection.sendall(says)

        threading.Thread(target=serve, daemon=True).start()
        verify.url(f"https://127.0.0.1:{listener.getsockname()[1]}", hostile_server.ca_file, UNREACHABLE)
        listener.shutdown(socket.SHUT_RDWR)
        for connection in taken:
            connection.close()


def test_a_server_of_another_ca_is_unreachable(verify, hostile_server, tmp_path):
    other = Server(tmp_path)
    url = other.publish(GUN, published().files())
    verify.url(url, hostile_server.ca_file, UNREACHABLE)
    verify.url(url, other.ca_file, TRUSTED)
    other.close()


# Places elsewhere


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_server_is_not_followed(verify, tmp_path, code):
    elsewhere = Server(tmp_path)
    url = elsewhere.publish(GUN, published(prefix="mallory ").files())
    answer = server.redirect(f"{url}/v2/{GUN}/_trust/tuf/timestamp.json", code)
    verify(answering("timestamp", answer), UNREACHABLE)
    assert elsewhere.requests == []
    elsewhere.close()


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "http://127.0.0.1:1/", "//127.0.0.1:1/", "https://127.0.0.1:1/", "\0", "::", ""]
)
def test_a_redirect_to_no_https_url_of_this_server_is_not_followed(verify, location):
    verify(answering("timestamp", server.redirect(location)), UNREACHABLE)


# Depth and numbers


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("role", ROLES)
def test_100000_levels_of_json_are_refused(verify, role, opening):
    deep = opening * 100_000
    verify(containing(role, lambda data: data[:-1] + b',"x":' + deep), TAMPERED)


def test_a_million_signatures_are_refused(verify):
    many = b",".join([b'{"keyid":"","method":"ecdsa","sig":""}'] * 1_000_000)
    repository = containing(RELEASES, lambda data: data[:-2] + b"," + many + b"]}")
    verify(repository, TAMPERED, timeout=LONG, most_cpu=10, most_bytes=128 * MIB)


def test_a_thousand_bad_signatures_of_the_right_key_are_checked_in_time(verify):
    repository = published().next()
    repository[RELEASES].on_signatures.append(lambda s, p: [repository[RELEASES].signers[0].sign(p + b" ")] * 1023 + s)
    verify(repository, TRUSTED)


def test_a_number_of_a_million_digits_is_refused(verify):
    verify(containing("timestamp", lambda data: data[:-1] + b',"x":' + b"9" * 1_000_000 + b"}"), TAMPERED)


def test_a_text_of_90_mib_is_no_trouble(verify):
    repository = containing(RELEASES, lambda data: data[:-1] + b',"x":"' + b"a" * (90 * MIB) + b'"}')
    verify(repository, TRUSTED, timeout=LONG, most_cpu=10, most_bytes=400 * MIB)


def test_white_space_of_90_mib_is_no_trouble(verify):
    repository = containing(RELEASES, lambda data: data + b" " * (90 * MIB))
    verify(repository, TRUSTED, timeout=LONG, most_cpu=10, most_bytes=400 * MIB)


def members(number):
    return b",".join(b'"%d":0' % n for n in range(number))


def test_a_timestamp_with_100000_members_is_read_in_time(verify):
    """It costs whoever answers nothing: the signature is checked after the form."""
    repository = containing("timestamp", lambda data: data[:-1] + b"," + members(100_000) + b"}")
    verify(repository, TRUSTED)


def test_a_payload_with_a_million_members_is_read_in_time(verify):
    repository = published().next()
    repository[RELEASES].signed["x"] = b"{" + b",".join(b'"%07d":0' % n for n in range(1_000_000)) + b"}"
    verify(repository, TRUSTED, timeout=LONG, most_cpu=10, most_bytes=256 * MIB)


def test_a_hundred_thousand_delegations_are_refused(verify):
    repository = published().next()
    declared = repository["targets"].signed["delegations"]["roles"]
    declared += [{**declared[0], "name": f"targets/d{number}"} for number in range(100_000)]
    verify(repository, TAMPERED, timeout=LONG, most_cpu=10, most_bytes=256 * MIB)


def test_a_file_larger_than_its_limit_is_not_fetched(verify):
    repository = published().next()
    repository[RELEASES].on_entry.append(lambda entry: {**entry, "length": 2 * GIB})
    repository.on_wire.append(lambda files: files.update({tuf.hashed_name(files, RELEASES): server.endless()}))
    verify(repository, TAMPERED, timeout=LONG, most_cpu=10, most_bytes=256 * MIB)


# Certificates


def rooted(public):
    """A repository whose root key has this text."""
    return published_with(tuf.certificate_key("root", public))


def published_with(key):
    repository = published().next()
    repository.rotate_root([key])
    return repository


LEAF = functools.partial(tuf.certificate, "root", GUN)


def test_megabytes_of_certificates_are_refused(verify):
    authority = tuf.pem(tuf.certificate("authority", "Authority", ca=True))
    verify(rooted(tuf.pem(LEAF()) + authority * 7000), ROOT_NOT_TRUSTED, timeout=LONG, most_cpu=5)


def test_megabytes_of_leaf_certificates_are_refused(verify):
    verify(rooted(tuf.pem(LEAF()) * 7000), ROOT_NOT_TRUSTED, timeout=LONG, most_cpu=5)


def test_megabytes_of_empty_pem_blocks_are_refused(verify):
    block = b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"
    verify(rooted(tuf.pem(LEAF()) + block * 100_000), ROOT_NOT_TRUSTED, timeout=LONG, most_cpu=5)


def test_thousands_of_root_keys_are_refused(verify):
    repository = published().next()
    keys = [tuf.certificate_key("root", tuf.pem(LEAF(ends=tuf.NOW + n * tuf.DAY))) for n in range(400, 2400)]
    repository.rotate_root(keys)
    repository["root"].signers = keys[:1]
    verify(repository, TAMPERED, timeout=LONG, most_cpu=5)


def test_a_maze_of_intermediates_is_left_in_time(verify):
    """Hundreds of certificates that could each have signed each other, and none leads to the pinned CA."""
    name = ("maze", "Maze", "P-256")
    maze = [tuf.certificate(f"maze {n}", "Maze", ca=True, issuer=name) for n in range(300)]
    repository = rooted(tuf.pem(LEAF(issuer=name, purpose=None), *maze))
    pinned = tuf.pem(tuf.certificate("pinned", "Maze", ca=True))
    verify(repository, ROOT_NOT_TRUSTED, pinning=pinned)
