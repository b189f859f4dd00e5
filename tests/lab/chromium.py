"""A headless Chromium, told what to do over its DevTools pipe."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

PROGRAM = shutil.which("chromium")
FLAGS = [
    "--headless=new",
    "--no-sandbox",  # as root, in containers, it starts only without
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--ignore-certificate-errors",
    "--remote-debugging-pipe",
]


class Chromium:
    """`with Chromium(directory) as browser: browser.open(url)`

    `problems` is what went wrong on the page: errors on the console, exceptions, dialogs.
    `requests` are the URLs that it asked for.
    """

    def __init__(self, directory: Path):
        self.directory = Path(directory)
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.login: tuple[str, str] | None = None
        self._loaded = False
        self._number = 0
        self._buffer = b""
        self._session = None

    def __enter__(self):
        # Chromium reads from 3 and writes to 4; ours must not be among them on the way there.
        (theirs_in, self._out), (self._in, theirs_out) = os.pipe(), os.pipe()
        read, write = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (theirs_in, theirs_out))
        os.close(theirs_in), os.close(theirs_out)
        script = f'exec "$@" 3<&{read} 4>&{write}'
        argv = [PROGRAM, *FLAGS, f"--user-data-dir={self.directory / 'profile'}", "about:blank"]
        with open(self.directory / "chromium.log", "wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", script, "bash", *argv], pass_fds=(read, write), stdout=log, stderr=log
            )
        os.close(read), os.close(write)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Fetch.enable", handleAuthRequests=True)
        return self

    def __exit__(self, *_):
        os.close(self._out), os.close(self._in)
        self._process.terminate()
        self._process.wait(timeout=20)

    def open(self, url: str) -> int:
        """The status of the page, once all of it is there."""
        self.problems, self.requests, self.status, self._loaded = [], [], None, False
        self.call("Page.navigate", url=url)
        self._wait()
        return self.status

    def click(self, text: str) -> int:
        """As `open`, by the first link or button with this text."""
        self.problems, self.requests, self.status, self._loaded = [], [], None, False
        found = self.evaluate(
            "(() => { const e = [...document.querySelectorAll('a, button')]"
            f".find(e => e.textContent.trim() == {json.dumps(text)}); e?.click(); return !!e }})()"
        )
        assert found, f"no link {text!r}"
        self._wait()
        return self.status

    def evaluate(self, expression: str):
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    @property
    def text(self) -> str:
        return self.evaluate("document.body.innerText")

    def look(self, width: int, height: int, dark=False):
        """How large the window is, and whether its user likes it dark."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self) -> bytes:
        """The window as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def call(self, method: str, **params):
        """One DevTools command."""
        number = self._send(method, params)
        while True:
            message = self._receive()
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def _wait(self):
        while not self._loaded:
            self._receive()

    def _send(self, method, params) -> int:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        return self._number

    def _receive(self, patience=60) -> dict:
        deadline = time.monotonic() + patience
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0, deadline - time.monotonic()))
            part = os.read(self._in, 1 << 20) if ready else b""
            assert part, "Chromium says nothing any more; see chromium.log"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(message)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, event, params):
        match event:
            case "Page.loadEventFired":
                self._loaded = True
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Network.responseReceived" if params["type"] == "Document":
                self.status = params["response"]["status"]
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.problems.append(params["entry"]["text"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                self.problems.append(json.dumps(params))
            case "Page.javascriptDialogOpening":
                self.problems.append(f"dialog: {params['message']}")
                self._send("Page.handleJavaScriptDialog", {"accept": True})
            case "Fetch.requestPaused":
                self._send("Fetch.continueRequest", {"requestId": params["requestId"]})
            case "Fetch.authRequired":
                # As somebody who gives up if there is nothing to type.
                answer = {"response": "CancelAuth"}
                if self.login:
                    user, password = self.login
                    answer = {"response": "ProvideCredentials", "username": user, "password": password}
                self._send("Fetch.continueWithAuth", {"requestId": params["requestId"], "authChallengeResponse": answer})
