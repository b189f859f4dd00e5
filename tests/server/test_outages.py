"""What a server still does while its signer or its database is away, and how it says so."""

import http.client
import time
import urllib.error

import pytest

from lab import NotarySigner, Postgres
from lab.need import need
from lab.postgres import SIGNER_TABLES
from server.conftest import make_site

# notary-server looks after its own health every ten seconds.
PATIENCE = 25


@pytest.fixture(params=["notary-server", "tagtrust-server"])
def outage(request, fresh_directory):
    """A server with a signer and a database of its own."""
    need(Postgres.is_here(), "PostgreSQL")
    with Postgres() as postgres:
        with NotarySigner(fresh_directory(), postgres.database(SIGNER_TABLES)) as signer:
            fixtures = {"postgres": postgres, "signer": signer}
            site = make_site(request.param, ["postgres", "signer"], fresh_directory(), fixtures.get)
            with site.server:
                yield site, postgres, signer


def health(site) -> dict:
    answer = site.wire.get("/_notary_server/health")
    assert answer.status == (503 if answer.json else 200)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert all(isinstance(text, str) and text for text in answer.json.values())
    return answer.json


def eventually(ask, expected):
    deadline = time.monotonic() + PATIENCE
    while (last := ask()) != expected and time.monotonic() < deadline:
        time.sleep(0.2)
    assert last == expected


def test_42_without_signer_and_database(outage):
    site, postgres, signer = outage
    draft = site.repository()
    before = draft.state()
    assert health(site) == {}

    signer.stop()
    assert draft.state() == before
    draft.bump("targets")
    answer = draft.upload("targets")
    assert answer.status >= (400 if site.reference else 500)
    assert draft.state() == before

    postgres.kill()
    assert site.get(draft.gun, "timestamp.json").status == 500
    answer = draft.upload("targets")
    assert answer.status >= (400 if site.reference else 500)
    eventually(lambda: health(site).keys(), {"DB operational", "Trust operational"})

    # Both are back: nothing was lost, and nobody has to do anything.
    postgres.start()
    signer.start()
    eventually(lambda: health(site), {})
    eventually(lambda: site.get(draft.gun, "timestamp.json").status, 200)
    assert draft.state() == before
    eventually(lambda: upload_status(draft), 200)
    assert site.get(draft.gun, "targets.json").body == draft["targets"].sealed()


def upload_status(draft):
    try:
        return draft.upload("targets").status
    except (OSError, http.client.HTTPException, urllib.error.URLError):
        return None
