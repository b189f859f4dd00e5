"""Meetings that a crowd has by chance, arranged: somebody stores a newer set, or signs one, at the worst moment."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from stress.history import Site

TAG = "moving-in-targets-releases"


@pytest.fixture
def history(histories):
    return histories[0]


@pytest.fixture
def make_client(tagtrust, tmp_path):
    """One more process, as far as the trust directory knows."""
    return lambda site: tagtrust.Client(trust_dir=tmp_path, server=site.url, ca_file=site.ca_file)


def once(name_begins, work):
    """Does it at the first request for such a file."""
    todo = [work]

    def on_request(name):
        if name.startswith(name_begins) and todo:
            todo.pop()()

    return on_request


# At moment 3 the root is new as well.
@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("requested", ["timestamp", "snapshot", "targets.", "targets/releases"])
@pytest.mark.parametrize("remembers", [True, False], ids=["same-client", "new-client"])
def test_what_others_store_meanwhile_is_no_rollback(before, requested, remembers, history, replay, make_client):
    site = Site(replay, history)
    site.now = before
    reference = f"{history.gun}:{TAG}"
    client = make_client(site)
    client.verify(reference)
    if not remembers:
        client = make_client(site)

    def others_go_on():
        site.now = before + 2
        make_client(site).verify(reference)

    site.now = before + 1
    site.on_request = once(requested, others_go_on)
    answer = client.verify(reference).digest
    assert answer in [moment.tags[TAG] for moment in history.moments[before + 1 : before + 3]]
    assert site.now == before + 2
    assert client.verify(reference).digest == site.moment.tags[TAG]


def test_what_others_store_meanwhile_does_not_spoil_the_cache_for_those_without_server(
    history, replay, unreachable, make_client
):
    reference = f"{history.gun}:{TAG}"
    site, broken = Site(replay, history), Site(replay, history)
    make_client(site).verify(reference)

    def others_go_on():
        site.now = 1
        make_client(site).verify(reference)

    first = once("timestamp", others_go_on)

    def hang_up(name):
        first(name)
        raise ConnectionError

    broken.on_request = hang_up
    image = make_client(broken).verify(reference)
    assert image.digest in [moment.tags[TAG] for moment in history.moments[:2]]
    assert (site.now, image.fresh) == (1, False)


def test_who_asks_after_a_publication_does_not_get_the_answer_from_before(history, replay, make_client):
    site = Site(replay, history)
    client = make_client(site)
    reference = f"{history.gun}:{TAG}"
    with ThreadPoolExecutor(1) as pool:
        later = []

        def publish_and_ask():
            site.now = 1
            later.append(pool.submit(client.verify, reference))
            # Time for it to queue; without it the test could only pass.
            time.sleep(0.2)

        site.on_request = once("snapshot", publish_and_ask)
        assert client.verify(reference).digest == history.moments[0].tags[TAG]
        assert later[0].result().digest == history.moments[1].tags[TAG]
