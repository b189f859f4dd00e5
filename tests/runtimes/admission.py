"""The admission webhook, run as in a cluster, and asked as an API server does."""

import base64
import http.client
import json
import sys

from interop.verifiers import ROOT
from lab.certificates import make_server_certificate
from lab.process import Daemon
from lab.server import opener, tls_context

EXAMPLE = ROOT / "python/examples/admission"


class Admission(Daemon):
    """`with Admission(directory, server=..., ...) as admission: admission.mutate(review)`"""

    def __init__(self, directory, **config):
        super().__init__(directory)
        self.certificate = make_server_certificate(self.directory)
        self.config = self.directory / "config.json"
        self.configure(**config)

    def configure(self, **config):
        self.config.write_text(json.dumps(config, default=str))

    def command(self):
        files = ["--certificate", str(self.certificate.cert_file), "--key", str(self.certificate.key_file)]
        program = [sys.executable, str(EXAMPLE / "admission.py")]
        return [*program, "--config", str(self.config), *files, "--listen", self.address]

    def ping(self):
        opener(self.certificate.ca_file).open(f"https://{self.address}/healthz", timeout=5).close()

    def decisions(self) -> list[dict]:
        """What it wrote about each request."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def connect(self) -> http.client.HTTPSConnection:
        context = tls_context(self.certificate.ca_file)
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=30)

    def post(self, body: bytes, path="/mutate?timeout=10s", **headers) -> tuple[int, bytes]:
        """Status and body of the answer."""
        defaults = {"Accept": "application/json, */*", "User-Agent": "kube-apiserver-admission"}
        connection = self.connect()
        try:
            headers = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
            connection.request("POST", path, body, defaults | headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def ask(self, review: dict, path: str) -> dict:
        """The `response`: of an AdmissionReview that the API server can use."""
        status, body = self.post(json.dumps(review).encode(), path, Content_Type="application/json")
        assert status == 200, body
        answer = json.loads(body)
        assert set(answer) == {"apiVersion", "kind", "response"}
        assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
        response = answer["response"]
        assert response["uid"] == review["request"]["uid"]
        assert set(response) <= {"uid", "allowed", "status", "patch", "patchType", "warnings"}
        assert ("patch" in response) == ("patchType" in response)
        if not response["allowed"]:
            assert "patch" not in response and response["status"]["message"].startswith("tagtrust: ")
        return response

    def mutate(self, review, path="/mutate?timeout=10s") -> dict:
        return self.ask(review, path)

    def validate(self, review) -> dict:
        response = self.ask(review, "/validate?timeout=10s")
        assert "patch" not in response
        return response


def patch_of(response) -> list:
    """The patch, if it was admitted."""
    assert response["allowed"], response
    if "patch" not in response:
        return []
    assert response["patchType"] == "JSONPatch"
    return json.loads(base64.b64decode(response["patch"], validate=True))
