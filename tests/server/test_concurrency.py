"""Many at once: of uploads of one version exactly one is stored, and readers never see half of one."""

import base64
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

from attacks import tuf
from server.wire import Wire, multipart


def upload(site, gun, parts):
    """Over a connection of its own."""
    body, headers = multipart(parts)
    return Wire(site.server).request("POST", f"/v2/{gun}/_trust/tuf/", body, headers)


def at_once(jobs):
    """What they give; all begin together."""
    barrier = threading.Barrier(len(jobs))

    def run(job):
        barrier.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def different_targets(draft, count):
    """Files of the same version."""
    draft.bump("targets")
    files = []
    for number in range(count):
        draft["targets"].signed["targets"] = {"v1": tuf.target(b"%d" % number)}
        files.append(draft.parts("targets"))
    return files


def assert_one_won(site, answers, others=("VERSION",)):
    """The others were answered with one of these codes."""
    assert [answer.status for answer in answers].count(200) == 1, answers
    if site.reference and site.storage == "postgres":
        others = (*others, "UPDATING")  # it does not know PostgreSQL's answer to a duplicate key
    for answer in answers:
        assert answer.status == 200 or answer.code in others, answer


def test_33_of_eight_uploads_of_one_version_one_wins(site):
    draft = site.repository()
    files = different_targets(draft, 8)
    answers = at_once([lambda parts=parts: upload(site, draft.gun, parts) for parts in files])
    assert_one_won(site, answers)
    winner = next(parts for parts, answer in zip(files, answers) if answer.status == 200)
    assert site.get(draft.gun, "targets.json").body == winner[0][1]
    assert site.get(draft.gun, "2.targets.json").body == winner[0][1]
    assert len(site.changes(draft.gun)) == 2
    assert_consistent(site, draft.gun)


def test_of_eight_first_uploads_one_wins(site):
    drafts = [site.draft()]
    gun = drafts[0].gun
    for number in range(7):
        # The same keys of the server, other keys of the publisher.
        draft = tuf.Repository(gun, prefix=f"publisher {number} ")
        for role in ("timestamp", "snapshot"):
            draft.set_keys(role, [site.key(gun, role)])
        drafts.append(draft)
    jobs = [[(role, draft[role].sealed()) for role in ("root", "targets")] for draft in drafts]
    answers = at_once([lambda parts=parts: upload(site, gun, parts) for parts in jobs])
    # Who comes a little later meets the winner's root.
    assert_one_won(site, answers, ("VERSION", "INVALID_UPDATE"))
    winner = next(parts for parts, answer in zip(jobs, answers) if answer.status == 200)
    assert [site.get(gun, f"{role}.json").body for role, _ in winner] == [data for _, data in winner]
    assert len(site.changes(gun)) == 1


def test_different_repositories_do_not_get_in_each_other_s_way(site):
    drafts = [site.repository() for _ in range(8)]
    parts = [draft.bump("targets").parts("targets") for draft in drafts]
    answers = at_once([lambda d=d, p=p: upload(site, d.gun, p) for d, p in zip(drafts, parts)])
    assert [answer.status for answer in answers] == [200] * 8


def test_readers_see_one_state_or_the_next(site):
    draft = site.repository()
    done = threading.Event()

    def read():
        wire, reads = Wire(site.server), 0
        while not done.is_set():
            assert_consistent(site, draft.gun, wire)
            reads += 1
        return reads

    def write():
        try:
            for _ in range(20):
                assert draft.bump("targets").upload("targets").status == 200
        finally:
            done.set()

    readers = at_once([write, read, read, read])[1:]
    assert all(readers)
    assert site.get(draft.gun, "targets.json").json["signed"]["version"] == 21


def assert_consistent(site, gun, wire=None):
    """What a client fetches, by the hashes that it was told."""
    wire = wire or site.wire
    prefix = f"/v2/{gun}/_trust/tuf"
    timestamp = wire.get(f"{prefix}/timestamp.json").json["signed"]
    snapshot = by_hash(wire, prefix, "snapshot", timestamp)["signed"]
    assert snapshot["version"] == timestamp["version"]
    for role in ("root", "targets"):
        by_hash(wire, prefix, role, snapshot)


def by_hash(wire, prefix, role, listing):
    digest = base64.b64decode(listing["meta"][role]["hashes"]["sha256"])
    answer = wire.get(f"{prefix}/{role}.{digest.hex()}.json")
    assert answer.status == 200 and hashlib.sha256(answer.body).digest() == digest
    return answer.json
