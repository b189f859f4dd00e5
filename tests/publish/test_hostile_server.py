"""A server, or a colleague, who wants more signed than was asked for."""

import datetime

import pytest

from lab import Proxy
from lab.notary import PASSPHRASE
from lab.repositories import RELEASES, make_image
from publish.conftest import signed
from publish.sides import PythonUser

DAY = datetime.timedelta(days=1)


@pytest.fixture
def one(publisher, fresh_directory):
    """Snapshot key at hand, a signer, a tag."""
    one = publisher()
    one.client.init(one.gun, local_snapshot=True)
    one.client.add_signer("alice", [PythonUser(one).generate_key("alice", fresh_directory())], one.gun)
    one.client.sign(one.reference("v1"), *make_image("v1"))
    return one


@pytest.fixture
def through(tagtrust, one):
    """`through(proxy)`: the same client, which asks a proxy."""

    def through(proxy):
        return tagtrust.Client(
            trust_dir=one.trust_dir, server=proxy.url, ca_file=proxy.ca_file, passphrase=lambda *_: PASSPHRASE
        )

    return through


def test_nothing_older_is_recovered(tagtrust, one, through, server):
    old = server.metadata(one.gun, "timestamp")
    one.client.revoke(one.reference("v1"))
    with pytest.raises(tagtrust.TagNotSigned):
        one.client.verify(one.reference("v1"))
    before = signed(server, one.gun, "snapshot")
    with Proxy(server, lambda path, body: old if path.endswith("/timestamp.json") else body) as proxy:
        with pytest.raises(tagtrust.RolledBack):
            through(proxy).recover(one.gun, within=4000 * DAY)
        with pytest.raises(tagtrust.RolledBack):
            through(proxy).expiring(one.gun, within=4000 * DAY)
    assert signed(server, one.gun, "snapshot") == before


def test_a_damaged_timestamp_is_no_reason_to_do_without_one(tagtrust, one, through, server):
    one.client.verify(one.reference("v1"))
    before = signed(server, one.gun, "snapshot")

    def change(path, body):
        if path.endswith("/timestamp.json"):
            return b"{"
        return None if path.endswith(f"/{RELEASES}.json") else body

    with Proxy(server, change) as proxy, pytest.raises(tagtrust.TrustError):
        through(proxy).recover(one.gun, within=4000 * DAY)
    assert signed(server, one.gun, "snapshot") == before


def test_a_proposal_does_not_last_longer_than_its_signers_want(tagtrust, one, connect):
    long = connect(one.trust_dir, expiry={"targets": 9000 * DAY})
    proposal = long.edit(one.gun).witness("targets").sign_partial()
    with pytest.raises(tagtrust.InvalidInput, match="would last until"):
        one.client.publish_proposals([proposal])
    assert long.publish_proposals([proposal]).published
