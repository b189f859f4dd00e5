#!/usr/bin/env python3
"""A Kubernetes admission webhook: images are pinned to the digests that their publishers signed, or refused.

    admission.py --config config.json --certificate tls.crt --key tls.key [--listen :8443]

`/mutate` gives each image its signed digest by a JSON patch. `/validate` admits only images that have one, whatever
other webhooks did meanwhile. Whatever goes wrong, the answer is no. README.md has the rest.
"""

from __future__ import annotations

import argparse
import base64
import concurrent.futures
import http.server
import json
import logging
import os
import re
import signal
import socket
import ssl
import sys
import threading
import time
import urllib.parse
from dataclasses import dataclass
from typing import Any, Iterator, NamedTuple, Sequence

import tagtrust

log = logging.getLogger("admission")

#: The API server takes objects of 3 MiB; an update comes with the old one too.
MAX_BODY = 8 * 1024 * 1024
#: More images than anybody has in one Pod: more would be a way to keep the trust server busy.
MAX_IMAGES = 50
#: Requests that are decided at once, and connections: more wait, or are refused.
MAX_AT_ONCE = 16
MAX_CONNECTIONS = 256
#: As much of a reason as is told.
MAX_MESSAGE = 2000
MAX_LINE = 10_000
#: How much sooner than the API server we give up, in seconds.
MARGIN = 1.0

#: Where an object has the specification of its Pods.
POD_SPECS = {
    ("", "Pod"): ("spec",),
    ("", "PodTemplate"): ("template", "spec"),
    ("", "ReplicationController"): ("spec", "template", "spec"),
    ("apps", "DaemonSet"): ("spec", "template", "spec"),
    ("apps", "Deployment"): ("spec", "template", "spec"),
    ("apps", "ReplicaSet"): ("spec", "template", "spec"),
    ("apps", "StatefulSet"): ("spec", "template", "spec"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template", "spec"),
    ("batch", "Job"): ("spec", "template", "spec"),
}

#: A repository with its registry, and a reference to an image in one: only such a one can be exempt. Docker's grammar.
FULL_NAME = re.compile(
    r"(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::[0-9]+)?|[A-Za-z0-9-]+:[0-9]+|localhost)"
    r"(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)+"
)
FULL_REFERENCE = re.compile(
    rf"(?P<repository>{FULL_NAME.pattern})(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?"
)
NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class Malformed(Exception):
    """A document that the API server would not send."""


class Image(NamedTuple):
    """An image that an object wants to run or mount."""

    #: Its place in the object: a JSON pointer.
    pointer: str
    #: What it is for: the list, and the name in there.
    use: tuple[str, str]
    reference: str


def member(value: Any, name: str, kind: type) -> Any:
    if not isinstance(value, dict) or not isinstance(value.get(name), kind):
        raise Malformed(f"{name} is missing or not what it should be")
    return value[name]


def images_of(kind: tuple[str, str], obj: Any) -> Iterator[Image]:
    """All images of an object: of containers of all sorts, and of volumes."""
    pointer = ""
    for name in POD_SPECS[kind]:
        obj = member(obj, name, dict)
        pointer += f"/{name}"
    member(obj, "containers", list)
    for items in ("containers", "initContainers", "ephemeralContainers", "volumes"):
        if obj.get(items) is None:
            continue
        for number, item in enumerate(member(obj, items, list)):
            place, use = f"{pointer}/{items}/{number}/image", (items, member(item, "name", str))
            if items != "volumes":
                yield Image(place, use, reference_in(item, "image"))
            elif item.get("image") is not None:
                yield Image(f"{place}/reference", use, reference_in(item["image"], "reference"))


def reference_in(value: Any, name: str) -> str:
    text = member(value, name, str)
    if not text.isascii():
        raise Malformed(f"{text[:200]!r} is no image reference")
    return text


@dataclass(frozen=True)
class Exempt:
    """What is admitted as it is."""

    #: By exact name.
    namespaces: Sequence[str] = ()
    #: Full names of repositories, or their starts with a final `/*`.
    images: Sequence[str] = ()

    def __post_init__(self):
        # What can never match would look as if it did.
        for name in self.namespaces:
            if not (isinstance(name, str) and NAMESPACE.fullmatch(name)):
                raise ValueError(f"exempt: {name!r} is no namespace's name")
        for pattern in self.images:
            if not (isinstance(pattern, str) and FULL_NAME.fullmatch(re.sub(r"/\*$", "/any", pattern))):
                raise ValueError(
                    f"exempt: {pattern!r} is no repository's full name, with its registry and without a tag, "
                    "nor the start of one with a final /*"
                )

    def covers(self, reference: str) -> bool:
        found = FULL_REFERENCE.fullmatch(reference) if len(reference) <= 1000 else None
        if not found:
            return False
        name = found["repository"]
        return any(name.startswith(it[:-1]) if it.endswith("/*") else name == it for it in self.images)


class Reviewer:
    """Decides about the `request` of an AdmissionReview."""

    def __init__(self, client: tagtrust.Client, exempt: Exempt = Exempt(), timeout: float = 8.0):
        self._client = client
        self._exempt = exempt
        self._timeout = timeout
        self._pool = concurrent.futures.ThreadPoolExecutor(MAX_AT_ONCE)

    def review(self, request: dict, pin: bool, deadline: float = float("inf")) -> dict:
        """The `response`. With `pin`, images get their digest; without, they must have it. Time is monotonic."""
        deadline = min(deadline, time.monotonic() + self._timeout)
        try:
            return self._decide(request, pin, deadline)
        except Malformed as error:
            return refusal(400, "BadRequest", str(error))

    def _decide(self, request: dict, pin: bool, deadline: float) -> dict:
        operation = member(request, "operation", str)
        if operation == "DELETE":
            return {"allowed": True}
        if operation not in ("CREATE", "UPDATE"):
            raise Malformed(f"there is no answer to the operation {operation}")
        kind = member(request, "kind", dict)
        kind = (member(kind, "group", str), member(kind, "kind", str))
        if kind not in POD_SPECS:
            raise Malformed(f"there is no answer about {'/'.join(kind)}")
        obj = member(request, "object", dict)
        if member(obj, "kind", str) != kind[1] or member(obj, "apiVersion", str).rpartition("/")[0] != kind[0]:
            raise Malformed("the object is of another kind than the request")
        if request.get("namespace") in self._exempt.namespaces:
            return {"allowed": True}

        images = list(images_of(kind, obj))
        # What runs already is not judged anew: else nobody could delete or scale it while it is refused.
        old = set()
        if operation == "UPDATE":
            old = {image[1:] for image in images_of(kind, member(request, "oldObject", dict))}
        images = [image for image in images if image[1:] not in old and not self._exempt.covers(image.reference)]
        if not images:
            return {"allowed": True}
        return self._answer(images, self._verify({image.reference for image in images}, deadline), pin)

    def _verify(self, references: set[str], deadline: float) -> dict[str, tagtrust.Image | tagtrust.TrustError | None]:
        """None: there was no answer in time."""
        if len(references) > MAX_IMAGES:
            raise Malformed(f"there are {len(references)} images; at most {MAX_IMAGES} are admitted")
        asked = sorted(references)
        future = self._pool.submit(self._client.verify_many, asked)
        try:
            return dict(zip(asked, future.result(deadline - time.monotonic())))
        except concurrent.futures.TimeoutError:
            future.cancel()
            return dict.fromkeys(asked)

    def _answer(self, images: list[Image], verified: dict, pin: bool) -> dict:
        patch, refused, warnings, undecided = [], [], [], False
        for pointer, (items, name), reference in images:
            result = verified[reference]
            place = f"{items} {name}: {reference}"
            if result is None:
                refused.append(f"{place}: there is no answer in time")
                undecided = True
            elif not isinstance(result, tagtrust.Image):
                refused.append(f"{place}: {type(result).__name__}: {result}")
                undecided |= not (result.is_refusal or isinstance(result, tagtrust.InvalidReference))
            elif "@" not in reference and not pin:
                refused.append(f"{place}: it has no digest")
            else:
                if not result.fresh:
                    warnings.append(f"{items} {name}: verified by cached trust data")
                if "@" not in reference:
                    patch.append({"op": "replace", "path": pointer, "value": result.pinned_reference})
        if refused:
            # Controllers repeat either; people see that the image may be good.
            code = (503, "ServiceUnavailable") if undecided else (403, "Forbidden")
            return refusal(*code, "; ".join(refused))
        response: dict[str, Any] = {"allowed": True}
        if patch:
            response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
        if warnings:
            response["warnings"] = [warning[:200] for warning in warnings[:10]]
        return response


def refusal(code: int, reason: str, message: str) -> dict:
    message = f"tagtrust: {message}"[:MAX_MESSAGE]
    return {"allowed": False, "status": {"code": code, "reason": reason, "message": message}}


# HTTP


def parse_json(text: str) -> Any:
    """What two readers could understand differently is an error."""

    def unique(pairs):
        names = dict(pairs)
        if len(names) != len(pairs):
            raise ValueError("a name stands there twice")
        return names

    def no_constant(name):
        raise ValueError(f"{name} is no JSON")

    return json.loads(text, object_pairs_hook=unique, parse_constant=no_constant)


def read_review(body: bytes) -> dict:
    """The request of an AdmissionReview."""
    try:
        review = parse_json(body.decode())
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the body is no JSON: {error}") from None
    if (member(review, "apiVersion", str), member(review, "kind", str)) != ("admission.k8s.io/v1", "AdmissionReview"):
        raise Malformed("the body is no AdmissionReview of admission.k8s.io/v1")
    request = member(review, "request", dict)
    if not member(request, "uid", str):
        raise Malformed("uid is empty")
    return request


class Handler(http.server.BaseHTTPRequestHandler):
    """Requests of one connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "tagtrust-admission"
    sys_version = ""
    #: How long a client may keep us waiting.
    timeout = 10
    #: An answer goes out in one piece.
    wbufsize = -1

    def do_GET(self):
        self._send(*((200, "ok") if self.path == "/healthz" else (404, "there is nothing here")))

    def do_POST(self):
        arrived = time.monotonic()
        url = urllib.parse.urlsplit(self.path)
        problem = self._problem(url.path)
        if problem:
            # The body is not read, so what follows on this connection is no request.
            self.close_connection = True
            return self._send(*problem)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            request = read_review(body)
        except Malformed as error:
            return self._send(400, str(error))
        try:
            response = self.server.reviewer.review(request, url.path == "/mutate", arrived + limit(url.query))
        except Exception:
            log.exception("a defect")
            response = refusal(500, "InternalError", "there is a defect in the webhook")
        record(request, response)
        review = {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "response": {"uid": request["uid"]} | response,
        }
        self._send(200, json.dumps(review), "application/json")

    def _problem(self, path):
        length = self.headers.get("Content-Length", "")
        if path not in ("/mutate", "/validate"):
            return 404, "there is nothing here"
        if self.headers.get_content_type() != "application/json":
            return 415, "the body must be application/json"
        if self.headers.get("Transfer-Encoding") or len(self.headers.get_all("Content-Length", ())) != 1:
            return 411, "Content-Length is needed"
        if not re.fullmatch("[0-9]{1,18}", length):
            return 400, "Content-Length is no number"
        if int(length) > MAX_BODY:
            return 413, "the body is too large"
        return None

    def _send(self, status, text, content_type="text/plain"):
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format, *args):
        log.debug(format, *args)


def limit(query: str) -> float:
    """How long we have by the API server's own words, such as `timeout=10s`."""
    (text,) = urllib.parse.parse_qs(query).get("timeout", ["60s"])[-1:]
    seconds = re.fullmatch(r"([0-9]{1,4})s", text)
    return max(0.0, float(seconds[1]) - MARGIN) if seconds else 60.0


def record(request: dict, response: dict):
    """One line for each decision. Names are a stranger's: JSON has no line breaks in it."""
    names = {name: request.get(name) for name in ("uid", "operation", "namespace", "name", "dryRun")}
    patch = base64.b64decode(response.get("patch", "")).decode()
    decision = {"allowed": response["allowed"], "status": response.get("status"), "patch": patch}
    log.info("%s", json.dumps(decision | names)[:MAX_LINE])


class Server(http.server.ThreadingHTTPServer):
    """Speaks TLS; reads certificate and key again when they change."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], reviewer: Reviewer, certificate: str, key: str):
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.reviewer = reviewer
        self._files = certificate, key
        self._loaded = None
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load()
        super().__init__(address, Handler)

    def _load(self):
        changed = [os.stat(file).st_mtime_ns for file in self._files]
        if changed != self._loaded:
            self._context.load_cert_chain(*self._files)
            self._loaded = changed

    def get_request(self):
        connection, address = super().get_request()
        try:
            self._load()
        except (OSError, ssl.SSLError) as error:
            log.error("certificate and key stay as they were: %s", error)
        # The handshake waits for the client, so it is left to the connection's own thread.
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def process_request(self, request, client_address):
        if not self._free.acquire(blocking=False):
            log.error("there are too many connections")
            return self.shutdown_request(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request, client_address):
        log.info("%s: %s", client_address[0], sys.exc_info()[1])


# Settings


def read_config(path: str) -> Reviewer:
    """A reviewer by a JSON file. What is unknown in there is an error."""
    with open(path, encoding="utf-8") as file:
        config = parse_json(file.read())

    def is_a(value: Any, kind) -> bool:
        # For Python, true is a number, too.
        return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))

    def take(source: Any, what: str, **kinds) -> dict:
        if not isinstance(source, dict):
            raise ValueError(f"{what} is no object")
        unknown = set(source) - set(kinds)
        wrong = {name for name, value in source.items() if name in kinds and not is_a(value, kinds[name])}
        if unknown or wrong:
            raise ValueError(f"{what}: {', '.join(sorted(unknown | wrong))} cannot be used")
        return source

    settings = take(
        config,
        path,
        server=str,
        ca_file=str,
        client_cert=str,
        client_key=str,
        trust_dir=str,
        docker_config=str,
        timeout=(int, float),
        require_fresh=bool,
        offline_max_age=(int, float),
        danger_plain_http=bool,
        pinning=dict,
        rules=list,
        exempt=dict,
    )
    pinning = take(settings.pop("pinning", {}), "pinning", certificates=dict, ca=dict, trust_on_first_use=bool)
    rules = [
        tagtrust.Rule(**take(rule, "rules", repository=str, all_of=list, any_of=list, threshold=int))
        for rule in settings.pop("rules", [])
    ]
    exempt = Exempt(**take(settings.pop("exempt", {}), "exempt", namespaces=list, images=list))
    settings = {
        # Not those of the user: what is not configured is not used.
        "trust_dir": "/var/lib/tagtrust",
        "docker_config": "/etc/tagtrust/docker",
        "timeout": 8,
    } | settings
    if settings["timeout"] == 0:
        raise ValueError("timeout: there is no answer in no time")
    for variable in ("DOCKER_CONFIG", "DOCKER_CONTENT_TRUST_SERVER"):
        os.environ.pop(variable, None)
    client = tagtrust.Client(
        pinning=tagtrust.Pinning(**pinning), policy=tagtrust.Policy(rules=rules), parallelism=MAX_IMAGES, **settings
    )
    return Reviewer(client, exempt, settings["timeout"])


def main():
    parser = argparse.ArgumentParser(description="Pins images to the digests that were signed.")
    parser.add_argument("--config", required=True, metavar="FILE")
    parser.add_argument("--certificate", required=True, metavar="FILE")
    parser.add_argument("--key", required=True, metavar="FILE")
    parser.add_argument("--listen", default=":8443", metavar="[HOST]:PORT")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    host, _, port = options.listen.rpartition(":")
    try:
        reviewer = read_config(options.config)
        server = Server((host.strip("[]"), int(port)), reviewer, options.certificate, options.key)
    except (OSError, ValueError, TypeError, tagtrust.TrustError) as error:
        sys.exit(f"admission: {error}")
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    log.info("listening on %s", options.listen)
    server.serve_forever()


if __name__ == "__main__":
    main()
