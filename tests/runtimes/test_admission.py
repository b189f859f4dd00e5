"""The Kubernetes admission webhook: AdmissionReview documents over HTTPS."""

import concurrent.futures
import copy
import json
import re
import shutil
import socket
import ssl
import time

import pytest
import yaml

from lab import repositories, run
from lab.certificates import make_server_certificate
from runtimes.admission import EXAMPLE, Admission, patch_of
from runtimes.reviews import RESOURCES, container, made, patched, pod_spec, review, spec_of

UNSIGNED = f"sha256:{'0' * 64}"
# Seconds: of an answer, and how long a connection may say nothing.
DEFAULT_TIMEOUT, SILENCE = 8, 10


@pytest.fixture(scope="session")
def settings(server, tagtrust, tmp_path_factory):
    """Call it for the settings of one more webhook."""

    def settings(**more):
        directory = tmp_path_factory.mktemp("admission")
        return {
            "server": server.url,
            "ca_file": server.ca_file,
            "trust_dir": directory / "trust",
            "docker_config": directory / "docker",
            "pinning": {"trust_on_first_use": True},
        } | more

    return settings


@pytest.fixture(scope="module")
def webhook(settings, tmp_path_factory):
    exempt = {"namespaces": ["kube-system"], "images": ["registry.k8s.io/pause", "registry.example/infra/*"]}
    with Admission(tmp_path_factory.mktemp("webhook"), **settings(exempt=exempt)) as webhook:
        yield webhook


@pytest.fixture
def start(settings, tmp_path):
    """Call it for a webhook with other settings."""
    started = []

    def start(**more):
        webhook = Admission(tmp_path / f"webhook-{len(started)}", **settings(**more))
        started.append(webhook)
        webhook.start()
        return webhook

    yield start
    for webhook in started:
        webhook.stop()


@pytest.fixture
def image(signed):
    """Call it with a tag for the reference and what it is pinned to."""
    return lambda tag="v1": (f"{signed.gun}:{tag}", f"{signed.gun}@{signed.tags[tag][0]}")


def refused(response) -> tuple[int, str]:
    assert not response["allowed"]
    assert response["status"]["reason"]
    return response["status"]["code"], response["status"]["message"]


# What is pinned


@pytest.mark.parametrize("kind", RESOURCES)
def test_every_image_of_every_kind_is_pinned_and_nothing_else_changes(webhook, image, kind):
    names = {tag: image(tag)[0] for tag in ("v1", "v2", "v10", "by-alice")}
    pinned = {tag: image(tag)[1] for tag in names}
    as_written = [names["v1"], [names["v2"], names["v1"]], [names["v10"]], [names["by-alice"]]]
    as_pinned = [pinned["v1"], [pinned["v2"], pinned["v1"]], [pinned["v10"]], [pinned["by-alice"]]]
    obj = made(kind, pod_spec(*as_written))
    after = patched(obj, patch_of(webhook.mutate(review(obj))))
    assert after == made(kind, pod_spec(*as_pinned))
    # What was pinned is admitted as it is, by both.
    assert patch_of(webhook.mutate(review(after))) == []
    assert webhook.validate(review(after))["allowed"]
    code, message = refused(webhook.validate(review(obj)))
    assert code == 403 and message.count("it has no digest") == 5


def test_a_dry_run_is_answered_alike(webhook, image):
    obj = made("Pod", pod_spec(image()[0]))
    assert patch_of(webhook.mutate(review(obj, dry_run=True))) == patch_of(webhook.mutate(review(obj)))


def test_images_with_a_digest_must_be_signed_and_stay_as_they_are(webhook, image, signed):
    name, pinned = image()
    digest = signed.tags["v1"][0]
    for good in (pinned, f"{name}@{digest}"):
        for ask in (webhook.mutate, webhook.validate):
            assert patch_of(ask(review(made("Pod", pod_spec(good))))) == []
    for bad, reason in {
        f"{signed.gun}@{UNSIGNED}": "TagNotSigned",
        f"{name}@{UNSIGNED}": "DigestMismatch",
        f"{name}@{signed.tags['v2'][0]}": "DigestMismatch",
        f"{signed.gun}:nope@{digest}": "TagNotSigned",
        f"{name}@sha512:{'0' * 128}": "InvalidReference",
    }.items():
        for ask in (webhook.mutate, webhook.validate):
            code, message = refused(ask(review(made("Pod", pod_spec(bad)))))
            assert code == 403 and f"containers app: {bad}: {reason}: " in message


@pytest.mark.parametrize("place", ["containers", "initContainers", "ephemeralContainers", "volumes"])
@pytest.mark.parametrize("kind", ["Pod", "CronJob"])
def test_one_unsigned_image_refuses_the_object_with_its_name(webhook, image, signed, kind, place):
    bad = f"{signed.gun}:nope"
    spec = pod_spec(image()[0], [image()[0]], [image()[0]], [image()[0]])
    spec[place].append({"name": "bad", "image": {"reference": bad}} if place == "volumes" else container("bad", bad))
    for ask in (webhook.mutate, webhook.validate):
        code, message = refused(ask(review(made(kind, spec))))
        assert code == 403 and f"{place} bad: {bad}: TagNotSigned: " in message


def test_all_that_is_wrong_is_told_but_not_without_end(webhook, signed):
    spec = pod_spec(f"{signed.gun}:nope", [f"{signed.gun}:neither"], [f"{signed.gun}-unknown:v1"])
    _, message = refused(webhook.mutate(review(made("Pod", spec))))
    assert [name in message for name in (":nope: ", ":neither: ", "-unknown:v1: ")] == [True] * 3
    spec["initContainers"] = [container(f"c{number}", f"{signed.gun}:{'x' * 100}{number}") for number in range(40)]
    assert len(refused(webhook.mutate(review(made("Pod", spec))))[1]) <= 2000
    spec["initContainers"] = [container(f"c{number}", f"{signed.gun}:{number}") for number in range(80)]
    code, message = refused(webhook.mutate(review(made("Pod", spec))))
    assert code == 400 and "82 images; at most 50" in message


@pytest.mark.parametrize(
    "name",
    ["", " ", "registry.example/UPPER:1", "a b", "registry.example/a:1\n", "../a", "registry.example/a@", "\u0000",
     "\u202e", "\ud800", "x" * 5000, "registry.example/a:" + "1" * 129, "registry.example/infra/../a:1",
     "registry.example/infra/a%2f:1", "registry.example/infra/", "registry.example@evil.example/infra/a:1"],
)  # fmt: skip
def test_hostile_references_are_refused(webhook, name):
    for ask in (webhook.mutate, webhook.validate):
        assert refused(ask(review(made("Pod", pod_spec(name)))))[0] in (400, 403)


# Updates


def test_an_ephemeral_container_is_pinned_or_refused(webhook, image, signed):
    """`kubectl debug` on a Pod that is older than the webhook."""
    before = made("Pod", pod_spec("registry.example/old/unsigned:1"))
    for debugger, expected in (image("v2"), (f"{signed.gun}:nope", None)):
        after = copy.deepcopy(before)
        spec_of(after)["ephemeralContainers"] = [container("debugger-x", debugger, targetContainerName="app")]
        response = webhook.mutate(review(after, before, subresource="ephemeralcontainers"))
        if expected:
            assert patch_of(response) == [
                {"op": "replace", "path": "/spec/ephemeralContainers/0/image", "value": expected}
            ]
        else:
            assert "debugger-x" in refused(response)[1] and "old/unsigned" not in refused(response)[1]
            assert not webhook.validate(review(after, before, subresource="ephemeralcontainers"))["allowed"]


@pytest.mark.parametrize("kind", ["Pod", "Deployment"])
def test_an_update_is_judged_by_the_images_that_it_changes(webhook, image, kind):
    old = made(kind, pod_spec("registry.example/old/unsigned:1", ["registry.example/old/unsigned:2"]))
    new = copy.deepcopy(old)
    new["metadata"]["finalizers"] = []
    new["metadata"]["labels"]["more"] = "labels"
    assert patch_of(webhook.mutate(review(new, old))) == [] and webhook.validate(review(new, old))["allowed"]

    spec_of(new)["containers"][0]["image"] = image()[0]
    (change,) = patch_of(webhook.mutate(review(new, old)))
    assert change["value"] == image()[1] and change["path"].endswith("/containers/0/image")

    # An unsigned image that is there already may not go where it was not.
    for place, name in (("containers", "app"), ("containers", "more"), ("initContainers", "app")):
        new = copy.deepcopy(old)
        items = [it for it in spec_of(new)[place] if it["name"] != name]
        spec_of(new)[place] = [*items, container(name, "registry.example/old/unsigned:2")]
        assert not webhook.mutate(review(new, old))["allowed"] and not webhook.validate(review(new, old))["allowed"]


def test_an_update_without_the_old_object_is_refused(webhook, image):
    obj = made("Pod", pod_spec(image()[0]))
    assert refused(webhook.mutate(review(obj, operation="UPDATE")))[0] == 400


def test_deletions_are_admitted(webhook):
    old = made("Pod", pod_spec("registry.example/old/unsigned:1"))
    response = webhook.mutate(review(None, old, operation="DELETE"))
    assert patch_of(response) == []


# Exemptions


def test_exempt_namespaces_and_images_stay_as_they_are(webhook):
    obj = made("Pod", pod_spec("registry.example/a:1"), "kube-system")
    assert patch_of(webhook.mutate(review(obj, namespace="kube-system"))) == []
    assert webhook.validate(review(obj, namespace="kube-system"))["allowed"]
    spec = pod_spec(
        "registry.k8s.io/pause:3.10", ["registry.example/infra/a/b:1"], [f"registry.example/infra/a@{UNSIGNED}"]
    )
    assert patch_of(webhook.mutate(review(made("Pod", spec)))) == []
    assert webhook.validate(review(made("Pod", spec)))["allowed"]


@pytest.mark.parametrize("namespace", ["kube-system2", "kube", "", None, ["kube-system"], {"kube-system": 1}])
def test_other_namespaces_are_not_exempt(webhook, namespace):
    obj = made("Pod", pod_spec("registry.example/a:1"), "kube-system")
    assert not webhook.mutate(review(obj, namespace=namespace))["allowed"]


@pytest.mark.parametrize(
    "name",
    ["registry.k8s.io/pause2:3", "registry.k8s.io/pause/x:1", "registry.example/infra:1", "registry.example/infrax/a:1",
     "registry.example.evil.example/infra/a:1", "pause:3", "infra/a:1", "x/registry.example/infra/a:1",
     "registry.example:443/infra/a:1", "registry.example/infra/a:1\n"],
)  # fmt: skip
def test_other_images_are_not_exempt(webhook, name):
    assert not webhook.mutate(review(made("Pod", pod_spec(name))))["allowed"]


# Documents that no API server sends


def changed(change, kind="Pod", operation="CREATE"):
    obj = made(kind, pod_spec("registry.example/infra/exempt:1", ["registry.example/infra/exempt:1"]))
    document = review(obj, obj if operation == "UPDATE" else None)
    change(document["request"])
    return document


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it.pop("operation"),
        lambda it: it.update(operation="CONNECT"),
        lambda it: it.update(operation="create"),
        lambda it: it.update(operation=["CREATE"]),
        lambda it: it.pop("kind"),
        lambda it: it.update(kind="Pod"),
        lambda it: it.update(kind={"group": "", "kind": "Secret", "version": "v1"}),
        lambda it: it.update(kind={"group": "apps", "kind": "Pod", "version": "v1"}),
        lambda it: it.update(kind={"group": "example.org", "kind": "Deployment", "version": "v1"}),
        lambda it: it.update(kind={"group": "apps", "kind": "Deployment", "version": "v1"}),
        lambda it: it.update(kind={"group": [], "kind": {}, "version": "v1"}),
        lambda it: it.pop("object"),
        lambda it: it.update(object=None),
        lambda it: it.update(object=[]),
        lambda it: it["object"].pop("kind"),
        lambda it: it["object"].update(apiVersion="apps/v1"),
        lambda it: it["object"].pop("spec"),
        lambda it: it["object"].update(spec=None),
        lambda it: it["object"].update(spec=[]),
        lambda it: it["object"]["spec"].pop("containers"),
        lambda it: it["object"]["spec"].update(containers=None),
        lambda it: it["object"]["spec"].update(containers={}),
        lambda it: it["object"]["spec"].update(containers="registry.example/infra/a:1"),
        lambda it: it["object"]["spec"].update(containers=[None]),
        lambda it: it["object"]["spec"].update(containers=["registry.example/infra/a:1"]),
        lambda it: it["object"]["spec"].update(containers=[{"name": "app"}]),
        lambda it: it["object"]["spec"].update(containers=[{"image": "registry.example/infra/a:1"}]),
        lambda it: it["object"]["spec"].update(initContainers={}),
        lambda it: it["object"]["spec"].update(initContainers=""),
        lambda it: it["object"]["spec"].update(ephemeralContainers=0),
        lambda it: it["object"]["spec"].update(volumes=[{"name": "v", "image": {}}]),
        lambda it: it["object"]["spec"].update(volumes=[{"name": "v", "image": "a"}]),
        lambda it: it["object"]["spec"]["containers"][0].update(image=None),
        lambda it: it["object"]["spec"]["containers"][0].update(image=["registry.example/infra/a:1"]),
        lambda it: it["object"]["spec"]["containers"][0].update(name=[]),
    ],
)
def test_malformed_requests_are_refused(webhook, change):
    assert webhook.mutate(changed(lambda request: None))["allowed"]
    for ask in (webhook.mutate, webhook.validate):
        assert refused(ask(changed(change)))[0] == 400


@pytest.mark.parametrize("old", [None, {}, {"spec": {}}, {"spec": {"containers": [1]}}, "x"])
def test_malformed_old_objects_are_refused(webhook, old):
    document = changed(lambda request: request.update(oldObject=old), operation="UPDATE")
    assert refused(webhook.mutate(document))[0] == 400


def envelope(**changes):
    return json.dumps(review(made("Pod", pod_spec("registry.example/infra/a:1"))) | changes).encode()


def with_uid(uid):
    document = json.loads(envelope())
    document["request"]["uid"] = uid
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "body",
    [b"", b"\0", b"nonsense", b"{", b"null", b"[]", b"1", b'"x"', b"\xff\xfe{}", b"\xef\xbb\xbf" + envelope(),
     envelope() + b"x", envelope(apiVersion="admission.k8s.io/v1beta1"), envelope(kind="Pod"), envelope(kind=None),
     envelope(request=None), envelope(request=[]), with_uid(""), with_uid(None), with_uid(7), b"[" * 100_000,
     b'{"a":' * 100_000, b"9" * 100_000,
     envelope().replace(b'"operation": "CREATE"', b'"operation": "CREATE", "operation": "CREATE"'),
     envelope().replace(b'"priority": 0', b'"priority": NaN'),
     envelope().replace(b'"priority": 0', b'"priority": Infinity')],
)  # fmt: skip
def test_bodies_that_are_no_review_are_refused(webhook, body):
    for path in ("/mutate", "/validate"):
        status, answer = webhook.post(body, path, Content_Type="application/json")
        assert status == 400 and b'"allowed"' not in answer and len(answer) < 1000


@pytest.mark.parametrize(
    "content_type, status",
    [("application/json", 200), ("application/json; charset=utf-8", 200), (None, 415), ("", 415), ("text/plain", 415),
     ("application/yaml", 415), ("application/vnd.kubernetes.protobuf", 415)],
)  # fmt: skip
def test_only_json_is_read(webhook, content_type, status):
    assert webhook.post(envelope(), Content_Type=content_type)[0] == status


def test_large_bodies_are_refused_before_they_are_read(webhook):
    connection = webhook.connect()
    connection.putrequest("POST", "/mutate")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(8 * 1024 * 1024 + 1))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413 and answer.headers["Connection"] == "close"
    connection.close()
    # A large one that is within the limit.
    padded = json.loads(envelope()) | {"padding": "x" * (7 * 1024 * 1024)}
    assert webhook.post(json.dumps(padded).encode(), Content_Type="application/json")[0] == 200


@pytest.mark.parametrize(
    "headers, status",
    [([], 411), ([("Content-Length", "x")], 400), ([("Content-Length", "-1")], 400),
     ([("Content-Length", "1" * 30)], 400), ([("Content-Length", "5"), ("Content-Length", "6")], 411),
     ([("Transfer-Encoding", "chunked")], 411), ([("Transfer-Encoding", "chunked"), ("Content-Length", "5")], 411)],
)  # fmt: skip
def test_bodies_without_one_length_are_refused(webhook, headers, status):
    connection = webhook.connect()
    connection.putrequest("POST", "/mutate")
    for name, value in [("Content-Type", "application/json"), *headers]:
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == status
    connection.close()


@pytest.mark.parametrize("path", ["/", "/mutate/", "/mutate/../validate", "/mutate;x", "/healthz", "/validate%20", "*"])
def test_other_paths_are_refused(webhook, path):
    assert webhook.post(envelope(), path, Content_Type="application/json")[0] == 404


def test_one_connection_serves_many_requests(webhook, image):
    connection = webhook.connect()
    document = review(made("Pod", pod_spec(image()[0])))
    for _ in range(3):
        connection.request("POST", "/mutate", json.dumps(document), {"Content-Type": "application/json"})
        assert json.loads(connection.getresponse().read())["response"]["allowed"]
    connection.close()


# Time, and many at once


def test_many_at_once_get_their_own_answers(webhook, image, signed):
    good, bad = review(made("Pod", pod_spec(image()[0]))), review(made("Pod", pod_spec(f"{signed.gun}:nope")))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(webhook.mutate, [good, bad] * 40))
    assert [answer["allowed"] for answer in answers] == [True, False] * 40


def test_who_connects_and_says_nothing_keeps_nobody_out(webhook, image):
    silent = [socket.create_connection(("127.0.0.1", webhook.port)) for _ in range(50)]
    begin = time.monotonic()
    assert webhook.mutate(review(made("Pod", pod_spec(image()[0]))))["allowed"]
    assert time.monotonic() - begin < SILENCE
    for connection in silent:
        connection.close()


def test_the_api_server_is_answered_before_it_gives_up(start, image):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        webhook = start(server=f"https://127.0.0.1:{silent.getsockname()[1]}", timeout=20)
        for timeout, most in (("6s", 6), ("3s", 3)):
            begin = time.monotonic()
            code, message = refused(
                webhook.mutate(review(made("Pod", pod_spec(image()[0]))), f"/mutate?timeout={timeout}")
            )
            assert (code, time.monotonic() - begin < most) == (503, True) and "there is no answer in time" in message


def test_the_own_timeout_holds_too(start, image):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        webhook = start(server=f"https://127.0.0.1:{silent.getsockname()[1]}", timeout=1)
        begin = time.monotonic()
        assert refused(webhook.mutate(review(made("Pod", pod_spec(image()[0])))))[0] == 503
        assert time.monotonic() - begin < DEFAULT_TIMEOUT


# The trust server, and settings


def test_without_the_server_only_cached_trust_data_counts(settings, tmp_path, image):
    document = review(made("Pod", pod_spec(image()[0])))
    config = settings()
    with Admission(tmp_path / "a", **config) as webhook:
        assert patch_of(webhook.mutate(document))
    with Admission(tmp_path / "b", **config | {"server": "https://127.0.0.1:1"}) as webhook:
        response = webhook.mutate(document)
        assert patch_of(response) and response["warnings"] == ["containers app: verified by cached trust data"]
        code, message = refused(webhook.mutate(review(made("Pod", pod_spec("registry.example/other:1")))))
        assert code == 503 and "Unreachable: " in message
    with Admission(tmp_path / "c", **config | {"server": "https://127.0.0.1:1", "require_fresh": True}) as webhook:
        assert refused(webhook.mutate(document))[0] == 503


def test_expired_trust_data_is_refused(webhook, tagtrust, server, tmp_path):
    gun, (digest, size) = repositories.new_gun("expired"), repositories.make_image("expired")

    def publish(expiry):
        client = tagtrust.Client(
            trust_dir=tmp_path, server=server.url, ca_file=server.ca_file,
            expiry={"targets": expiry}, passphrase=lambda *_: "passphrase",
        )  # fmt: skip
        client.sign(f"{gun}:v1", digest, size)

    repositories.let_expire(publish, [tagtrust.ServerRejected])
    assert "Expired: " in refused(webhook.mutate(review(made("Pod", pod_spec(f"{gun}:v1")))))[1]


def test_pins_and_rules_hold(start, image, signed):
    documents = [review(made("Pod", pod_spec(image(tag)[0]))) for tag in ("v1", "by-alice")]
    # Nothing is trusted on first use unless that is said.
    assert all("RootNotTrusted: " in refused(start(pinning={}).mutate(it))[1] for it in documents)
    rules = [{"repository": "registry.example:5000/*", "all_of": ["alice", "bob"]}]
    webhook = start(rules=rules)
    assert patch_of(webhook.mutate(documents[0]))
    assert "PolicyViolation: " in refused(webhook.mutate(documents[1]))[1]


def test_each_decision_is_one_line(webhook, image, signed):
    good, bad = (review(made("Pod", pod_spec(name)), name="a\nb") for name in (image()[0], f"{signed.gun}:no"))
    webhook.mutate(good), webhook.mutate(bad)
    lines = {line["uid"]: line for line in webhook.decisions()}
    assert lines[good["request"]["uid"]]["patch"] and lines[good["request"]["uid"]]["allowed"] is True
    assert lines[bad["request"]["uid"]]["status"]["code"] == 403 and lines[bad["request"]["uid"]]["name"] == "a\nb"


def test_a_new_certificate_is_used_without_a_restart(start, image, tmp_path):
    webhook = start()
    (tmp_path / "renewed").mkdir()
    renewed = make_server_certificate(tmp_path / "renewed")
    # In the middle of it they do not fit together: the old ones stay.
    shutil.copy(renewed.key_file, webhook.certificate.key_file)
    webhook.ping()
    shutil.copy(renewed.cert_file, webhook.certificate.cert_file)
    with pytest.raises(ssl.SSLCertVerificationError):
        webhook.mutate(review(made("Pod", pod_spec(image()[0]))))
    webhook.certificate = renewed
    assert patch_of(webhook.mutate(review(made("Pod", pod_spec(image()[0])))))


@pytest.mark.parametrize(
    "config",
    [
        {"nonsense": 1},
        {"timeout": "8s"},
        {"timeout": True},
        {"timeout": 0},
        {"rules": [{"repository": "a", "any_of": ["alice"], "threshold": True}]},
        {"pinning": {"certificate": {}}},
        {"pinning": []},
        {"rules": [{"repository": "a", "signers": ["alice"]}]},
        {"exempt": {"images": ["*"]}},
        {"exempt": {"images": ["registry.example*"]}},
        {"exempt": {"images": ["*/a"]}},
        {"exempt": {"images": ["/*"]}},
        {"exempt": {"images": ["alpine"]}},
        {"exempt": {"images": ["library/alpine"]}},
        {"exempt": {"images": ["library/*"]}},
        {"exempt": {"images": ["docker.io/library/alpine:3"]}},
        {"exempt": {"images": ["docker.io/library/alpine:3/*"]}},
        {"exempt": {"images": ["docker.io/library/alpine@sha256:" + "0" * 64]}},
        {"exempt": {"images": ["docker.io/Library/alpine"]}},
        {"exempt": {"images": ["registry.example/"]}},
        {"exempt": {"images": "registry.example/*"}},
        {"exempt": ["kube-system"]},
        {"exempt": {"namespaces": [None]}},
        {"exempt": {"namespaces": [""]}},
        {"exempt": {"namespaces": ["kube-*"]}},
        {"exempt": {"images": [1]}},
        {"ca_file": "/nonexistent"},
        {"server": "ftp://x"},
        [],
        # Else the first would be passed over.
        '{"rules": [{"repository": "registry.example/*", "all_of": ["alice"]}], "rules": []}',
        '{"timeout": NaN}',
    ],
)
def test_settings_that_cannot_be_used_end_it(config, tagtrust, tmp_path):
    webhook = Admission(tmp_path)
    webhook.config.write_text(config if isinstance(config, str) else json.dumps(config))
    done = run(*webhook.command(), check=False, timeout=20)
    assert done.returncode == 1 and done.stderr.startswith("admission: "), done.stderr


def test_it_ends_when_it_is_told_to(start):
    webhook = start()
    process = webhook._process
    process.terminate()
    assert process.wait(timeout=10) == 0


# The manifests


@pytest.fixture(scope="module")
def manifests():
    return list(yaml.safe_load_all((EXAMPLE / "manifests.yaml").read_text()))


def test_the_manifests_send_all_that_the_webhook_knows_and_fail_closed(manifests):
    hooks = {it["kind"]: it["webhooks"][0] for it in manifests if "webhooks" in it}
    assert hooks.keys() == {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"}
    wanted = {(group, f"{resource}") for group, _, resource, _ in RESOURCES.values()} | {
        ("", "pods/ephemeralcontainers")
    }
    for hook in hooks.values():
        sent = {
            (group, resource) for rule in hook["rules"] for group in rule["apiGroups"] for resource in rule["resources"]
        }
        assert sent == wanted and all(set(rule["operations"]) == {"CREATE", "UPDATE"} for rule in hook["rules"])
        assert (hook["failurePolicy"], hook["sideEffects"], hook["timeoutSeconds"]) == ("Fail", "None", 10)
        assert hook["admissionReviewVersions"] == ["v1"] and hook["matchPolicy"] == "Equivalent"
    assert hooks["MutatingWebhookConfiguration"]["clientConfig"]["service"]["path"] == "/mutate"
    assert hooks["MutatingWebhookConfiguration"]["reinvocationPolicy"] == "IfNeeded"
    assert hooks["ValidatingWebhookConfiguration"]["clientConfig"]["service"]["path"] == "/validate"


def test_the_configuration_in_the_manifests_can_be_used(manifests, tagtrust, tmp_path):
    (config,) = (json.loads(it["data"]["config.json"]) for it in manifests if it["kind"] == "ConfigMap")
    with Admission(tmp_path, **config | {"trust_dir": tmp_path / "trust"}):
        pass
    readme = (EXAMPLE / "README.md").read_text()
    source = (EXAMPLE / "admission.py").read_text()
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", readme, re.MULTILINE))
    assert documented == set(re.findall(r"^        ([a-z_]+)=(?:str|bool|dict|list|\()", source, re.MULTILINE))
