"""A page, told: all its blocks are run in their order, in one directory, and must print what the page shows.

- `console`: commands behind `$ `, their next lines behind `> `, and below them what they print. A command
  must succeed, unless `$ echo $?` comes next. All of a page are typed into one shell.
- `sh`: commands, typed into the same shell; each must succeed.
- `python`, `c`, `go`, `rust`: a program, which must succeed. Blocks of the last three that have no `main` are
  parts of the next that has one. With `>>> `, what Python answers must be what the page shows.
- `text`: what the block before prints.
- `json`, `toml`, `yaml`: must be well-formed.

A second word behind the language is the name of a file: the block is written to it and not run, and something
later on the page must use it, or its test. In what is shown `...` stands for anything. There are no other blocks.
"""

import contextlib
import doctest
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from markdown_it import MarkdownIt

from interop.verifiers import BUILD
from lab import run
from lab.process import clean_environment

try:
    import tomllib
except ImportError:  # Python 3.10, where Sphinx brings it
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
SECONDS = 60


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    file: str | None
    text: str

    def __str__(self):
        return f"{self.page}:{self.line}"


def blocks(page: str, text: str) -> list[Block]:
    """All blocks of code, also those in lists and without a language."""
    tokens = [token for token in MarkdownIt().parse(text) if token.type in ("fence", "code_block")]
    return [_block(page, token) for token in tokens]


def _block(page, token):
    language, _, file = token.info.partition(" ")
    return Block(page, token.map[0] + 1, language.partition(",")[0], file or None, token.content)


class Story:
    """One reader of a page, with an empty directory. `replace`: what cannot be here as it stands there."""

    def __init__(self, directory: Path, env, replace=None):
        self.directory, self.env = Path(directory), clean_environment(env)
        self.replace = replace or {}
        # What each command and program printed, and the last of it.
        self.printed: dict[str, str] = {}
        self.last: str | None = None
        self.parts: dict[str, list[str]] = {}

    def tell(self, page: str, without: tuple[str, ...] = ()) -> dict[str, str]:
        """Runs the page but for sections that have a test of their own; returns what was printed by what was run."""
        text = (ROOT / page).read_text()
        for heading in without:
            text, found = re.subn(rf"^(#+) {re.escape(heading)}\n.*?(?=^\1 |\Z)", "", text, flags=re.M | re.S)
            assert found == 1, f"{page} has no section {heading}"
        for there, here in self.replace.items():
            assert there in text, f"{page} does not have {there} any more"
            text = text.replace(there, here)
        with Shell(self.directory, self.env) as self.shell:
            told = blocks(page, text)
            for number, block in enumerate(told):
                self._run(block, "".join(later.text for later in told[number + 1 :]))
        assert not any(self.parts.values()), f"{page}: a program without main: {self.parts}"
        return self.printed

    def _run(self, block: Block, later: str):
        runner = RUNNERS.get(block.language)
        assert runner, f"{block}: nothing runs {block.language!r}"
        if block.file:
            assert block.file in later or runner in FORMS, f"{block}: nothing uses {block.file}"
            path = self.directory / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        if not block.file or runner in FORMS:
            runner(self, block)

    def _console(self, block: Block):
        steps = commands(block)
        for (command, shown), (following, _) in zip(steps, [*steps[1:], ("", "")], strict=True):
            printed, status = self.shell.type(command)
            assert status == 0 or following == "echo $?", f"{block}: {command}: exit {status}\n{printed}"
            if shown:
                expect(block, command, shown, printed)
            self._printed(command, printed)

    def _sh(self, block: Block):
        printed, status = self.shell.type(f"set -e\n{block.text}set +e")
        assert status == 0, f"{block}: exit {status}\n{printed}"
        self._printed(block.text, printed)

    def _python(self, block: Block):
        script = self.directory / ".block.py"
        if ">>> " in block.text:
            script = script.with_suffix(".txt")
            script.write_text(block.text)
            arguments = ["-c", f"import doctest; print(doctest.testfile({str(script)!r}, False, optionflags=8))"]
            printed = self._program(block, sys.executable, *arguments)
            assert "failed=0" in printed, f"{block}\n{printed}"
        else:
            script.write_text(block.text)
            self._printed(block.text, self._program(block, sys.executable, script))

    def _c(self, block: Block):
        if source := self._whole(block, "int main("):
            (self.directory / "block.c").write_text(source)
            strict = ["-Wall", "-Wextra", "-Werror"]
            library = ["-I", ROOT / "include", "-L", BUILD, f"-Wl,-rpath,{BUILD}", "-ltagtrust"]
            self._program(block, "cc", *strict, "block.c", "-o", "block", *library)
            self._printed(block.text, self._program(block, "./block"))

    def _rust(self, block: Block):
        if source := self._whole(block, "fn main("):
            (self.directory / "block.rs").write_text(source)
            library = rust_library()
            found = ["--extern", f"tagtrust={library}", "-L", f"dependency={library.parent / 'deps'}"]
            self._program(block, "rustc", "--edition=2024", "-Dwarnings", *found, "block.rs", "-o", "block")
            self._printed(block.text, self._program(block, "./block"))

    def _go(self, block: Block):
        if source := self._whole(block, "func main("):
            (self.directory / "block.go").write_text(source)
            self._printed(block.text, self._program(block, "go", "run", "block.go"))

    def _text(self, block: Block):
        assert self.last is not None, f"{block}: nothing before it prints anything"
        expect(block, "the block before", block.text, self.last)

    def _json(self, block: Block):
        json.loads(block.text)

    def _toml(self, block: Block):
        tomllib.loads(block.text)

    def _yaml(self, block: Block):
        assert list(yaml.safe_load_all(block.text)), block

    def _program(self, block: Block, *argv) -> str:
        done = run(*argv, env=self.env, cwd=self.directory, check=False, timeout=SECONDS)
        assert done.returncode == 0, f"{block}: {argv[0]}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _whole(self, block: Block, main: str) -> str | None:
        parts = self.parts.setdefault(block.language, [])
        parts.append(block.text)
        if main not in block.text:
            return None
        self.parts[block.language] = []
        return "\n".join(parts)

    def _printed(self, what: str, printed: str):
        self.printed[what] = self.last = printed


RUNNERS = {
    "console": Story._console,
    "sh": Story._sh,
    "python": Story._python,
    "c": Story._c,
    "rust": Story._rust,
    "go": Story._go,
    "text": Story._text,
    "json": Story._json,
    "toml": Story._toml,
    "yaml": Story._yaml,
}
FORMS = (Story._json, Story._toml, Story._yaml)


def commands(block: Block) -> list[tuple[str, str]]:
    """The commands of a console, each with what is shown below it."""
    steps: list[tuple[str, str]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], ""))
            continue
        assert steps, f"{block}: no command"
        command, shown = steps[-1]
        if line.startswith("> ") and not shown:
            steps[-1] = (f"{command}\n{line[2:]}", "")
        else:
            steps[-1] = (command, f"{shown}{line}\n")
    return steps


def expect(block: Block, what: str, shown: str, printed: str):
    agree = doctest.OutputChecker().check_output(shown, printed, doctest.ELLIPSIS)
    assert agree, f"{block}: {what} prints\n{printed}\nnot\n{shown}"


@cache
def rust_library() -> Path:
    """The library that `make build` made for its programs; cargo finds nothing to do."""
    command = ["cargo", "build", "--locked", "--quiet", "-p", "tagtrust", "--features", "pkcs11,server", "--lib"]
    messages = subprocess.run([*command, "--message-format=json"], cwd=ROOT, check=True, capture_output=True).stdout
    messages = [json.loads(line) for line in messages.splitlines()]
    made = [message for message in messages if message["reason"] == "compiler-artifact"]
    files = [file for artifact in made if artifact["target"]["name"] == "tagtrust" for file in artifact["filenames"]]
    return Path(next(file for file in files if file.endswith(".rlib")))


class Shell:
    """A shell that somebody types commands into. What they leave behind ends with it."""

    END = "the command has ended with status"

    def __init__(self, directory: Path, env):
        self.directory, self.env = directory, env
        self.number = 0

    def __enter__(self):
        # A group of its own, because commands leave servers behind.
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], cwd=self.directory, env=self.env, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def type(self, command: str) -> tuple[str, int]:
        """What it prints, errors too, and its exit status."""
        # From a file, so that it cannot read what is typed next.
        self.number += 1
        script = self.directory / f".command{self.number}"
        script.write_text(f"(exit ${{last_status:-0}})\n{command}\n")
        typed = f". {script} </dev/null; last_status=$?; echo {self.END} $last_status\n"
        self.process.stdin.write(typed.encode())
        self.process.stdin.flush()
        printed, deadline = b"", time.monotonic() + SECONDS
        while not (end := re.search(rf"{self.END} (\d+)\n".encode(), printed)):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{command} takes more than {SECONDS} seconds\n{printed.decode()}"
            got = os.read(self.process.stdout.fileno(), 1 << 16)
            assert got, f"{command} ended the shell\n{printed.decode()}"
            printed += got
        return printed[: end.start()].decode(), int(end[1])
