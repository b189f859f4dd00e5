"""Running other programs, with an environment that the caller's cannot leak into."""

import os
import subprocess


class CommandFailed(Exception):
    """A program ended with a status other than 0; everything it said is in here."""

    def __init__(self, done: subprocess.CompletedProcess):
        self.returncode, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr
        super().__init__(f"{' '.join(map(str, done.args))}: exit {done.returncode}\n{done.stdout}{done.stderr}")


def run(*argv, env=None, cwd=None, input="", check=True, timeout=300) -> subprocess.CompletedProcess:
    """Run a program to its end, with nothing but PATH and `env` in its environment."""
    done = subprocess.run(
        [str(arg) for arg in argv],
        env=clean_environment(env),
        cwd=cwd,
        input=input,
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
    )
    if check and done.returncode != 0:
        raise CommandFailed(done)
    return done


def clean_environment(env=None) -> dict[str, str]:
    # Neither a proxy nor the user's own Docker settings may reach a test.
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8", "TZ": "UTC"} | {
        name: str(value) for name, value in (env or {}).items()
    }
