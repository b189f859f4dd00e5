"""The command `tagtrust`. What it prints for `inspect` is compared with Docker's in tests/interop."""

import json
import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from interop.verifiers import COMMAND, environment
from lab import DockerTrust, Notary, Proxy, run
from lab.need import need
from lab.repositories import new_gun
from python.terminal import Terminal

# They clear the screen, erase what stands before them, and turn the text around.
HOSTILE = ["c\u009b2J", "v1\x7f\x7f", "\u202e1v"]
PINNED = re.compile(r"\S+@sha256:[0-9a-f]{64}\n")


@pytest.fixture
def command(tagtrust, server, tmp_path):
    """`command("verify", ...)`: run against the lab's server, with an empty trust directory."""
    need(COMMAND.exists(), "the command `tagtrust`")

    def command(name, *words, to=server, input=""):
        settings = ["--server", to.url, "--ca-file", server.ca_file, "--trust-dir", tmp_path / "trust"]
        done = run(COMMAND, name, *settings, *words, env=environment(), check=False, input=input)
        assert "Traceback" not in done.stderr
        return done

    return command


@pytest.fixture
def command_line(tagtrust, server, signed, tmp_path):
    """`command_line("verify", ..., "v1")`: what runs it on this tag, or with `repository` on all of that."""
    need(COMMAND.exists(), "the command `tagtrust`")

    def command_line(*words, repository=None):
        *words, reference = (*words, repository) if repository else (*words[:-1], f"{signed.gun}:{words[-1]}")
        settings = ["--server", server.url, "--ca-file", server.ca_file, "--trust-dir", tmp_path / "trust"]
        return [COMMAND, *words, *settings, reference]

    return command_line


@pytest.fixture(scope="module")
def hostile(server, tmp_path_factory):
    """A repository with names that no image can have."""
    gun, publisher = new_gun("hostile"), Notary(server, tmp_path_factory.mktemp("hostile"))
    publisher.init(gun)
    publisher.stage(gun, dict.fromkeys(HOSTILE, (5, "ab" * 32)))
    publisher.publish(gun)
    return gun


class TestVerify:
    def test_prints_pinned_references_in_order(self, command, signed):
        done = command("verify", *(f"{signed.gun}:{tag}" for tag in ("v10", "v1", "v2")))
        expected = [f"{signed.gun}@{signed.tags[tag][0]}" for tag in ("v10", "v1", "v2")]
        assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, expected, "")

    def test_says_which_reference_failed_and_why(self, command, signed):
        done = command("verify", f"{signed.gun}:v1", f"{signed.gun}:absent", "registry.example:5000/lab/unknown:v1")
        assert done.returncode == 1
        assert PINNED.fullmatch(done.stdout)
        absent, unknown = done.stderr.splitlines()
        assert absent.startswith(f"{signed.gun}:absent: no valid trust data for absent")
        assert unknown.startswith("registry.example:5000/lab/unknown:v1: ")

    def test_json_has_an_object_for_each_reference(self, command, signed):
        done = command("verify", "--json", f"{signed.gun}:v1", f"{signed.gun}:absent")
        accepted, refused = json.loads(done.stdout)
        assert (done.returncode, done.stderr) == (1, "")
        digest, size = signed.tags["v1"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", accepted.pop("expires"))
        assert accepted == {
            "reference": f"{signed.gun}:v1",
            "trusted": True,
            "repository": signed.gun,
            "tag": "v1",
            "tags": ["v1"],
            "digest": digest,
            "size": size,
            "role": "targets/releases",
            "signers": ["alice", "bob"],
            "fresh": True,
            "pinned_reference": f"{signed.gun}@{digest}",
        }
        assert refused["evidence"]["name"] == "absent"
        assert refused["message"].startswith("no valid trust data for absent")
        del refused["evidence"], refused["message"]
        assert refused == {
            "reference": f"{signed.gun}:absent",
            "trusted": False,
            "error": "TagNotSigned",
            "code": 11,
        }

    def test_a_stale_answer_comes_with_a_warning(self, command, server, signed):
        with Proxy(server) as proxy:
            command("verify", f"{signed.gun}:v1", to=proxy)
        stale = command("verify", f"{signed.gun}:v1", to=proxy)
        assert stale.returncode == 0 and PINNED.fullmatch(stale.stdout)
        assert stale.stderr.startswith("warning: ")
        assert "using the cached timestamp" in stale.stderr
        refused = command("verify", "--require-fresh", f"{signed.gun}:v1", to=proxy)
        assert (refused.returncode, refused.stdout) == (3, "")

    def test_signers_and_lookup(self, command, signed, published):
        def status(tag, *options):
            return command("verify", *options, f"{signed.gun}:{tag}").returncode

        both = ["--require-signer", f"{signed.gun}=alice", "--require-signer", "registry.example:5000/*=bob"]
        assert status("v1", *both) == 0
        assert status("by-alice", *both) == 1
        assert status("by-alice", "--require-signer", "*=alice") == 0
        uncounted = f"{published('notary-delegated').gun}:qa"
        assert command("verify", uncounted).returncode == 1
        assert command("verify", "--lookup", "notary", uncounted).returncode == 0

    def test_pins(self, command, client, server, signed):
        (key,) = client.inspect(signed.gun).administrative_keys[0].keys
        wrong = "0" * 64

        def status(*options):
            return command("verify", *options, f"{signed.gun}:v1").returncode

        assert status("--pin-certificate", f"{signed.gun}={key}") == 0
        assert status("--pin-certificate", f"{signed.gun}={wrong}", "--pin-certificate", f"{signed.gun}={key}") == 0
        assert status("--pin-certificate", f"{signed.gun}={wrong}") == 1
        assert status("--pin-ca", f"registry.example:5000/={server.ca_file}") == 1
        assert status("--no-trust-on-first-use") == 1
        # With a pin for another repository, first use must be allowed by name.
        elsewhere = ["--pin-certificate", f"registry.example:5000/other={wrong}"]
        assert status(*elsewhere) == 1
        assert status(*elsewhere, "--trust-on-first-use") == 0

    def test_docker_settings_hold_without_options(self, command, server, signed, tmp_path):
        docker = DockerTrust(server, tmp_path / "docker")
        variables = environment() | docker.environment
        done = run(COMMAND, "verify", f"{signed.gun}:v1", env=variables, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert (docker.trust_dir / "tuf" / signed.gun).exists()
        del variables["DOCKER_CONFIG"]
        done = run(
            COMMAND, "verify", "--docker-config", docker.config_dir, f"{signed.gun}:v1", env=variables, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


class TestStatus:
    @pytest.mark.parametrize(
        ("errors", "expected"),
        [
            ([], 0),
            (["TagNotSigned"], 1),
            (["InvalidReference"], 2),
            (["InvalidConfiguration"], 2),
            (["Unreachable"], 3),
            (["Unauthorized"], 3),
            (["StoreError"], 3),
            (["InternalError"], 3),
            (["InvalidInput"], 2),
            (["KeyNotFound"], 3),
            (["WrongPassphrase"], 3),
            (["Conflict"], 3),
            (["ServerRejected"], 3),
            (["Unreachable", "InvalidReference", "Tampered"], 1),
            (["Unreachable", "InvalidReference"], 2),
        ],
        ids=str,
    )
    def test_nothing_hides_a_refusal(self, tagtrust, errors, expected):
        from tagtrust._cli.output import status

        assert status(getattr(tagtrust, name)("") for name in errors) == expected

    @pytest.mark.parametrize(
        "words",
        [
            [],
            ["nonsense"],
            ["verify"],
            ["inspect"],
            ["verify", "--sev", "x", "alpine"],
            ["verify", "--timeout", "soon", "alpine"],
            ["verify", "--timeout", "-1", "alpine"],
            ["verify", "--parallelism", "0", "alpine"],
            ["verify", "--pin-certificate", "alpine", "alpine"],
            ["verify", "--pin-certificate", "alpine=00", "alpine"],
            ["verify", "--require-signer", "alpine=alice", "alpine"],
            ["verify", "--lookup", "any", "alpine"],
            ["verify", "--username", "alice", "alpine"],
            ["verify", "--password-stdin", "alpine"],
            ["verify", "--server", "http://registry.example", "alpine"],
            ["verify", "a@b"],
            ["verify", "--json", "a@b"],
            ["inspect", "a@b"],
            [b"verify", b"\xff"],
            [b"verify", b"--server", b"\xff", b"alpine"],
        ],
        ids=str,
    )
    def test_wrong_usage_is_two(self, tagtrust, tmp_path, words):
        need(COMMAND.exists(), "the command `tagtrust`")
        done = subprocess.run(
            [COMMAND, *words], capture_output=True, text=True, input="", env={"HOME": str(tmp_path), "LANG": "C.UTF-8"}
        )
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        if "--json" not in words:
            assert done.stderr

    @pytest.mark.parametrize("command", [[], ["verify"], ["inspect"]], ids=str)
    def test_help_names_every_status(self, tagtrust, command):
        done = run(COMMAND, *command, "--help", env=environment())
        assert done.stderr == ""
        if command:
            assert all(f"\n  {status}  " in done.stdout for status in range(4))

    def test_inspect_has_words_of_its_own_for_its_statuses(self, tagtrust):
        assert "every image is trusted" in run(COMMAND, "verify", "--help", env=environment()).stdout
        assert "every image is trusted" not in run(COMMAND, "inspect", "--help", env=environment()).stdout

    def test_version(self, tagtrust):
        version = f"tagtrust {tagtrust.__version__}\n"
        assert run(COMMAND, "--version", env=environment()).stdout == version
        assert run(sys.executable, "-m", "tagtrust", "--version", env=environment()).stdout == version

    def test_inspecting_has_the_same_statuses_but_an_unsigned_tag_is_an_answer(self, command, server, signed):
        assert command("inspect", signed.gun).returncode == 0
        for form in ([], ["--pretty"], ["--tree"]):
            assert command("inspect", *form, f"{signed.gun}:absent").returncode == 0
        assert command("inspect", "registry.example:5000/lab/unknown", signed.gun).returncode == 1
        with Proxy(server) as gone:
            pass
        undecided = command("inspect", "registry.example:5000/lab/unknown", to=gone)
        assert (undecided.returncode, undecided.stdout) == (3, "[]\n")
        assert undecided.stderr.startswith("no signatures or cannot access registry.example:5000/lab/unknown\n")
        assert "cannot reach trust server" in undecided.stderr

    def test_a_trust_directory_that_is_none_is_no_answer(self, command, signed, tmp_path):
        (tmp_path / "trust").write_text("a file")
        done = command("verify", f"{signed.gun}:v1")
        assert (done.returncode, done.stdout) == (3, "")


class TestProcess:
    def test_a_closed_pipe_is_quiet_and_no_success(self, tagtrust, server, signed, tmp_path):
        reader, writer = os.pipe()
        os.close(reader)
        settings = ["--server", server.url, "--ca-file", server.ca_file, "--trust-dir", tmp_path / "trust"]
        for words in (["verify"], ["verify", "--json"], ["inspect"], ["inspect", "--pretty"]):
            done = subprocess.run(
                [COMMAND, *words, *settings, f"{signed.gun}:v1"], stdout=writer, stderr=subprocess.PIPE
            )
            assert (done.returncode, done.stderr) == (141, b"")
        os.close(writer)

    def test_a_full_disk_is_no_success(self, tagtrust, server, signed, tmp_path):
        settings = ["--server", server.url, "--ca-file", server.ca_file, "--trust-dir", tmp_path / "trust"]
        with open("/dev/full", "wb") as full:
            done = subprocess.run([COMMAND, "verify", *settings, f"{signed.gun}:v1"], stdout=full, stderr=-1, text=True)
        assert (done.returncode, done.stderr) == (3, "tagtrust: [Errno 28] No space left on device\n")

    @pytest.mark.parametrize("tag, status", [("v1", 0), ("absent", 1)])
    def test_a_stderr_that_cannot_be_written_changes_neither_stdout_nor_status(self, command_line, tag, status):
        words = command_line("verify", tag)
        known = subprocess.run(words, capture_output=True)
        assert known.returncode == status
        for redirection in ("2>&-", "<&- 2>&-", "2>/dev/full"):
            done = subprocess.run(["sh", "-c", f'exec "$@" {redirection}', "sh", *words], stdout=-1)
            assert (done.returncode, done.stdout) == (status, known.stdout)

    @pytest.mark.parametrize("redirection", [">&-", "<&- >&-"])
    @pytest.mark.parametrize("words", [["verify"], ["verify", "--json"], ["inspect"], ["inspect", "--pretty"]], ids=str)
    def test_a_closed_stdout_is_said_and_no_success(self, command_line, words, redirection):
        words = ["sh", "-c", f'exec "$@" {redirection}', "sh", *command_line(*words, "v1")]
        done = subprocess.run(words, stderr=-1, text=True)
        assert (done.returncode, done.stderr) == (3, "tagtrust: standard output is closed\n")

    def test_a_closed_stdin_has_nothing_to_read(self, command_line):
        words = [*command_line("verify", "v1"), "--username", "alice", "--password-stdin"]
        done = subprocess.run(["sh", "-c", 'exec "$@" <&-', "sh", *words], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")

    def test_ctrl_c_ends_a_waiting_command_at_once(self, tagtrust, server, signed, tmp_path):
        asked, release = threading.Event(), threading.Event()

        def wait(path, body):
            asked.set()
            release.wait(20)

        with Proxy(server, wait) as proxy:
            words = ["--server", proxy.url, "--ca-file", proxy.ca_file, "--trust-dir", tmp_path / "trust"]
            process = subprocess.Popen([COMMAND, "verify", *words, f"{signed.gun}:v1"], stdout=-1, stderr=-1)
            assert asked.wait(20)
            process.send_signal(signal.SIGINT)
            output = process.communicate(timeout=10)
            release.set()
        # What a shell shows as 130.
        assert (process.returncode, output) == (-signal.SIGINT, (b"", b""))

    def test_a_password_is_read_from_stdin(self, command, signed):
        done = command("verify", "--username", "alice", "--password-stdin", f"{signed.gun}:v1", input="secret\n")
        assert done.returncode == 0

    def test_a_server_cannot_steer_the_terminal(self, command, server, signed):
        with Proxy(server, lambda path, body: b"\x1b[2J{" if "timestamp" in path else body) as proxy:
            done = command("verify", f"{signed.gun}:v1", to=proxy)
        assert done.returncode == 1
        assert "\x1b" not in done.stderr

    @pytest.mark.parametrize("form", ["json", "pretty"])
    def test_a_signed_name_cannot_steer_the_terminal(self, command_line, hostile, form):
        words = [*command_line("inspect", repository=hostile), *(["--pretty"] if form == "pretty" else [])]
        piped = subprocess.run(words, capture_output=True, encoding="utf-8", check=True).stdout
        with Terminal(*words) as terminal:
            status, shown = terminal.finish()
        assert status == 0
        # Programs read what Docker prints.
        assert all(name in piped for name in HOSTILE)
        assert re.sub(r"[\n\t]", "", shown).isprintable()
        if form == "json":
            assert json.loads(shown) == json.loads(piped)
            assert {row["SignedTag"] for row in json.loads(shown)[0]["SignedTags"]} == set(HOSTILE)
        else:
            assert all(name.encode("unicode_escape").decode() in shown for name in HOSTILE)

    def test_the_library_does_not_load_what_only_the_command_needs(self, tagtrust):
        code = "import sys, tagtrust; sys.exit('argparse' in sys.modules or 'tagtrust._cli' in sys.modules)"
        run(sys.executable, "-c", code, env=environment())
