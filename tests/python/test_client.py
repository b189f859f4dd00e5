"""The client and its settings."""

import asyncio
import datetime
import logging
import ssl
import sys
import threading
import time
import urllib.request
from types import MappingProxyType

import pytest

from lab import DockerTrust, Proxy

UTC = datetime.timezone.utc


def files(directory):
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


class TestAnswers:
    def test_an_image_shows_what_was_signed(self, client, signed):
        image = client.verify(f"{signed.gun}:v1")
        assert (image.digest, image.size) == signed.tags["v1"]
        assert (image.tags, image.signers) == (("v1",), ("alice", "bob"))
        assert image.expires > datetime.datetime.now(UTC)
        assert repr(image) == (
            f"Image(digest='{image.digest}', size={image.size}, tag='v1', tags=('v1',), repository='{signed.gun}', "
            f"role='targets/releases', signers=('alice', 'bob'), expires={image.expires!r}, fresh=True, "
            f"pinned_reference='{signed.gun}@{image.digest}')"
        )

    def test_equal_answers_are_equal(self, client, connect, signed):
        image, same, other = (client.verify(f"{signed.gun}:{tag}") for tag in ("v1", "v1", "v2"))
        assert image is not same and image == same and hash(image) == hash(same)
        assert image != other and image != image.digest
        assert len({image, same, other}) == 2
        assert client.inspect(signed.gun) == connect().inspect(signed.gun)
        assert client.inspect(signed.gun) != client.inspect(f"{signed.gun}:v1")

    def test_an_inspection_shows_tags_signers_and_keys(self, client, signed):
        inspection = client.inspect(f"{signed.gun}:by-alice")
        (tag,) = inspection.signed_tags
        assert (inspection.name, tag.tag, tag.signers) == (f"{signed.gun}:by-alice", "by-alice", ("alice",))
        assert f"sha256:{tag.digest}" == signed.tags["by-alice"][0]
        bob, alice = inspection.signers
        assert (alice.name, len(alice.keys), bob.name, len(bob.keys)) == ("alice", 2, "bob", 1)
        assert [keys.name for keys in inspection.administrative_keys] == ["Root", "Repository"]
        assert repr(bob) == f"Signer(name='bob', keys={bob.keys})"
        assert repr(tag) == f"SignedTag(tag='by-alice', digest='{tag.digest}', signers=('alice',))"
        assert repr(inspection).startswith(f"Inspection(name='{signed.gun}:by-alice', signed_tags=({tag!r},), signers=(")

    def test_nobody_can_make_or_change_an_answer(self, client, tagtrust, signed):
        for cls in (tagtrust.Image, tagtrust.Inspection, tagtrust.SignedTag, tagtrust.Signer):
            with pytest.raises(TypeError):
                cls()
            with pytest.raises(TypeError):
                type("Forged", (cls,), {})
        image = client.verify(f"{signed.gun}:v1")
        with pytest.raises(AttributeError):
            image.digest = "sha256:" + "0" * 64
        with pytest.raises(AttributeError):
            image.note = "fine"
        with pytest.raises(AttributeError):
            client.verify = lambda reference: image

    def test_many_results_keep_the_order(self, client, tagtrust, signed):
        references = [f"{signed.gun}:{tag}" for tag in ("v10", "absent", "v1", "v10")] + ["a@b"]
        results = client.verify_many(references)
        assert [type(result).__name__ for result in results] == [
            "Image", "TagNotSigned", "Image", "Image", "InvalidReference"
        ]  # fmt: skip
        assert results[0] == results[3] == client.verify(references[0])
        assert client.verify_many(()) == []

    def test_a_single_reference_is_not_many(self, client):
        with pytest.raises(TypeError):
            client.verify_many("alpine")


class TestSettings:
    @pytest.mark.parametrize(
        "setting",
        [
            {"timeout": -1},
            {"timeout": float("nan")},
            {"timeout": float("inf")},
            {"offline_max_age": -0.1},
            {"client_cert": "client.crt"},
            {"client_key": "client.key"},
            {"username": "alice"},
            {"password": "secret"},
            {"ca_file": "/nonexistent"},
            {"server": "http://registry.example"},
        ],
        ids=str,
    )
    def test_what_cannot_be_used_is_named(self, tagtrust, tmp_path, setting):
        with pytest.raises(tagtrust.InvalidConfiguration) as caught:
            tagtrust.Client(**{"trust_dir": tmp_path, **setting})
        assert "secret" not in str(caught.value)

    def test_settings_have_names(self, tagtrust):
        with pytest.raises(TypeError):
            tagtrust.Client("/trust")
        with pytest.raises(TypeError):
            tagtrust.Client(sever="https://registry.example")

    def test_docker_settings_hold_unless_others_are_given(self, tagtrust, server, signed, tmp_path, monkeypatch):
        docker = DockerTrust(server, tmp_path / "docker")
        monkeypatch.setenv("DOCKER_CONFIG", str(docker.config_dir))
        monkeypatch.setenv("DOCKER_CONTENT_TRUST_SERVER", server.url)
        image = tagtrust.Client().verify(f"{signed.gun}:v1")
        assert image.digest == signed.tags["v1"][0]
        assert (docker.trust_dir / "tuf" / signed.gun / "metadata/root.json").exists()

        other = DockerTrust(server, tmp_path / "other")
        tagtrust.Client(docker_config=other.config_dir).verify(f"{signed.gun}:v1")
        assert files(other.trust_dir)

    def test_a_given_age_saves_requests(self, connect, proxy, signed):
        every_time, remembering = connect(proxy), connect(proxy, offline_max_age=3600)
        for client, asks_again in ((every_time, True), (remembering, False)):
            client.verify(f"{signed.gun}:v1")
            before = len(proxy.requests)
            client.verify(f"{signed.gun}:v2")
            assert (len(proxy.requests) > before) == asks_again

    def test_many_references_of_a_repository_are_one_update(self, connect, proxy, signed):
        connect(proxy).verify_many([f"{signed.gun}:{tag}" for tag in ("v1", "v2", "v10", "absent")])
        assert sum("timestamp" in path for path in proxy.requests) == 1

    def test_many_references_of_a_repository_are_one_failure(self, connect, tagtrust, proxy, signed):
        proxy.change = lambda path, body: None
        client = connect(proxy)
        results = client.verify_many([f"{signed.gun}:v1"] * 20)
        assert {type(result) for result in results} == {tagtrust.NoTrustData}
        assert sum("root" in path for path in proxy.requests) == 1
        # Whoever comes later asks anew.
        with pytest.raises(tagtrust.NoTrustData):
            client.verify(f"{signed.gun}:v1")
        assert sum("root" in path for path in proxy.requests) == 2
        proxy.change = lambda path, body: body
        assert client.verify(f"{signed.gun}:v1").fresh

    def test_many_references_of_a_repository_wait_once(self, connect, proxy, signed):
        client, release = connect(proxy, timeout=0.5), threading.Event()
        client.verify(f"{signed.gun}:v1")
        proxy.requests.clear()
        proxy.change = lambda path, body: release.wait(20) and body
        try:
            results = client.verify_many([f"{signed.gun}:v1", f"{signed.gun}:v2"] * 10)
        finally:
            release.set()
        assert not any(image.fresh for image in results)
        assert sum("timestamp" in path for path in proxy.requests) == 1

    @pytest.mark.parametrize("directory", ["/sys/tagtrust", "/proc/self/tagtrust"])
    def test_what_is_seen_first_must_be_remembered(self, connect, tagtrust, signed, directory):
        client = connect(trust_dir=directory)
        for use in (client.verify, client.inspect):
            with pytest.raises(tagtrust.StoreError, match=f"{directory}.*name a trust directory that can be written"):
                use(f"{signed.gun}:v1")
        (result,) = client.verify_many([f"{signed.gun}:v1"])
        assert isinstance(result, tagtrust.StoreError)

    def test_the_cache_serves_unless_fresh_data_is_required(self, connect, tagtrust, server, signed, caplog):
        with Proxy(server) as proxy:
            connect(proxy).verify(f"{signed.gun}:v1")
        with caplog.at_level(logging.WARNING, "tagtrust"):
            assert not connect(proxy).verify(f"{signed.gun}:v1").fresh
        assert "using the cached timestamp" in caplog.text
        with pytest.raises(tagtrust.Unreachable):
            connect(proxy, require_fresh=True).verify(f"{signed.gun}:v1")

    def test_a_timeout_ends_the_wait(self, connect, tagtrust, proxy, signed):
        release = threading.Event()
        proxy.change = lambda path, body: release.wait(20) and body
        try:
            with pytest.raises(tagtrust.Unreachable):
                connect(proxy, timeout=0.3).verify(f"{signed.gun}:v1")
        finally:
            release.set()


class TestThreads:
    def test_other_threads_go_on_while_the_server_is_slow(self, connect, proxy, signed):
        asked, release = threading.Event(), threading.Event()
        results = []

        def wait(path, body):
            asked.set()
            assert release.wait(20)
            return body

        proxy.change = wait
        client = connect(proxy, timeout=30)
        work = [
            lambda: client.verify(f"{signed.gun}:v1"),
            lambda: client.verify_many([f"{signed.gun}:v1"])[0],
            lambda: client.inspect(signed.gun),
        ]
        # Were the interpreter held, nobody could answer these requests or set `release`.
        threads = [threading.Thread(target=lambda call=call: results.append(call())) for call in work]
        for thread in threads:
            thread.start()
        assert asked.wait(20)
        assert not results
        release.set()
        for thread in threads:
            thread.join()
        assert len(results) == 3

    def test_other_threads_go_on_while_signatures_are_checked(self, tagtrust, server, signed):
        url = f"{server.url}/v2/{signed.gun}/_trust/tuf/root.json"
        with urllib.request.urlopen(url, context=ssl.create_default_context(cafile=server.ca_file)) as answer:
            root = answer.read()
        turns, done = [0], threading.Event()

        def take_turns():
            while not done.is_set():
                turns[0] += 1
                time.sleep(0)

        other = threading.Thread(target=take_turns)
        interval = sys.getswitchinterval()
        # Nobody is told to hand over the interpreter: only who does so by himself lets others run.
        sys.setswitchinterval(1000)
        try:
            other.start()
            before = turns[0]
            for _ in range(50):
                tagtrust.TrustedSet(signed.gun, root)
            assert turns[0] > before
        finally:
            sys.setswitchinterval(interval)
            done.set()
            other.join()

    def test_an_event_loop_goes_on_while_many_images_are_verified(self, connect, proxy, signed):
        release = threading.Event()
        proxy.change = lambda path, body: release.wait(20) and body
        client = connect(proxy, timeout=30)

        async def verify():
            tags = list(signed.tags) * 4
            calls = [asyncio.to_thread(client.verify, f"{signed.gun}:{tag}") for tag in tags]
            answers = asyncio.gather(*calls)
            for _ in range(20):
                await asyncio.sleep(0.01)
            assert not answers.done()
            release.set()
            return tags, await answers

        try:
            tags, images = asyncio.run(verify())
        finally:
            release.set()
        assert [image.digest for image in images] == [signed.tags[tag][0] for tag in tags]

    def test_one_client_serves_many_threads(self, client, signed):
        tags = list(signed.tags) * 8
        results = {}

        def verify(number):
            results[number] = client.verify(f"{signed.gun}:{tags[number]}").digest

        threads = [threading.Thread(target=verify, args=(number,)) for number in range(len(tags))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [results[number] for number in range(len(tags))] == [signed.tags[tag][0] for tag in tags]


class TestClock:
    def test_a_clock_gives_seconds_or_a_moment(self, connect, signed):
        now = datetime.datetime.now(UTC)
        elsewhere = now.astimezone(datetime.timezone(datetime.timedelta(hours=9)))
        for value in (now.timestamp(), int(now.timestamp()), now, elsewhere):
            assert connect(clock=lambda value=value: value).verify(f"{signed.gun}:v1").fresh

    def test_what_expires_is_refused_from_then_on(self, connect, tagtrust, signed, tmp_path):
        moment = [datetime.datetime.now(UTC)]
        client = connect(clock=lambda: moment[0], offline_max_age=10**9)
        image = client.verify(f"{signed.gun}:v1")
        before = files(tmp_path / "trust")
        moment[0] = image.expires - datetime.timedelta(seconds=1)
        assert client.verify(f"{signed.gun}:v1") == image
        moment[0] = image.expires + datetime.timedelta(seconds=1)
        with pytest.raises(tagtrust.Expired) as caught:
            client.verify(f"{signed.gun}:v1")
        assert caught.value.gun == signed.gun
        assert files(tmp_path / "trust") == before

    @pytest.mark.parametrize(
        ("value", "raised"),
        [
            (datetime.datetime(2026, 1, 1), TypeError),
            ("2026-01-01", TypeError),
            (None, TypeError),
            (-1.0, ValueError),
            (float("nan"), ValueError),
            (float("inf"), ValueError),
            (1e300, ValueError),
        ],
        ids=str,
    )
    def test_a_clock_that_makes_no_sense_is_no_answer(self, connect, signed, value, raised):
        client = connect(clock=lambda: value)
        for call in (client.verify, client.inspect):
            with pytest.raises(raised):
                call(f"{signed.gun}:v1")
        with pytest.raises(raised):
            client.verify_many([f"{signed.gun}:v1", f"{signed.gun}:v2"])

    def test_what_a_clock_raises_reaches_the_caller(self, connect, signed):
        class Broken(Exception):
            pass

        def clock():
            if broken:
                raise Broken
            return datetime.datetime.now(UTC)

        client, broken = connect(clock=clock), True
        with pytest.raises(Broken):
            client.verify(f"{signed.gun}:v1")
        broken = False
        assert client.verify(f"{signed.gun}:v1").fresh


class TestPinning:
    @pytest.fixture
    def root_key(self, client, signed):
        (key,) = client.inspect(signed.gun).administrative_keys[0].keys
        return key

    def test_only_pinned_roots_are_trusted(self, connect, tagtrust, signed, root_key, tmp_path):
        reference = f"{signed.gun}:v1"
        good, wrong = [root_key], ["0" * 64]
        for certificates in ({signed.gun: good}, {"registry.example:5000/*": good}, MappingProxyType({"*": good})):
            assert connect(pinning=tagtrust.Pinning(certificates)).verify(reference).fresh
        for certificates in ({signed.gun: wrong}, {signed.gun: wrong, "*": good}, {signed.gun: []}):
            for trust_dir in (tmp_path / "trust", tmp_path / "empty"):
                pinning = tagtrust.Pinning(certificates, trust_on_first_use=True)
                with pytest.raises(tagtrust.RootNotTrusted) as caught:
                    connect(trust_dir=trust_dir, pinning=pinning).verify(reference)
                assert root_key in str(caught.value)
        assert not files(tmp_path / "empty")

    def test_without_a_fitting_pin_first_use_must_be_allowed(self, connect, tagtrust, signed, root_key):
        certificates = {"registry.example:5000/other": [root_key]}
        with pytest.raises(tagtrust.RootNotTrusted):
            connect(pinning=tagtrust.Pinning(certificates)).verify(f"{signed.gun}:v1")
        with pytest.raises(tagtrust.RootNotTrusted):
            connect(pinning=tagtrust.Pinning()).verify(f"{signed.gun}:v1")
        lenient = tagtrust.Pinning(certificates, trust_on_first_use=True)
        assert connect(pinning=lenient).verify(f"{signed.gun}:v1").fresh

    def test_a_root_of_another_ca_is_refused(self, connect, tagtrust, server, signed):
        pinning = tagtrust.Pinning(ca={"registry.example:5000/": server.ca_file}, trust_on_first_use=True)
        with pytest.raises(tagtrust.RootNotTrusted):
            connect(pinning=pinning).verify(f"{signed.gun}:v1")

    @pytest.mark.parametrize("name", ["alpine", "team/*", "registry.example/app:1"])
    def test_a_name_that_fits_nothing_is_refused(self, tagtrust, tmp_path, name):
        with pytest.raises(tagtrust.InvalidConfiguration):
            tagtrust.Client(trust_dir=tmp_path, pinning=tagtrust.Pinning({name: []}, trust_on_first_use=True))

    def test_what_is_no_key_id_is_refused(self, tagtrust, tmp_path):
        with pytest.raises(tagtrust.InvalidConfiguration, match="SHA256:ab"):
            tagtrust.Client(trust_dir=tmp_path, pinning=tagtrust.Pinning({"*": ["SHA256:ab"]}))

    def test_a_missing_ca_file_is_refused(self, tagtrust, tmp_path):
        with pytest.raises(tagtrust.InvalidConfiguration, match="missing.pem"):
            tagtrust.Client(trust_dir=tmp_path, pinning=tagtrust.Pinning(ca={"": tmp_path / "missing.pem"}))


class TestPolicy:
    def verify(self, connect, tagtrust, reference, lookup="docker", **rule):
        rules = [tagtrust.Rule(**rule)] if rule else []
        return connect(policy=tagtrust.Policy(lookup=lookup, rules=rules)).verify(reference)

    def test_every_named_signer_must_have_signed(self, connect, tagtrust, signed):
        def verify(tag, *signers, repository="registry.example:5000/lab/*"):
            return self.verify(connect, tagtrust, f"{signed.gun}:{tag}", repository=repository, all_of=signers)

        assert verify("v1", "alice", "bob").fresh
        assert verify("by-alice", "alice").fresh
        assert verify("by-alice", "bob", repository="registry.example:5000/other/*").fresh
        with pytest.raises(tagtrust.PolicyViolation) as caught:
            verify("by-alice", "alice", "bob")
        assert (caught.value.gun, caught.value.tag) == (signed.gun, "by-alice")
        with pytest.raises(tagtrust.PolicyViolation):
            verify("admin-only", "alice")

    def test_enough_of_the_others_must_have_signed(self, connect, tagtrust, signed):
        def verify(tag, **rule):
            any_of = ["alice", "bob", "carol"]
            return self.verify(connect, tagtrust, f"{signed.gun}:{tag}", repository="*", any_of=any_of, **rule)

        assert verify("by-alice").fresh
        assert verify("v1", threshold=2).fresh
        with pytest.raises(tagtrust.PolicyViolation):
            verify("admin-only")
        with pytest.raises(tagtrust.PolicyViolation):
            verify("by-alice", threshold=2)

    def test_lookup_says_which_roles_count(self, connect, tagtrust, published):
        repository = published("notary-delegated")
        reference = f"{repository.gun}:qa"
        assert self.verify(connect, tagtrust, reference, lookup="notary").role == "targets/qa"
        with pytest.raises(tagtrust.TagNotSigned):
            self.verify(connect, tagtrust, reference)
        with pytest.raises(tagtrust.InvalidConfiguration, match="lookup"):
            self.verify(connect, tagtrust, reference, lookup="any")

    @pytest.mark.parametrize(
        "rule",
        [
            {"repository": "*"},
            {"repository": "alpine", "all_of": ["alice"]},
            {"repository": "*", "any_of": ["alice"], "threshold": 0},
            {"repository": "*", "any_of": ["alice", "alice"], "threshold": 2},
            {"repository": "*", "all_of": ["alice"], "threshold": 2},
        ],
        ids=str,
    )
    def test_a_rule_that_cannot_do_what_was_meant_is_refused(self, tagtrust, tmp_path, rule):
        with pytest.raises(tagtrust.InvalidConfiguration):
            tagtrust.Client(trust_dir=tmp_path, policy=tagtrust.Policy(rules=[tagtrust.Rule(**rule)]))

    def test_a_name_alone_is_not_a_list_of_signers(self, tagtrust):
        for setting in ({"all_of": "alice"}, {"any_of": "alice"}):
            with pytest.raises(TypeError):
                tagtrust.Rule("*", **setting)
        with pytest.raises(TypeError):
            tagtrust.Pinning({"*": "0" * 64})


def test_nothing_is_trusted_on_first_use_unless_it_is_said(tagtrust):
    assert not tagtrust.Pinning().trust_on_first_use


def test_what_a_log_handler_raises_reaches_the_caller(connect, server, signed, monkeypatch):
    class Broken(Exception):
        pass

    class Handler(logging.Handler):
        def emit(self, record):
            raise Broken

    with Proxy(server) as proxy:
        connect(proxy).verify(f"{signed.gun}:v1")
    # That the server cannot be asked is said to whoever listens.
    client = connect(proxy)
    monkeypatch.setattr(logging.getLogger("tagtrust"), "handlers", [Handler()])
    for _ in range(2):
        with pytest.raises(Broken):
            client.verify(f"{signed.gun}:v1")
    monkeypatch.undo()
    assert not client.verify(f"{signed.gun}:v1").fresh


def test_log_lines_of_other_libraries_stay_out(connect, server, signed, caplog):
    with caplog.at_level(logging.DEBUG):
        with Proxy(server) as proxy:
            connect(proxy).verify(f"{signed.gun}:v1")
        connect(proxy).verify(f"{signed.gun}:v1")
    assert {record.name.partition(".")[0] for record in caplog.records} == {"tagtrust"}
