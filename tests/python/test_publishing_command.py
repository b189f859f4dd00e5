"""The command `tagtrust` that signs. Where `docker trust` or `notary` has the command, both are run and compared."""

import json
import re
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from interop.verifiers import COMMAND, environment
from lab import Proxy, Registry, run
from lab.need import need
from lab.notary import PASSPHRASE
from lab.repositories import make_image
from publish.users import NOUNS, PASSPHRASES, Both, Us, file, reference, repository
from python.terminal import Terminal


@pytest.fixture
def user(tagtrust, server, engine, fresh_directory):
    """`user()`: somebody with an empty trust directory, and a repository that does not exist."""
    need(COMMAND.exists(), "the command `tagtrust`")
    return lambda: Us.new(server, engine, fresh_directory())


@pytest.fixture
def us(user):
    return user()


@pytest.fixture
def both(user):
    return Both(user)


class TestDockersWords:
    def test_key_generate(self, both):
        generate = ("key", "generate", "--dir", lambda user: user.directory)
        both(*generate, "alice")
        both(*generate, "alice", status=2)
        both(*generate, "Alice", status=2)
        both(*generate, "../alice", status=2)
        both("key", "generate", "bob", "--dir", file("absent"), status=2)
        assert {path.name for path in both.us.directory.glob("*.pub")} == {"alice.pub"}

    def test_key_generate_without_a_directory_is_here(self, us, monkeypatch):
        monkeypatch.chdir(us.directory)
        assert f"available: {us.directory}/alice.pub\n" in us.run("key", "generate", "alice").stdout

    def test_key_load(self, both):
        def make(user):
            user.run("key", "generate", "alice", "--dir", user.directory)
            for name, mode in (("key.pem", 0o600), ("open.pem", 0o644)):
                openssl = [
                    "openssl",
                    "ecparam",
                    "-name",
                    "prime256v1",
                    "-genkey",
                    "-noout",
                    "-out",
                    user.directory / name,
                ]
                subprocess.run(openssl, check=True)
                (user.directory / name).chmod(mode)

        for user in both:
            make(user)
        both("key", "load", file("key.pem"), "--name", "bob")
        both("key", "load", file("open.pem"), status=2)
        both("key", "load", file("absent.pem"), status=2)
        both("key", "load", file("alice.pub"), status=2)
        assert sorted(key["role"] for key in both.us.json("key", "list")) == ["alice", "bob"]

    def test_signers(self, both):
        for name in ("alice", "bob"):
            both("key", "generate", name, "--dir", lambda user: user.directory)
        add = ("signer", "add", "--key")
        both(*add, file("alice.pub"), "alice", repository)
        both(*add, file("bob.pub"), "bob", repository)
        both(*add, file("bob.pub"), "bob", lambda user: f"{user.gun}-1", lambda user: f"{user.gun}-2")
        both(*add, file("bob.pub"), "releases", repository, status=2)
        both(*add, file("bob.pub"), "Bob", repository, status=2)
        both(*add, file("absent.pub"), "carol", repository, status=2)
        both("signer", "add", "carol", repository, status=2)
        # Docker removes nobody and says no more than the first line.
        removed = both.us.run("signer", "remove", "bob", both.us.gun)
        assert (
            removed.stdout
            == f'Removing signer "bob" from {both.us.gun}...\nSuccessfully removed bob from {both.us.gun}\n\n'
        )
        both("signer", "remove", "carol", repository, status=2)
        both("signer", "remove", "releases", repository, status=2)
        both("signer", "remove", "carol", lambda user: f"{user.gun}-3", stderr=False, status=1)
        listed = both.us.run("signer", "list", both.us.gun).stdout.splitlines()
        assert [line.split()[0] for line in listed] == ["SIGNER", "------", "alice"]

    def test_sign_and_revoke(self, both):
        both("key", "generate", "alice", "--dir", lambda user: user.directory)
        both("signer", "add", "--key", file("alice.pub"), "alice", repository)
        image = make_image("image")
        for tag in ("v1", "v2"):
            both.us.run("sign", f"{both.us.gun}:{tag}", "--digest", image[0], "--size", image[1])
            both.them.docker.sign(f"{both.them.gun}:{tag}", *image)
        # Docker asks no engine for a tag that it knows, and we no registry if we are told.
        ours = both.us.run("sign", f"{both.us.gun}:v1", "--digest", image[0], "--size", image[1])
        theirs = both.them.docker.trust("sign", f"{both.them.gun}:v1")
        assert both.us.plain(ours.stdout) == both.them.plain(theirs.stdout)
        assert "Existing signatures for tag v1" in ours.stdout

        both("sign", repository, status=2)
        both("sign", lambda user: f"{user.gun}@{image[0]}", status=2)
        both("revoke", "--yes", reference("v1"))
        assert both.us.docker.pretty(both.us.gun).count("alice") == 2
        both("revoke", "--yes", reference("absent"), stderr=False, status=1)
        both("revoke", repository)  # a question that nobody answers
        assert both.us.tags().keys() == {"v2"}
        both("revoke", "--yes", repository)
        assert both.us.tags() == {}
        both("revoke", "--yes", repository, stderr=False, status=1)

    def test_only_y_is_yes(self, us):
        us.sign("v1")
        for answer in ("", "\n", "yes\n", "n\n", "ye\n"):
            said = us.run("revoke", us.gun, input=answer)
            assert said.stdout == f"Confirm you would like to delete all signature data for {us.gun}? [y/N] "
        assert us.tags().keys() == {"v1"}
        us.run("revoke", us.gun, input=" Y \n")
        assert us.tags() == {}


class TestTerminal:
    """The questions of `docker trust`, on a terminal that shows no answer."""

    def test_new_passphrases(self, both):
        shown = []
        for user, argv in (
            (both.us, both.us.argv("key", "generate", "alice", "--dir", both.us.directory)),
            (both.them, ["docker", "trust", "key", "generate", "alice", "--dir", both.them.directory]),
        ):
            docker = {name: value for name, value in user.docker.environment.items() if name not in PASSPHRASES}
            with Terminal(*argv, env=environment() | docker) as terminal:
                for question, answer in (
                    ("Enter passphrase for new alice key", "short"),
                    ("Enter passphrase for new alice key", "a long one"),
                    ("Repeat passphrase for new alice key", "another one"),
                    ("Enter passphrase for new alice key", " a long one "),
                    ("Repeat passphrase for new alice key", "a long one"),
                ):
                    terminal.answer(question, answer)
                status, text = terminal.finish()
            assert status == 0 and "long" not in text
            shown.append(user.plain(text))
        assert shown[0] == shown[1]
        signs_with(both.us, "alice", "a long one")

    def test_a_root_key_comes_with_a_warning(self, both):
        shown = []
        both("key", "generate", "alice", "--dir", lambda user: user.directory)
        for user in (both.us, both.them):
            words = ["signer", "add", "--key", user.directory / "alice.pub", "alice", user.gun]
            argv = user.argv(*words) if user is both.us else ["docker", "trust", *words]
            docker = {name: value for name, value in user.docker.environment.items() if name not in PASSPHRASES}
            with Terminal(*argv, env=environment() | docker) as terminal:
                for question in (
                    "Enter passphrase for new root",
                    "Repeat",
                    "Enter passphrase for new repository",
                    "Repeat",
                ):
                    terminal.answer(question, "a long one")
                status, text = terminal.finish()
            assert status == 0 and "a long one" not in text
            # We do it all at once, so the lines between the questions come after them.
            shown.append(sorted(user.plain(text).splitlines()))
        assert shown[0] == shown[1]

    def test_each_role_is_asked_for_once(self, us):
        us.run("key", "generate", "alice", "--dir", us.directory)
        guns = [us.gun, f"{us.gun}-1", f"{us.gun}-2"]
        with us.terminal("signer", "add", "--key", us.directory / "alice.pub", "alice", *guns) as terminal:
            for question in ("new root key", "Repeat", "new repository key", "Repeat"):
                terminal.answer(question, "a long one")
            status, text = terminal.finish()
        assert status == 0 and text.count("Successfully added signer") == 3
        assert text.count("passphrase for ") == 4

    def test_a_wrong_passphrase_is_asked_for_again(self, us):
        us.add_signer()
        digest, size = make_image("v1")
        with us.terminal("sign", f"{us.gun}:v1", "--digest", digest, "--size", size) as terminal:
            terminal.answer("Enter passphrase for alice key with ID", "wrong")
            terminal.answer("Passphrase incorrect. Please retry.\nEnter passphrase for alice key with ID", PASSPHRASE)
            status, text = terminal.finish()
        assert status == 0 and PASSPHRASE not in text and "wrong" not in text
        assert us.tags()["v1"] == make_image("v1")

    def test_wrong_ones_come_to_an_end(self, us):
        us.add_signer()
        with us.terminal("sign", f"{us.gun}:v1", "--digest", make_image("v1")[0], "--size", "5") as terminal:
            for number in range(4):
                terminal.answer("Enter passphrase for alice key", f"wrong {number}")
            status, text = terminal.finish()
        assert status == 3 and "password invalid, operation has failed" in text
        assert us.tags() == {}

    def test_stdout_is_clean_of_questions(self, us):
        us.run("key", "generate", "alice", "--dir", us.directory)
        (key,) = us.json("key", "list")
        argv = " ".join(map(str, us.argv("key", "passwd", key["id"])))
        with Terminal("sh", "-c", f"{argv} > {us.directory}/out", env=environment()) as terminal:
            terminal.answer("Enter passphrase for alice key", PASSPHRASE)
            terminal.answer("Enter passphrase for new alice key", "the new one")
            terminal.answer("Repeat passphrase for new alice key", "the new one")
            assert terminal.finish()[0] == 0
        assert (us.directory / "out").read_text() == f"Successfully updated passphrase for key ID: {key['id']}\n"
        signs_with(us, "alice", "the new one")

    def test_ctrl_c_leaves_the_terminal_as_it_was(self, us):
        with us.terminal("key", "generate", "alice", "--dir", us.directory) as terminal:
            terminal.press("Enter passphrase", b"secret\x03")
            status, text = terminal.finish()
            assert terminal.echoes
        assert status == -signal.SIGINT and "secret" not in text
        assert us.json("key", "list") == []

    def test_the_end_of_input_is_no_passphrase(self, us):
        with us.terminal("key", "generate", "alice", "--dir", us.directory) as terminal:
            terminal.press("Enter passphrase", b"\x04")
            status, text = terminal.finish()
        assert status == 3 and "maximum number of passphrase attempts exceeded" in text

    def test_the_question_before_the_last_signer_goes(self, us):
        us.add_signer()
        us.sign("v1")
        key_ids = [key["id"] for key in us.json("key", "list") if key["role"] == "alice"]
        us.run("key", "remove", "--yes", *key_ids)
        for answer, left in (("yes", 1), ("Y", 0)):
            with us.terminal("signer", "remove", "alice", us.gun) as terminal:
                terminal.answer(
                    f'The signer "alice" signed the last released version of {us.gun}. Removing this signer will make '
                    f"{us.gun} unpullable. Are you sure you want to continue? [y/N] ",
                    answer,
                    unseen=False,
                )
                if left == 0:
                    terminal.answer("Enter passphrase for repository key", PASSPHRASE)
                status, text = terminal.finish()
            assert status == 0
            assert ("\nAborting action.\n" if left else f"Successfully removed alice from {us.gun}\n\n") in text
            assert us.docker.pretty(us.gun).count("alice ") == left

    def test_without_a_terminal_the_variable_is_named(self, us):
        none = dict.fromkeys(PASSPHRASES, "")
        failed = us.run("key", "generate", "alice", "--dir", us.directory, status=3, **none)
        assert "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE" in failed.stderr
        us.add_signer()
        failed = us.run("sign", f"{us.gun}:v1", "--digest", make_image("v1")[0], "--size", 5, status=3, **none)
        assert "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE" in failed.stderr
        wrong = PASSPHRASES | {"DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": "the wrong one"}
        failed = us.run("sign", f"{us.gun}:v1", "--digest", make_image("v1")[0], "--size", 5, status=3, **wrong)
        assert "password invalid" in failed.stderr
        assert us.tags() == {}


def signs_with(user, role, passphrase):
    """A key has this passphrase."""
    (key,) = (key for key in user.json("key", "list") if key["role"] == role)
    user.run(
        "key",
        "passwd",
        "--passphrase-stdin",
        key["id"],
        input="yet another",
        DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE=passphrase,
    )


class TestSign:
    def test_many_tags_are_one_upload_for_each_repository(self, us, server):
        uploads = []
        with Proxy(server, lambda path, body: uploads.append(path) or body) as proxy:
            listed = us.directory / "tags"
            lines = [f"{us.gun}:v{number} {' '.join(map(str, make_image(str(number))))}" for number in range(20)]
            other = f"{us.gun}-1:v1 {make_image('1')[0]} 5"
            listed.write_text("\n".join(["# tags", "", *lines, other]))
            done = us.run("sign", "--from-file", listed, to=proxy)
        assert done.stdout.count("Successfully signed") == 21
        assert us.tags() == {f"v{number}": make_image(str(number)) for number in range(20)}
        assert set(us.json("expiry", us.gun)[0]) == {"repository", "role", "version", "expires", "can_sign"}
        assert {it["version"] for it in us.json("expiry", us.gun) if it["role"] == "targets"} == {2}

    def test_one_failing_repository_does_not_stop_the_others(self, us, user):
        theirs = user()
        theirs.add_signer()  # nobody else has its keys
        lines = [f"{theirs.gun}:v1 {make_image('v1')[0]} 5", f"{us.gun}:v1 {make_image('v1')[0]} 5"]
        done = us.run("sign", "--from-file", "-", input="\n".join(lines), status=3)
        assert done.stderr.startswith(f"failed to sign {theirs.gun}:v1: no signing key for ")
        assert us.tags().keys() == {"v1"}
        failed, signed = json.loads(
            us.run("sign", "--json", "--from-file", "-", input="\n".join(lines), status=3).stdout
        )
        assert (failed["repository"], failed["error"], failed["code"]) == (theirs.gun, "KeyNotFound", 40)
        assert (signed["repository"], signed["changes"], signed["published"]) == (us.gun, [], False)

    def test_a_dry_run_says_what_would_change_and_changes_nothing(self, us):
        none = dict.fromkeys(PASSPHRASES, "")
        image = make_image("v1")
        words = ("sign", f"{us.gun}:v1", "--digest", image[0], "--size", image[1])
        said = us.run(*words, "--dry-run", **none).stdout
        assert said.startswith(f"Would change in {us.gun}:\n  sign v1 as {image[0]}, {image[1]} bytes, in targets\n")
        us.sign("v1")
        assert us.run(*words, "--dry-run", **none).stdout == f"Would change nothing in {us.gun}\n"
        (planned,) = us.json("revoke", f"{us.gun}:v1", "--dry-run", **none)["changes"]
        assert (planned["action"], planned["type"], planned["role"], planned["path"]) == (
            "delete",
            "target",
            "targets",
            "v1",
        )
        assert us.tags().keys() == {"v1"}

    def test_custom_data_and_roles(self, us):
        us.add_signer()
        custom = us.directory / "custom.json"
        custom.write_text('{"built": 1}')
        us.sign("v1", "--role", "targets", "--custom", custom)
        targets = json.loads(us.docker.server.metadata(us.gun, "targets"))["signed"]["targets"]
        assert targets["v1"]["custom"] == {"built": 1}

    def test_what_the_registry_has(self, us, tmp_path):
        for program in ("docker-registry", "skopeo"):
            need(bool(shutil.which(program)), program)
        with Registry(tmp_path / "registry") as registry:
            reference = f"{registry.address}/lab/{us.gun.rpartition('/')[2]}:v1"
            pushed = registry.push(reference)
            wrong = f"sha256:{'0' * 64}"
            for words in ((f"{reference}@{wrong}",), (reference, "--digest", wrong)):
                us.run("sign", *words, status=3)
            us.run("sign", reference, "--digest", pushed.digest)
            assert us.json("verify", reference)[0]["size"] == pushed.size

    @pytest.mark.parametrize(
        "words",
        [
            ["sign"],
            ["sign", "R:v1", "--size", "5"],
            ["sign", "R:v1", "R:v2", "--digest", "sha256:00", "--size", "5"],
            ["sign", "R:v1", "--digest", "sha256:00", "--size", "-5"],
            ["sign", "R:v1", "R:v2", "--role", "targets"],
            ["sign", "--from-file", "/absent"],
            ["sign", "R:v1", "--dry-run", "--stage"],
            ["sign", "R:v1@sha256:00", "--digest", "sha256:11", "--size", "5"],
            ["sign", "a b:v1", "--digest", "sha256:" + "0" * 64, "--size", "5"],
            ["revoke", "R@sha256:" + "0" * 64],
            ["rotate", "R", "snapshot", "--stage"],
            ["reset", "R"],
            ["reset", "R", "-n", "x"],
            ["publish"],
            ["publish", "R", "--proposal", "x"],
            ["publish", "--proposal", "/absent"],
            ["cosign", "/absent", "-o", "x"],
            ["delegation", "add", "R", "targets/x"],
            ["delegation", "purge", "R"],
            ["expiry", "R", "--within", "soon"],
            ["key", "import", "/absent"],
            ["key", "generate"],
            ["sign", "R:v1", "--expiry", "targets=x"],
            ["sign", "R:v1", "--expiry", "targets=0"],
        ],
        ids=lambda words: " ".join(words),
    )
    def test_wrong_usage_is_two_and_makes_nothing(self, us, words):
        failed = us.run(*(re.sub("^R", us.gun, word) for word in words), status=2)
        assert failed.stderr
        assert not list(us.trust_dir.rglob("*.key"))

    def test_what_cannot_be_signed_is_wrong_usage(self, us):
        us.run("init", us.gun)
        for digest, size in (("sha256:00", 5), ("sha512:" + "0" * 128, 5), (make_image("v1")[0], 2**53 + 1)):
            us.run("sign", f"{us.gun}:v1", "--digest", digest, "--size", size, status=2)
        assert us.tags() == {}

    @pytest.mark.parametrize("line", ["a:1 sha256:00", "a:1 sha256:00 x", "a:1 sha256:00 1 2", "a"])
    def test_a_wrong_line_in_a_file_is_wrong_usage(self, us, line):
        us.run("sign", "--from-file", "-", input=f"{us.gun}:v1 {make_image('v1')[0]} 5\n{line}\n", status=2)
        assert not us.trust_dir.exists()


class TestRepository:
    def test_init_and_delete(self, us):
        assert us.run("init", us.gun).stdout == f'Successfully initialized "{us.gun}"\n'
        assert us.run("init", us.gun, status=2).stderr
        us.run("delete", us.gun)
        assert us.tags() == {}
        assert us.run("delete", us.gun, "--remote").stdout.endswith("[y/N] ")
        assert us.docker.server.metadata(us.gun, "root")
        done = us.run("delete", us.gun, "--remote", "--yes")
        assert done.stdout == f"Successfully deleted local and remote trust data for repository {us.gun}\n"
        assert us.run("expiry", us.gun, status=1).stdout == ""

    def test_staged_changes_are_those_of_notary(self, us):
        us.add_signer()
        us.run("delegation", "add", us.gun, "targets/qa", us.directory / "alice.pub", "--paths", "qa-,rc-", "--stage")
        us.sign("v1", "--stage")
        us.run("revoke", f"{us.gun}:absent", "--stage", status=1)
        us.run("witness", us.gun, "targets", "--stage")
        assert us.run("status", us.gun).stdout == us.notary.run("status", us.gun).stdout
        staged = us.json("status", us.gun)
        assert [change["type"] for change in staged] == [row[2] for row in us.notary.status(us.gun)]
        us.run("reset", us.gun, "-n", str(len(staged) - 1))
        assert us.json("status", us.gun) == staged[:-1]
        assert us.tags() == {}
        us.run("publish", us.gun, "--dry-run")
        done = us.run("publish", us.gun)
        said = us.notary.run("publish", us.gun).stdout
        assert done.stdout == said
        assert us.tags()["v1"] == make_image("v1")
        assert us.run("status", us.gun).stdout == us.notary.run("status", us.gun).stdout
        us.run("witness", us.gun, "targets", "--stage")
        assert (
            us.run("reset", us.gun, "--all").stdout == f"Successfully reset specified changes for repository {us.gun}\n"
        )
        assert us.json("status", us.gun) == []

    def test_delegations_are_listed_as_by_notary(self, us):
        us.run("init", us.gun)
        listed = "delegation", "list", us.gun
        assert us.run(*listed).stdout == us.notary.run(*listed).stdout
        for name in ("alice", "bob"):
            us.run("key", "generate", name, "--dir", us.directory)
        keys = [us.directory / f"{name}.pub" for name in ("alice", "bob")]
        us.run("delegation", "add", us.gun, "targets/qa", *keys, "--paths", "qa-,rc-", "--paths", "x")
        us.run("delegation", "add", us.gun, "targets/all", keys[0], "--all-paths")
        us.run("delegation", "add", us.gun, "targets/none", "--paths", "a")
        assert us.run(*listed).stdout == us.notary.run(*listed).stdout
        us.run("delegation", "remove", us.gun, "targets/none")  # a question that nobody answers
        assert len(us.json(*listed)) == 3
        us.run("delegation", "remove", us.gun, "targets/none", "--yes")
        us.run("delegation", "remove", us.gun, "targets/qa", "--paths", "x")
        key_id = us.json(*listed)[0]["key_ids"][0]
        us.run("delegation", "purge", us.gun, "--key", key_id)
        left = {it["name"]: (sorted(it["paths"]), len(it["key_ids"])) for it in us.json(*listed)}
        assert left == {"targets/qa": (["qa-", "rc-"], 1), "targets/all": ([""], 0)}
        assert us.run(*listed).stdout == us.notary.run(*listed).stdout

    def test_rotations(self, us):
        us.sign("v1")
        for role, *options in (("snapshot",), ("snapshot", "-r"), ("timestamp", "-r"), ("targets",)):
            done = us.run("rotate", us.gun, role, *options)
            assert done.stdout == f"Successfully rotated {role} key for repository {us.gun}\n"
        assert us.run("rotate", us.gun, "root").stdout.endswith("Are you sure you want to proceed? [y/N] ")
        before = us.docker.server.metadata(us.gun, "root")
        us.run("rotate", us.gun, "root", "--dry-run")
        assert us.docker.server.metadata(us.gun, "root") == before
        us.run("rotate", us.gun, "root", input="y\n")
        assert us.docker.server.metadata(us.gun, "root") != before
        assert us.tags().keys() == {"v1"}

    def test_expiry_renewal_and_recovery(self, us):
        us.sign("v1", "--expiry", "targets=20")
        assert us.run("expiry", us.gun, "--within", "10").stdout == ""
        soon = us.run("expiry", us.gun, "--within", "30", status=1).stdout.splitlines()
        assert re.fullmatch(rf"{re.escape(us.gun)} +targets +2 +\S+Z +here", soon[2])
        assert us.json("renew", us.gun, "--within", "10")[0]["files"] == []
        us.run("renew", us.gun, "--within", "30")
        assert us.run("expiry", us.gun, "--within", "30").stdout == ""
        us.run("recover", us.gun, "--dry-run")
        assert us.tags().keys() == {"v1"}

    def test_several_people_sign_one_proposal(self, us, user):
        """A delegation that wants two signatures, and two machines."""
        other = user()
        us.run("init", us.gun)
        for each, name in ((us, "alice"), (other, "bob")):
            each.run("key", "generate", name, "--dir", us.directory)
        keys = [us.directory / f"{name}.pub" for name in ("alice", "bob")]
        us.run("delegation", "add", us.gun, "targets/releases", *keys, "--all-paths")
        us.run("threshold", us.gun, "targets/releases", "2")
        digest, size = make_image("v1")
        part, whole = us.directory / "part", us.directory / "whole"
        us.run("sign", f"{us.gun}:v1", "--digest", digest, "--size", size, status=3)
        us.run("sign", f"{us.gun}:v1", "--digest", digest, "--size", size, "--proposal", part)
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
        us.run("publish", "--proposal", part, status=3)
        asked = other.run("cosign", part, "-o", whole)
        assert digest in asked.stdout and asked.stdout.endswith("Sign this? [y/N] ") and not whole.exists()
        other.run("cosign", part, "-o", whole, input="y\n")
        other.run("publish", "--proposal", part, "--proposal", whole)
        assert us.tags()["v1"] == (digest, size)


class TestKeys:
    def test_are_listed_as_by_notary(self, us):
        assert us.run("key", "list").stdout == us.notary.run("key", "list").stdout
        us.add_signer()
        us.run("rotate", us.gun, "snapshot")
        assert us.run("key", "list").stdout == us.notary.run("key", "list").stdout
        assert {key["role"] for key in us.json("key", "list")} == {"root", "targets", "snapshot", "alice"}

    def test_exported_here_and_imported_there(self, us, user):
        us.add_signer()
        us.sign("v1")
        everything, other = us.directory / "all.pem", user()
        us.run("key", "export", "-o", everything)
        assert stat.S_IMODE(everything.stat().st_mode) == 0o600
        assert us.run("key", "export").stdout == everything.read_text() == us.notary.run("key", "export").stdout
        us.run("key", "export", "-o", everything, status=2)
        imported = other.run("key", "import", everything).stdout.splitlines()
        assert len(imported) == 3
        other.gun = us.gun
        other.sign("v2")
        assert us.tags().keys() == {"v1", "v2"}
        (targets,) = (key for key in us.json("key", "list") if key["gun"])
        assert us.run("key", "export", "--gun", us.gun).stdout == us.run("key", "export", "--key", targets["id"]).stdout

    def test_removal_asks_first(self, us):
        us.add_signer()
        (key,) = (key for key in us.json("key", "list") if key["role"] == "alice")
        question = f"Are you sure you want to remove {key['id']} (role alice) from {us.trust_dir}/private? [y/N] "
        assert us.run("key", "remove", key["id"]).stdout == question
        assert key in us.json("key", "list")
        us.run("key", "remove", key["id"], input="y\n")
        assert key not in us.json("key", "list")
        us.run("key", "remove", key["id"], "--yes", status=3)

    def test_what_a_key_file_says_cannot_steer_the_terminal(self, us):
        us.run("key", "generate", "alice", "--dir", us.directory)
        (key,) = us.json("key", "list")
        file = Path(key["location"])
        file.write_text(file.read_text().replace("role: alice", "role: \u202ealice"))
        for words in (["list"], ["remove", key["id"]]):
            shown = us.run("key", *words).stdout
            assert "\\u202ealice" in shown and "\u202e" not in shown
        with us.terminal("key", "export") as terminal:
            assert "role: \\u202ealice\n" in terminal.finish()[1]
        assert us.run("key", "export").stdout == us.notary.run("key", "export").stdout

    def test_a_new_passphrase_does_not_come_from_the_variable_of_the_old(self, us):
        us.add_signer()
        (key,) = (key for key in us.json("key", "list") if key["role"] == "alice")
        before = Path(key["location"]).read_bytes()
        us.run("key", "passwd", key["id"], status=3)
        us.run("key", "passwd", "--passphrase-stdin", key["id"], input="short", status=3)
        assert Path(key["location"]).read_bytes() == before
        us.run("key", "passwd", "--passphrase-stdin", key["id"], input="the new one\n")
        assert Path(key["location"]).read_bytes() != before
        signs_with(us, "alice", "the new one")


class TestHelp:
    def test_every_command_has_one_with_every_status(self, tagtrust):
        need(COMMAND.exists(), "the command `tagtrust`")
        listed = re.findall(r"^    ([a-z]+)\b", run(COMMAND, "--help", env=environment()).stdout, re.M)
        assert {"sign", "revoke", "signer", "key", "rotate"} <= set(listed)
        for name in listed:
            below = run(COMMAND, name, "--help", env=environment()).stdout
            for words in (
                ([name, it] for it in re.findall(r"^    ([a-z]+)\b", below, re.M)) if name in NOUNS else [[name]]
            ):
                said = run(COMMAND, *words, "--help", env=environment() | {"PYTHONUTF8": "0", "LC_ALL": "C"}).stdout
                # 1 is for trust data that is refused, and a server refuses none at its end.
                statuses = (0, 2, 3) if name == "server" else range(4)
                assert all(f"\n  {status}  " in said for status in statuses), words
