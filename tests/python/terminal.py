"""A person at a terminal."""

import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
import time

from lab.process import clean_environment


class Terminal:
    """`with Terminal("docker", "trust", ...) as terminal:` runs a program whose terminal this is."""

    def __init__(self, *argv, env=None, seconds=30):
        self.argv, self.env, self.seconds = [str(word) for word in argv], clean_environment(env), seconds
        self.shown = ""
        self._read_to = 0

    def __enter__(self):
        self._end, program_end = pty.openpty()
        self._process = subprocess.Popen(
            self.argv,
            stdin=program_end,
            stdout=program_end,
            stderr=program_end,
            env=self.env,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(program_end)
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._end)

    @property
    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._end)[3] & termios.ECHO)

    def answer(self, question, answer, unseen=True):
        """Wait for a question and type a line. `unseen`: what is typed must not be shown."""
        self._until(lambda: question in self.shown[self._read_to :])
        self._until(lambda: self.echoes != unseen)
        self._read_to = len(self.shown)
        os.write(self._end, f"{answer}\n".encode())

    def press(self, question, key: bytes):
        """Wait for a question whose answer is unseen, and press one key."""
        self._until(lambda: question in self.shown[self._read_to :] and not self.echoes)
        self._read_to = len(self.shown)
        os.write(self._end, key)

    def finish(self) -> tuple[int, str]:
        """The program's exit status, and all that was shown."""
        self._until(lambda: self._process.poll() is not None)
        while self._read():
            pass
        return self._process.returncode, self.shown

    def _until(self, happened):
        deadline = time.monotonic() + self.seconds
        while not happened():
            if time.monotonic() > deadline or self._process.poll() is not None and not self._read():
                if happened():
                    return
                raise AssertionError(f"{self.argv} did not go on after:\n{self.shown}")
            self._read()

    def _read(self) -> bool:
        if not select.select([self._end], [], [], 0.02)[0]:
            return False
        try:
            data = os.read(self._end, 4096)
        except OSError:  # the program has gone
            return False
        self.shown += data.decode().replace("\r\n", "\n")
        return bool(data)
