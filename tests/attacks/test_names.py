"""One registry, written in two ways: what is pinned holds for both."""

import json
import subprocess

import pytest

from attacks.faults import GUN, TAG, published
from attacks.judges import tagtrust
from lab.process import clean_environment

HOST, _, PATH = GUN.partition("/")
UPPER = f"{HOST.upper()}/{PATH}"
OTHER_KEY = "0" * 64


@pytest.mark.parametrize("gun", [GUN, UPPER])
@pytest.mark.parametrize("pinned", [f"{HOST}/*", f"{HOST.upper()}/*", GUN, UPPER])
def test_a_pin_holds_however_the_host_is_written(gun, pinned, clients, hostile_server, tmp_path):
    url = hostile_server.publish(gun, published(gun).files())
    client = tagtrust.Client(
        trust_dir=tmp_path / "ours",
        server=url,
        ca_file=hostile_server.ca_file,
        pinning=tagtrust.Pinning(certificates={pinned: [OTHER_KEY]}, trust_on_first_use=True),
    )
    with pytest.raises(tagtrust.RootNotTrusted):
        client.verify(f"{gun}:{TAG}")
    assert not list((tmp_path / "ours").rglob("*.json"))

    config = tmp_path / "config.json"
    config.write_text(json.dumps({"trust_pinning": {"certs": {pinned: [OTHER_KEY]}}}))
    command = ["notary", "-c", config, "-s", url, "--tlscacert", hostile_server.ca_file, "-d", tmp_path / "notarys"]
    listed = subprocess.run([*command, "list", gun], env=clean_environment(), capture_output=True)
    # Notary's pins are for hosts in lower case, whichever way they are written.
    assert (listed.returncode == 0) == (gun == UPPER)
