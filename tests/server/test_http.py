"""Routes, methods, headers and bodies, as far as a client can see them."""

import http.client
import re
import time

import pytest

from attacks import tuf
from lab.certificates import make_client_certificate
from lab.repositories import new_gun
from server.wire import Wire, multipart

EMPTY_404 = b'{"errors":[{"code":"METADATA_NOT_FOUND","message":"You have requested metadata that does not exist."}]}\n'
UNKNOWN_404 = EMPTY_404.replace(b'."}', b'.","detail":{}}')


def tuf_path(gun, name=""):
    return f"/v2/{gun}/_trust/tuf/{name}"


# Routes


def test_what_is_no_route_is_not_found(site):
    draft = site.repository()
    for path in (
        "/",
        "/v2",
        "/v1/",
        "/v2/x",
        f"/v2/{draft.gun}/",
        f"/v2/{draft.gun}/_trust/",
        "/v2/_trust/",
        "/metric",
    ):
        answer = site.wire.get(path)
        assert (path, answer.status, answer.body) == (path, 404, EMPTY_404)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "root",
        "Root.json",
        "foo.json",
        "targets.key",
        "root.key",
        "targets/.json",
        "root.abc.json",
        "root." + "g" * 64 + ".json",
        "root." + "0" * 63 + ".json",
        "x.root.json",
        "-1.root.json",
        "+1.root.json",
        "1.5.root.json",
        "1.root",
        "root.json/",
        "root/team.json",
    ],
)
def test_names_of_no_file_are_no_route(site, name):
    draft = site.repository()
    answer = site.get(draft.gun, name)
    assert (answer.status, answer.body) == (404, EMPTY_404)


@pytest.mark.parametrize(
    "name",
    [
        "root." + "0" * 64 + ".json",
        "root." + "0" * 96 + ".json",
        "root." + "0" * 128 + ".json",
        "root." + "A" * 64 + ".json",
        "targets/team." + "0" * 64 + ".json",
        "2.root.json",
        "2147483647.root.json",
        "1.targets/team.json",
    ],
)
def test_files_that_are_not_there_have_a_detail(site, name):
    draft = site.repository()
    answer = site.get(draft.gun, name)
    assert (answer.status, answer.body) == (404, UNKNOWN_404)


def test_versions_of_more_than_64_bits_are_not_there_either(site):
    draft = site.repository()
    answer = site.get(draft.gun, "9999999999999999999999.root.json")
    assert (answer.status, answer.code) == (404, "METADATA_NOT_FOUND")


@pytest.mark.parametrize("role", ["targets/team", "targets/team/deep", "targets/Team", "targets/a."])
def test_delegations_that_nobody_declared(site, role):
    draft = site.repository()
    answer = site.get(draft.gun, f"{role}.json")
    if site.reference and site.storage == "postgres":
        # The snapshot does not list it, which it takes for its own fault.
        assert (answer.status, answer.error["detail"]) == (500, {"Role": role})
    else:
        assert (answer.status, answer.code) == (404, "METADATA_NOT_FOUND")


def test_leading_zeros_of_a_version_do_not_matter(site):
    draft = site.repository()
    assert site.get(draft.gun, "0001.root.json").body == draft["root"].sealed()


def test_files_of_delegations(site):
    draft = site.draft()
    draft.delegate("targets/a", [tuf.key("a")])
    draft.delegate("targets/a/b_c-1", [tuf.key("b")])
    assert draft.upload().status == 200
    for role in draft.delegations():
        data = draft[role].sealed()
        digest = tuf.digest_of(tuf.target(data)).partition(":")[2]
        for name in (f"{role}.json", f"1.{role}.json", f"{role}.{digest}.json"):
            assert (name, site.get(draft.gun, name).body) == (name, data)


# Methods


@pytest.mark.parametrize("name", ["root.json", "1.root.json", "timestamp.key", ""])
def test_methods_without_meaning(site, name):
    draft = site.repository()
    before = draft.state()
    path = tuf_path(draft.gun, name)
    head = site.wire.request("HEAD", path)
    assert (head.status, head.body) == (404, b"")
    put = site.wire.request("PUT", path, b"")
    assert (put.status, put.body) == (404, EMPTY_404)
    for method in ("OPTIONS", "PATCH"):
        answer = site.wire.request(method, path)
        assert (method, answer.status, answer.body) == (method, 405, b"")
    for method in {"POST", "DELETE"} - {"POST" if name in ("timestamp.key", "") else "", "" if name else "DELETE"}:
        answer = site.wire.request(method, path, b"")
        assert (method, answer.status, answer.body) == (method, 404, EMPTY_404)
    assert draft.state() == before


@pytest.mark.parametrize("path", ["/v2/", "/_notary_server/health", "/v2/_trust/changefeed?records=1", "/metrics"])
def test_head_is_never_a_short_get(site, path):
    assert site.wire.get(path).status == 200
    head = site.wire.request("HEAD", path)
    assert (head.status, head.body) == (404, b"")


def test_deleting_what_never_was(site):
    gun = new_gun("never")
    answer = site.delete(gun)
    assert (answer.status, answer.body) == (200, b"")
    assert site.changes(gun) == []


# Paths


@pytest.mark.parametrize(
    "before, after",
    [
        ("/v2//{gun}/_trust/tuf/root.json", "/v2/{gun}/_trust/tuf/root.json"),
        ("/v2/{gun}/_trust/tuf/../tuf/root.json", "/v2/{gun}/_trust/tuf/root.json"),
        ("/v2/{gun}/_trust/./tuf/root.json", "/v2/{gun}/_trust/tuf/root.json"),
        ("//v2/", "/v2/"),
        ("/v2/../v2/", "/v2/"),
        ("/../../etc/passwd", "/etc/passwd"),
        ("/v2/{gun}/_trust//changefeed?records=1", "/v2/{gun}/_trust/changefeed?records=1"),
    ],
)
def test_unclean_paths_are_cleaned_by_the_client(site, before, after):
    gun = site.repository().gun
    answer = site.wire.get(before.format(gun=gun))
    assert (answer.status, answer.headers["location"]) == (301, after.format(gun=gun))


def test_percent_signs_are_decoded_once(site):
    draft = site.repository()
    for gun in (draft.gun.replace("/", "%2F", 1), draft.gun.replace(":", "%3A"), draft.gun.replace("l", "%6c")):
        assert site.get(gun, "root.json").body == draft["root"].sealed()
    twice = site.get(draft.gun.replace("/", "%252F", 1), "root.json")
    assert (twice.status, twice.body) == (404, UNKNOWN_404)
    assert site.get(draft.gun, "%72oot.json").body == draft["root"].sealed()


@pytest.mark.parametrize("change", [str.upper, lambda gun: gun + " ", lambda gun: gun + "ü", lambda gun: gun + "."])
def test_names_are_taken_as_they_are(site, change):
    """The case of a name counts, and so does everything in it."""
    gun = site.repository().gun
    name = "".join(c if c.isascii() and c > " " else "".join(f"%{b:02X}" for b in c.encode()) for c in change(gun))
    answer = site.get(name, "root.json")
    assert (answer.status, answer.body) == (404, UNKNOWN_404)


def test_no_repository_has_a_star_in_its_name(site):
    answer = site.get("registry.example/team/*", "root.json")
    assert (answer.status, answer.body) == (404, EMPTY_404)


def test_a_name_may_look_like_a_route(site):
    gun = f"{new_gun('x')}/_trust/tuf/root.json"
    draft = site.repository(gun)
    assert site.get(gun, "root.json").body == draft["root"].sealed()


# Headers


def test_headers_of_metadata(site):
    draft = site.repository()
    for name in ("root.json", "1.targets.json", "timestamp.json"):
        headers = site.get(draft.gun, name).headers
        assert headers["content-type"] == "text/plain; charset=utf-8"
        assert "etag" not in headers and "content-encoding" not in headers
        modified = headers["last-modified"]
        if site.reference:
            # The zone of a time from the database has no name.
            assert modified.endswith(" UTC") or (site.storage == "postgres" and modified.endswith(" +0000"))
            modified = re.sub(r"\S+$", "GMT", modified)
        assert abs(time.time() - at(modified)) < 60
        assert at(headers["date"])


def at(date) -> float:
    return (
        tuf.datetime.datetime.strptime(date, "%a, %d %b %Y %H:%M:%S GMT")
        .replace(tzinfo=tuf.datetime.timezone.utc)
        .timestamp()
    )


def test_conditions_ranges_and_codings_are_passed_over(site):
    draft = site.repository()
    headers = {
        "If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT",
        "If-None-Match": "*",
        "Range": "bytes=0-3",
        "Accept-Encoding": "gzip, deflate, br",
        "Accept": "image/png",
    }
    answer = site.get(draft.gun, "root.json", **headers)
    assert (answer.status, answer.body) == (200, draft["root"].sealed())


def test_errors_are_not_cached(site):
    answer = site.get(new_gun("none"), "root.json")
    assert not {"cache-control", "last-modified", "pragma", "etag"} & answer.headers.keys()


def test_keys_are_written_in_the_order_of_notary(site):
    gun = new_gun("key")
    for role in ("timestamp", "snapshot"):
        for method in ("GET", "POST"):
            answer = site.wire.request(method, tuf_path(gun, f"{role}.key"))
            kind = "ecdsa" if site.remote else "ed25519"
            pattern = rf'\{{"keytype":"{kind}","keyval":\{{"public":"[A-Za-z0-9+/=]+","private":null\}}\}}'
            assert re.fullmatch(pattern, answer.body.decode())
            assert not {"cache-control", "last-modified"} & answer.headers.keys()


def test_large_files_come_whole(site):
    draft = site.repository().bump("targets")
    draft["targets"].signed["targets"] = {f"v{number}": tuf.target(b"%d" % number) for number in range(6000)}
    assert draft.upload("targets").status == 200
    assert site.get(draft.gun, "targets.json").body == draft["targets"].sealed()
    assert len(draft["targets"].sealed()) > 1_000_000


# Uploads


def test_the_name_of_the_field_and_the_kind_of_multipart_do_not_matter(site):
    draft = site.draft()
    body, headers = multipart(draft.parts())
    headers["Content-Type"] = headers["Content-Type"].replace("form-data", "mixed")
    answer = site.wire.request("POST", tuf_path(draft.gun), body.replace(b'name="files"', b'name="x"'), headers)
    assert answer.status == 200
    assert site.get(draft.gun, "root.json").status == 200


def test_names_of_parts_may_end_in_json(site):
    draft = site.draft()
    draft.delegate("targets/team", [tuf.key("team")])
    assert site.upload(draft.gun, [(f"{role}.json", data) for role, data in draft.parts()]).status == 200
    assert site.get(draft.gun, "targets/team.json").status == 200


@pytest.mark.parametrize(
    "kind",
    [None, "", "text/plain", "application/json", "multipart/form-data", "multipart/form-data; boundary=", "multipart/"],
)
def test_what_is_no_multipart_is_malformed(site, kind):
    draft = site.draft()
    body, _ = multipart(draft.parts())
    answer = site.wire.request("POST", tuf_path(draft.gun), body, {} if kind is None else {"Content-Type": kind})
    assert (answer.status, answer.code) == (400, "MALFORMED_UPLOAD")
    assert "detail" not in answer.error


def test_the_first_bad_part_is_answered(site):
    draft = site.draft()
    parts = draft.parts()
    for bad, code in [
        ([("root", b"{"), ("foo", b"{}")], "MALFORMED_JSON"),
        ([("foo", b"{"), ("", b"{}")], "INVALID_ROLE"),
        ([("", b"{"), ("root", b"{")], "NO_FILENAME"),
    ]:
        assert site.upload(draft.gun, [*parts, *bad]).code == code


def test_an_upload_in_chunks(site):
    draft = site.draft()
    body, headers = multipart(draft.parts())
    chunks = (body[start : start + 100] for start in range(0, len(body), 100))
    assert site.wire.request("POST", tuf_path(draft.gun), chunks, headers).status == 200


def test_an_upload_that_waits_to_be_asked(site):
    draft = site.draft()
    body, headers = multipart(draft.parts())
    head = f"POST {tuf_path(draft.gun)} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {headers['Content-Type']}\r\n"
    head += f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    said = Wire(site.server).raw(head.encode() + body)
    assert b"HTTP/1.1 200 OK\r\n" in said


def test_an_empty_upload_makes_a_new_snapshot_and_timestamp(site):
    draft = site.repository()
    answer = site.upload(draft.gun, [])
    assert (answer.status, answer.body) == (200, b"")
    for role in ("snapshot", "timestamp"):
        assert site.get(draft.gun, f"{role}.json").json["signed"]["version"] == 2
    assert len(site.changes(draft.gun)) == 2


# The change feed


@pytest.fixture
def feed(site):
    """A repository with the changes 1 to 5."""
    draft = site.repository()
    for _ in range(4):
        assert draft.bump("targets").upload("targets").status == 200
    return draft


def seen(site, gun, query) -> list[int]:
    return [change["Version"] for change in site.changes(gun, query)]


def test_records_of_the_feed(site, feed):
    records = site.changes(feed.gun)
    for change in records:
        assert list(change) == ["ID", "CreatedAt", "GUN", "Version", "SHA256", "Category"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|\+00:00)", change["CreatedAt"])
        assert (change["GUN"], change["Category"]) == (feed.gun, "update")
        timestamp = site.get(feed.gun, f"{change['Version']}.timestamp.json").body
        assert change["SHA256"] == tuf.digest_of(tuf.target(timestamp)).partition(":")[2]
    ids = [int(change["ID"]) for change in records]
    assert ids == sorted(set(ids))
    answer = site.wire.get(f"/v2/{feed.gun}/_trust/changefeed?records=2")
    assert answer.body.startswith(b'{"count":2,"records":[{"ID":"')
    assert answer.headers["content-type"] == (
        "text/plain; charset=utf-8" if site.reference else answer.headers["content-type"]
    )
    assert "cache-control" not in answer.headers


def test_windows_of_the_feed(site, feed):
    ids = [change["ID"] for change in site.changes(feed.gun)]
    for query, expected in {
        "records=2": [1, 2],
        "records=0": [1, 2, 3, 4, 5],
        "records=100": [1, 2, 3, 4, 5],
        "change_id=&records=1": [1],
        "change_id=0&records=2": [1, 2],
        "change_id=-1&records=2": [4, 5],
        "change_id=-1&records=-2": [4, 5],
        f"change_id={ids[1]}&records=2": [3, 4],
        f"change_id={ids[4]}&records=2": [],
        f"change_id={ids[3]}&records=-2": [2, 3],
        f"change_id={ids[0]}&records=-2": [],
        f"change_id={int(ids[4]) + 1000000}&records=2": [],
    }.items():
        assert (query, seen(site, feed.gun, query)) == (query, expected)


def test_the_newest_of_the_feed_without_an_id(site, feed):
    if site.in_memory_reference:
        with pytest.raises((OSError, http.client.HTTPException)):
            site.changes(feed.gun, "records=-2")  # the handler panics
    else:
        assert seen(site, feed.gun, "records=-2") == [4, 5]


def test_the_feed_of_all_repositories(site, feed):
    answer = site.wire.get("/v2/_trust/changefeed?change_id=-1&records=3")
    assert [(change["GUN"], change["Version"]) for change in answer.json["records"]] == [
        (feed.gun, n) for n in (3, 4, 5)
    ]
    assert answer.json["count"] == 3
    first = site.wire.get("/v2/_trust/changefeed?records=1").json["records"]
    assert first[0]["GUN"] != feed.gun and len(first) == 1
    beyond = site.wire.get("/v2/_trust/changefeed?change_id=999999999&records=1").json
    assert (beyond["count"], beyond["records"] or []) == (0, [])


def test_an_unknown_repository_has_an_empty_feed(site):
    assert site.changes(new_gun("none")) == []


@pytest.mark.parametrize(
    "query, detail",
    [
        ("", 'invalid records parameter: strconv.ParseInt: parsing "": invalid syntax'),
        ("records=", 'invalid records parameter: strconv.ParseInt: parsing "": invalid syntax'),
        ("records=x", 'invalid records parameter: strconv.ParseInt: parsing "x": invalid syntax'),
        ("records=1.5", 'invalid records parameter: strconv.ParseInt: parsing "1.5": invalid syntax'),
        ("records=2147483648", 'invalid records parameter: strconv.ParseInt: parsing "2147483648": value out of range'),
        ("records=1&change_id=x", {}),
    ],
)
def test_parameters_that_are_no_numbers(site, feed, query, detail):
    for path in (f"/v2/{feed.gun}/_trust/changefeed", "/v2/_trust/changefeed"):
        answer = site.wire.get(f"{path}?{query}")
        assert (answer.status, answer.code, answer.error.get("detail")) == (400, "INVALID_PARAMETERS", detail)


def test_a_deletion_in_the_feed(site):
    draft = site.repository()
    site.delete(draft.gun)
    site.delete(draft.gun)
    update, deletion = site.changes(draft.gun)
    assert (deletion["Category"], deletion["Version"]) == ("deletion", 0)
    assert deletion["SHA256"].strip() == ""
    assert deletion["SHA256"] == (" " * 64 if site.reference and site.storage == "postgres" else "")
    assert int(deletion["ID"]) > int(update["ID"])


# Health and metrics


def test_health(site):
    answer = site.wire.get("/_notary_server/health")
    assert (answer.status, answer.body) == (200, b"{}")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


OPERATIONS = {
    "UpdateTUF": ("post", lambda site, draft: draft.bump("targets").upload("targets")),
    "GetRole": ("get", lambda site, draft: site.get(draft.gun, "root.json")),
    "GetRoleByHash": ("get", lambda site, draft: site.get(draft.gun, f"root.{'0' * 64}.json")),
    "GetRoleByVersion": ("get", lambda site, draft: site.get(draft.gun, "1.root.json")),
    "GetKey": ("get", lambda site, draft: site.key(draft.gun, "timestamp")),
    "RotateKey": ("post", lambda site, draft: site.key(draft.gun, "timestamp", "POST")),
    "DeleteTUF": ("delete", lambda site, draft: site.delete(draft.gun)),
    "Changefeed": ("get", lambda site, draft: site.changes(draft.gun)),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_metrics_count_each_operation(site, operation):
    method, perform = OPERATIONS[operation]
    draft = site.repository()
    before = metrics(site)
    perform(site, draft)
    after = metrics(site)
    code = "404" if operation == "GetRoleByHash" else "200"
    if site.reference and operation in ("UpdateTUF", "DeleteTUF"):
        code = "0"  # it counts what was said before anything was
    labels = f'{{code="{code}",method="{method}",operation="{operation}"}}'
    name = f"notary_server_http_requests_total{labels}"
    assert after[name] == before.get(name, 0) + 1
    for summary in ("request_duration_microseconds", "request_size_bytes", "response_size_bytes"):
        # The reference names its summaries by operation, too.
        count = f'notary_server_http_{summary}_count{{operation="{operation}"}}'
        assert after[count] > before.get(count, 0)
        assert f'notary_server_http_{summary}_sum{{operation="{operation}"}}' in after


def metrics(site) -> dict[str, float]:
    answer = site.wire.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.body.decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}


# Start


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"repositories": {"gun_prefixes": ["docker.io"]}}, "invalid GUN prefix docker.io"),
        ({"repositories": {"gun_prefixes": ["/docker.io/"]}}, "invalid GUN prefix /docker.io/"),
        ({"repositories": {"gun_prefixes": ["a/../b/"]}}, "invalid GUN prefix a/../b/"),
        ({"caching": {"max_age": {"current_metadata": "31536001"}}}, "cach"),
        ({"storage": {"backend": "paper"}}, "paper"),
        ({"trust_service": {"type": "none"}}, "trust"),
    ],
)
def test_what_cannot_be_meant_does_not_start(start, settings, said):
    with pytest.raises(RuntimeError) as refused:
        start(**settings)
    assert said in str(refused.value)


def test_client_certificates(start, fresh_directory):
    client = make_client_certificate(fresh_directory())
    site = start(server={"client_ca_file": str(client.ca_file)}, client=client)
    assert site.wire.get("/v2/").status == 200
    stranger = make_client_certificate(fresh_directory())
    for certificate in (None, stranger):
        site.server.client = certificate
        with pytest.raises((OSError, http.client.HTTPException)):
            Wire(site.server).get("/v2/")
