"""The server in this process, and the command that runs one."""

import datetime
import gc
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest

from interop.verifiers import COMMAND, environment
from lab import run
from lab.certificates import make_client_certificate, make_server_certificate
from lab.need import need
from lab.process import clean_environment
from lab.server import opener

REFERENCE = "registry.example/team/app:1.2"
GUN, _ = REFERENCE.split(":")
DIGEST, SIZE = f"sha256:{'1' * 64}", 7
UTC = datetime.timezone.utc
# alice, with the password `correct horse`.
USERS = "alice:$2b$10$bBbq0GqCr81l/GeB9YecnesMcwANsk4C0xQ5iIWseXvrb9BWzlWBS\n"
SMALL_CONFIG = {
    "server": {"http_addr": "127.0.0.1:0"},
    "trust_service": {"type": "local"},
    "storage": {"backend": "memory"},
}


@pytest.fixture
def client_of(tagtrust, tmp_path):
    """`client_of(server)`: a client with files of its own."""

    def client_of(server, **settings):
        directory = tmp_path / f"client-{len(list(tmp_path.iterdir()))}"
        directory.mkdir()
        options = {"trust_dir": directory, "passphrase": lambda *_: "correct horse", "docker_config": directory}
        return tagtrust.Client(**server.client_options(directory / "ca.pem"), **{**options, **settings})

    return client_of


@pytest.fixture
def sign(client_of):
    """`sign(server)`: sign a tag on it with a new client."""
    return lambda server, **settings: client_of(server, **settings).sign(REFERENCE, DIGEST, SIZE)


@pytest.fixture
def verify(client_of):
    """`verify(server)`: what a client that sees it for the first time gets."""
    return lambda server, **settings: client_of(server, **settings).verify(REFERENCE).digest


def get(server, path, ca_file=None):
    with opener(ca_file).open(f"{server.url}{path}", timeout=5) as answer:
        return answer.read()


def listens(address) -> bool:
    host, port = address.rsplit(":", 1)
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex((host, int(port))) == 0


class TestRunning:
    def test_what_is_signed_on_it_verifies(self, tagtrust, sign, verify):
        with tagtrust.Server() as server:
            assert server.url == f"http://{server.address}" and server.address.startswith("127.0.0.1:")
            assert repr(server) == f"Server(url='{server.url}')"
            assert get(server, "/v2/") == b"{}"
            sign(server)
            assert verify(server) == DIGEST

    def test_it_answers_from_start_to_stop_and_again(self, tagtrust):
        server = tagtrust.Server()
        assert repr(server) == "Server(not running)"
        for _ in range(3):
            assert server.start() is server
            address = server.address
            assert listens(address)
            with pytest.raises(RuntimeError, match="running already"):
                server.start()
            server.stop()
            server.stop()
            assert not listens(address)
        for use in (lambda: server.url, lambda: server.certificate, server.reload, server.client_options):
            with pytest.raises(RuntimeError, match="not running"):
                use()

    def test_an_exception_stops_it_and_goes_on(self, tagtrust):
        with pytest.raises(KeyError), tagtrust.Server() as server:
            address = server.address
            raise KeyError
        assert not listens(address)

    def test_several_in_one_process_know_nothing_of_each_other(self, tagtrust, sign, verify):
        with tagtrust.Server() as one, tagtrust.Server(tls="self-signed") as other:
            sign(one)
            assert verify(one) == DIGEST
            with pytest.raises(tagtrust.NoTrustData):
                verify(other)

    def test_nobody_has_it_any_more_so_it_stops(self, tagtrust):
        server = tagtrust.Server().start()
        address = server.address
        del server
        gc.collect()
        assert not listens(address)

    def test_its_threads_do_not_need_the_callers(self, tagtrust, sign, caplog):
        """The access log is written by Python while the caller's thread waits in a request, and in `stop`."""
        caplog.set_level("INFO", "tagtrust.access")
        with tagtrust.Server(access_log=True) as server:
            sign(server)
        lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "tagtrust.access"]
        assert any(line["method"] == "POST" and line["status"] == 200 for line in lines), lines

    def test_a_log_handler_that_raises_in_a_thread_of_the_server_ends_nothing(
        self, tagtrust, sign, caplog, monkeypatch
    ):
        class Broken(Exception):
            pass

        class Handler(logging.Handler):
            def emit(self, record):
                raise Broken

        unraisable = []
        monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
        caplog.set_level("INFO", "tagtrust.access")
        monkeypatch.setattr(logging.getLogger("tagtrust.access"), "handlers", [Handler()])
        with tagtrust.Server(access_log=True) as server:
            sign(server)
        assert {entry.exc_type for entry in unraisable} == {Broken}

    @pytest.mark.parametrize("at_once", [False, True], ids=["alone", "while-it-is-stopped"])
    def test_a_log_handler_in_its_own_thread_can_stop_it(self, tagtrust, at_once):
        server = tagtrust.Server(tls="self-signed").start()
        address, speaks, stopped = server.address, threading.Event(), threading.Event()

        class Handler(logging.Handler):
            def emit(self, record):
                speaks.set()
                if at_once:
                    time.sleep(0.5)
                server.stop()
                stopped.set()

        logger, handler = logging.getLogger("tagtrust"), Handler()
        level = logger.level
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
        try:
            with socket.create_connection(address.rsplit(":", 1)) as connection:
                connection.sendall(b"this is no TLS handshake")
                assert speaks.wait(10)
                if at_once:
                    server.stop()
                assert stopped.wait(10)
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
        # In its own thread nobody can wait for its end.
        end = time.monotonic() + 10
        while listens(address):
            assert time.monotonic() < end

    def test_threads_share_it(self, tagtrust):
        with tagtrust.Server() as server:
            answers = []
            threads = [threading.Thread(target=lambda: answers.append(get(server, "/v2/"))) for _ in range(8)]
            threads += [threading.Thread(target=server.reload) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert answers == [b"{}"] * 8


class TestEnding:
    """In processes of their own."""

    def program(self, text):
        started = time.monotonic()
        done = run(sys.executable, "-c", f"import logging, os, sys, threading, time, tagtrust\n{text}",
                   env=environment(), timeout=60)  # fmt: skip
        assert done.stderr == "" and time.monotonic() - started < 20
        return done.stdout

    @pytest.mark.parametrize("end", ["", "sys.exit(0)", "os._exit(0)"])
    def test_a_process_ends_with_a_server_that_runs(self, tagtrust, end):
        kept = "server = tagtrust.Server(access_log=True).start(); logging.basicConfig(level=logging.CRITICAL)"
        busy = "import urllib.request as u; u.urlopen(server.url + '/v2/').read()"
        assert self.program(f"{kept}\n{busy}\nprint('done', flush=True)\n{end}") == "done\n"

    def test_a_child_has_none_and_can_have_its_own(self, tagtrust):
        assert self.program("""
server = tagtrust.Server().start()
url = server.url
if not (child := os.fork()):
    try:
        server.url
    except RuntimeError:
        server.stop()
        with tagtrust.Server() as own:
            print(own.url != url, flush=True)
        with server:
            print(server.url != url, flush=True)
        sys.exit(7)
_, status = os.waitpid(child, 0)
import urllib.request
print(os.waitstatus_to_exitcode(status), urllib.request.urlopen(f"{url}/v2/").read())
""") == "True\nTrue\n7 b'{}'\n"


class TestSettings:
    def test_a_certificate_of_its_own_is_all_that_clients_need(self, tagtrust, sign, verify, tmp_path):
        with tagtrust.Server(tls="self-signed") as server:
            assert server.url.startswith("https://127.0.0.1:")
            assert server.certificate.startswith("-----BEGIN CERTIFICATE-----\n")
            sign(server)
            assert verify(server) == DIGEST
            options = server.client_options(tmp_path / "here.pem")
            assert options == {"server": server.url, "ca_file": tmp_path / "here.pem"}
            assert (tmp_path / "here.pem").read_text() == server.certificate
            assert get(server, "/v2/", options["ca_file"]) == b"{}"
            with pytest.raises(TypeError, match="ca_file"):
                server.client_options()
            first = server.certificate
        with server:
            assert server.certificate != first
        with tagtrust.Server() as plain:
            assert plain.certificate is None
            assert plain.client_options() == {"server": plain.url}

    def test_certificates_from_files_are_read_again(self, tagtrust, tmp_path):
        files = make_server_certificate(tmp_path)
        with tagtrust.Server(tls=(files.cert_file, str(files.key_file))) as server:
            assert server.certificate is None
            assert get(server, "/v2/", files.ca_file) == b"{}"
            files = make_server_certificate(tmp_path)
            with pytest.raises(urllib.error.URLError):
                get(server, "/v2/", files.ca_file)
            server.reload()
            assert get(server, "/v2/", files.ca_file) == b"{}"
            files.key_file.write_text("no key\n")
            with pytest.raises(tagtrust.InvalidConfiguration):
                server.reload()
            assert get(server, "/v2/", files.ca_file) == b"{}"

    def test_clients_can_be_asked_for_certificates(self, tagtrust, tmp_path, client_of):
        files, theirs = make_server_certificate(tmp_path), make_client_certificate(tmp_path / "client")
        with tagtrust.Server(tls=(files.cert_file, files.key_file, theirs.ca_file)) as server:
            shown = {"client_cert": theirs.cert_file, "client_key": theirs.key_file, "ca_file": files.ca_file}
            with pytest.raises(tagtrust.NoTrustData):
                client_of(server, **shown).verify(REFERENCE)
            with pytest.raises(tagtrust.Unreachable):
                client_of(server, ca_file=files.ca_file).verify(REFERENCE)

    def test_a_database_outlives_its_server(self, tagtrust, client_of, verify, tmp_path):
        settings = {"storage": f"sqlite:{tmp_path}/trust.db"}
        with tagtrust.Server(**settings) as server:
            client_of(server, trust_dir=tmp_path / "publisher").sign(REFERENCE, DIGEST, SIZE)
        assert (tmp_path / "trust.db.passphrase").stat().st_mode & 0o777 == 0o600
        with tagtrust.Server(**settings, keep_versions=1) as server:
            assert verify(server) == DIGEST
            # It has the keys that the root names.
            client_of(server, trust_dir=tmp_path / "publisher").sign(f"{GUN}:1.3", DIGEST, SIZE)
        with tagtrust.Server(**settings, read_only=True) as server:
            assert verify(server) == DIGEST
            with pytest.raises(tagtrust.TrustError):
                client_of(server, trust_dir=tmp_path / "publisher").sign(f"{GUN}:1.4", DIGEST, SIZE)
            with pytest.raises(tagtrust.TagNotSigned):
                client_of(server).verify(f"{GUN}:1.4")

    def test_passphrases_can_change(self, tagtrust, client_of, verify, tmp_path):
        storage = f"sqlite:{tmp_path}/trust.db"
        with tagtrust.Server(storage=storage, passphrase="the first one") as server:
            client_of(server, trust_dir=tmp_path / "publisher").sign(REFERENCE, DIGEST, SIZE)
        assert not (tmp_path / "trust.db.passphrase").exists()
        both = {"Second": "the second one", "default": "the first one"}
        with tagtrust.Server(storage=storage, passphrase=both) as server:
            client_of(server, trust_dir=tmp_path / "publisher").sign(f"{GUN}:1.3", DIGEST, SIZE)
        # Both are needed now: the repository's keys are under the first.
        with tagtrust.Server(storage=storage, passphrase={"second": "the second one"}) as server:
            with pytest.raises(tagtrust.TrustError):
                client_of(server, trust_dir=tmp_path / "publisher").sign(f"{GUN}:1.4", DIGEST, SIZE)
            assert verify(server) == DIGEST

    def test_prefixes_say_which_repositories_are_served(self, tagtrust, sign, client_of):
        with tagtrust.Server(gun_prefixes=["registry.example/team/"]) as server:
            sign(server)
            with pytest.raises(tagtrust.TrustError):
                client_of(server).sign("registry.example/other/app:1", DIGEST, SIZE)

    def test_lifetimes_hold(self, tagtrust, sign):
        day = datetime.timedelta(days=1)
        with tagtrust.Server(timestamp_lifetime=day, snapshot_lifetime=2 * 86400) as server:
            sign(server)
            for role, lifetime in (("timestamp", day), ("snapshot", 2 * day)):
                signed = json.loads(get(server, f"/v2/{GUN}/_trust/tuf/{role}.json"))["signed"]
                expires = datetime.datetime.strptime(signed["expires"][:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
                left = expires - datetime.datetime.now(UTC)
                assert lifetime - datetime.timedelta(minutes=5) < left <= lifetime

    def test_users_of_a_file(self, tagtrust, sign, verify, tmp_path):
        (tmp_path / "users").write_text(USERS)
        known = {"username": "alice", "password": "correct horse"}
        users = tagtrust.PasswordFile(tmp_path / "users", anonymous_pull=True)
        with tagtrust.Server(auth=users) as server:
            with pytest.raises(tagtrust.Unauthorized):
                sign(server)
            with pytest.raises(tagtrust.Unauthorized):
                sign(server, username="alice", password="wrong")
            sign(server, **known)
            assert verify(server) == DIGEST
        with tagtrust.Server(auth=tagtrust.PasswordFile(tmp_path / "users")) as server:
            with pytest.raises(tagtrust.Unauthorized):
                verify(server)
            with pytest.raises(tagtrust.NoTrustData):
                verify(server, **known)

    def test_tokens_are_asked_for(self, tagtrust, tmp_path):
        files = make_server_certificate(tmp_path)
        auth = tagtrust.TokenAuth("https://auth.example/token", "notary", "auth.example", files.ca_file)
        with tagtrust.Server(auth=auth) as server, pytest.raises(urllib.error.HTTPError) as caught:
            get(server, f"/v2/{GUN}/_trust/tuf/root.json")
        assert caught.value.code == 401
        challenge = caught.value.headers["Www-Authenticate"]
        assert challenge.startswith('Bearer realm="https://auth.example/token",service="notary"')

    def test_the_page_can_be_left_out(self, tagtrust):
        with tagtrust.Server() as server:
            assert b"<html" in get(server, "/ui/")
        with tagtrust.Server(ui=False) as server, pytest.raises(urllib.error.HTTPError) as caught:
            get(server, "/ui/")
        assert caught.value.code == 404

    def test_the_access_log_is_a_file(self, tagtrust, tmp_path):
        log = tmp_path / "access.log"
        with tagtrust.Server(access_log=log) as server:
            get(server, "/v2/")
            log.rename(tmp_path / "access.log.1")
            server.reload()
            get(server, "/v2/")
        for name in ("access.log", "access.log.1"):
            (line,) = (tmp_path / name).read_text().splitlines()
            assert json.loads(line)["status"] == 200

    def test_notarys_configuration_is_read(self, tagtrust, sign, verify, tmp_path, monkeypatch):
        config = tmp_path / "server.json"
        config.write_text(json.dumps(SMALL_CONFIG))
        with tagtrust.Server.from_config(config) as server:
            sign(server)
            assert verify(server) == DIGEST
        config.write_text("{")
        with pytest.raises(tagtrust.InvalidConfiguration) as caught:
            tagtrust.Server.from_config(str(config))
        assert str(config) in caught.value.what

    @pytest.mark.parametrize(
        "settings",
        [
            {"storage": "mysql://a:secret@b/c"},
            {"storage": "sqlite:"},
            {"listen": "127.0.0.1"},
            {"tls": "on"},
            {"tls": ("/nonexistent", "/nonexistent")},
            {"gun_prefixes": ["registry.example"]},
            {"keep_versions": 0},
            {"passphrase": {}},
            {"timestamp_lifetime": -1},
            {"timestamp_lifetime": 0},
            {"timestamp_lifetime": datetime.timedelta(days=40000)},
            {"snapshot_lifetime": float("nan")},
            {"storage": "postgres://a:secret@127.0.0.1:1/b"},
        ],
        ids=str,
    )
    def test_what_cannot_be_used_is_named(self, tagtrust, settings):
        with pytest.raises((tagtrust.InvalidConfiguration, tagtrust.StoreError)) as caught:
            tagtrust.Server(**settings).start()
        assert "secret" not in str(caught.value)

    def test_a_storage_or_an_address_that_is_not_there(self, tagtrust, tmp_path):
        with pytest.raises(tagtrust.StoreError):
            tagtrust.Server(storage="sqlite:/nonexistent/trust.db").start()
        with tagtrust.Server() as server:
            with pytest.raises(tagtrust.InvalidConfiguration) as caught:
                tagtrust.Server(listen=server.address).start()
            assert server.address in str(caught.value)
        with pytest.raises(tagtrust.InvalidConfiguration):
            tagtrust.Server(auth=tagtrust.PasswordFile(tmp_path / "absent")).start()

    @pytest.mark.parametrize(
        "settings", [{"tls": 1}, {"tls": ("a",)}, {"auth": "alice"}, {"gun_prefixes": "a/"}, {"passphrase": 1}], ids=str
    )
    def test_settings_have_types(self, tagtrust, settings):
        with pytest.raises(TypeError):
            tagtrust.Server(**settings)


class TestCommand:
    """`tagtrust server`."""

    @pytest.fixture
    def serve(self, tagtrust, tmp_path):
        """`serve(...)`: the running program and the first words that it prints."""
        need(COMMAND.exists(), "the command `tagtrust`")
        started = []

        def serve(*words, env=None):
            words = [str(word) for word in (COMMAND, "server", "--listen", "127.0.0.1:0", *words)]
            process = subprocess.Popen(
                words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=clean_environment(env)
            )
            started.append(process)
            return process, process.stdout.readline().removeprefix("Trust server at ").strip()

        yield serve
        for process in started:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close(), process.stderr.close()

    def client(self, tagtrust, directory, url, ca_file=None):
        return tagtrust.Client(
            server=url, ca_file=ca_file, trust_dir=directory / "trust", docker_config=directory,
            passphrase=lambda *_: "correct horse",
        )  # fmt: skip

    @pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
    def test_it_serves_until_it_is_told_to_stop(self, tagtrust, serve, tmp_path, end):
        process, url = serve()
        self.client(tagtrust, tmp_path, url).sign(REFERENCE, DIGEST, SIZE)
        process.send_signal(end)
        assert process.wait(timeout=20) == 0
        assert process.stdout.read() == "Everything is in memory, and gone when it stops.\n"
        assert process.stderr.read() == ""

    def test_its_certificate_is_written_where_it_is_wanted(self, tagtrust, serve, tmp_path):
        process, url = serve("--tls-self-signed", "own.pem", "--storage", "sqlite:trust.db")
        assert process.stdout.readline() == "Its certificate, for --ca-file: own.pem\n"
        client = self.client(tagtrust, tmp_path, url, tmp_path / "own.pem")
        client.sign(REFERENCE, DIGEST, SIZE)
        assert client.verify(REFERENCE).digest == DIGEST
        assert (tmp_path / "trust.db").exists()

    def test_sighup_has_it_read_its_files_again(self, serve, tmp_path):
        files = make_server_certificate(tmp_path)
        process, url = serve("--tls-cert", files.cert_file, "--tls-key", files.key_file)
        files = make_server_certificate(tmp_path)
        process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                assert opener(files.ca_file).open(f"{url}/v2/", timeout=5).read() == b"{}"
                break
            except urllib.error.URLError:
                time.sleep(0.05)
        else:
            pytest.fail("the new certificate is not used")
        files.key_file.write_text("no key\n")
        process.send_signal(signal.SIGHUP)
        assert "what was read before still holds" in process.stderr.readline()
        process.terminate()
        assert process.wait(timeout=20) == 0

    def test_options_reach_the_server(self, tagtrust, serve, tmp_path):
        (tmp_path / "users").write_text(USERS)
        (tmp_path / "passphrase").write_text("the first one\n")
        _, url = serve(
            "--htpasswd", "users", "--anonymous-pull", "--gun-prefix", "registry.example/", "--no-ui", "--access-log",
            "access.log", "--storage", "sqlite:trust.db", "--passphrase-file", "passphrase", "--keep-versions", "2",
        )  # fmt: skip
        with pytest.raises(tagtrust.Unauthorized):
            self.client(tagtrust, tmp_path, url).sign(REFERENCE, DIGEST, SIZE)
        with pytest.raises(tagtrust.NoTrustData):
            self.client(tagtrust, tmp_path, url).verify(REFERENCE)
        assert not (tmp_path / "trust.db.passphrase").exists()
        assert (tmp_path / "access.log").read_text().count("\n") > 1

    def test_a_configuration_says_everything(self, serve, tmp_path):
        (tmp_path / "server.json").write_text(json.dumps(SMALL_CONFIG))
        process = subprocess.Popen(
            [COMMAND, "server", "--config", "server.json"],
            stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=clean_environment(),
        )  # fmt: skip
        try:
            assert process.stdout.readline().startswith("Trust server at http://127.0.0.1:")
        finally:
            process.terminate()
            assert process.wait(timeout=20) == 0
            process.stdout.close()

    @pytest.mark.parametrize(
        "words, status",
        [
            (["--config", "absent.json"], 2),
            (["--config", "server.json", "--read-only"], 2),
            (["--tls-cert", "a"], 2),
            (["--tls-self-signed", "a", "--tls-cert", "b"], 2),
            (["--tls-self-signed", "/nonexistent/own.pem"], 2),
            (["--anonymous-pull"], 2),
            (["--passphrase-file", "absent"], 2),
            (["--storage", "somewhere"], 2),
            (["--listen", "nowhere"], 2),
            (["--gun-prefix", "registry.example"], 2),
            (["--keep-versions", "-1"], 2),
            (["--storage", "sqlite:/nonexistent/trust.db"], 3),
            (["something"], 2),
        ],
        ids=str,
    )
    def test_what_is_wrong_is_said_in_one_line(self, tagtrust, tmp_path, words, status):
        need(COMMAND.exists(), "the command `tagtrust`")
        words = words if "--listen" in words or "--config" in words else ["--listen", "127.0.0.1:0", *words]
        done = run(COMMAND, "server", *words, cwd=tmp_path, check=False, timeout=60)
        assert done.returncode == status and "Traceback" not in done.stderr
        assert done.stderr.startswith("usage:") or done.stderr.count("\n") == 1

    def test_a_certificate_that_cannot_be_written_is_named_with_the_reason(self, tagtrust):
        need(COMMAND.exists(), "the command `tagtrust`")
        words = ["--listen", "127.0.0.1:0", "--tls-self-signed", "/nonexistent/own.pem"]
        done = run(COMMAND, "server", *words, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (2, "/nonexistent/own.pem: No such file or directory\n")
        with tagtrust.Server(tls="self-signed") as server, pytest.raises(FileNotFoundError, match="/nonexistent/own"):
            server.client_options("/nonexistent/own.pem")

    def test_help_says_how(self, tagtrust):
        need(COMMAND.exists(), "the command `tagtrust`")
        shown = run(COMMAND, "server", "--help").stdout
        assert "exit status:" in shown and "docs/server.md" in shown and max(map(len, shown.splitlines())) <= 100
