"""The server that the faults are published on, and the verdicts of the real `notary`."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from attacks import judges
from attacks.faults import FAULTS, FILLED, GUN, Scene
from attacks.server import Server
from lab.need import need

# Runs of `notary` at a time: it is a program of its own, and mostly waits for ours.
PARALLEL = 4


@pytest.fixture(scope="session")
def hostile_server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("hostile-server"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def clients():
    """Both clients are here, or the test cannot run."""
    need(bool(shutil.which("notary")), "notary")
    need(judges.tagtrust is not None, "the Python package `tagtrust`")


class Case:
    """A fault, published, with what is in the cache before."""

    def __init__(self, server, fault, state):
        scene = Scene(fault)
        files = scene.repo.files()
        self.served = {name: data for name, data in files.items() if isinstance(data, bytes)}
        self.cached = scene.cached if state == FILLED else {}
        self.arguments = (server.publish(GUN, files, scene.ping), server.ca_file, self.cached, fault.tag, fault.pinning)


@pytest.fixture(scope="session")
def cases(request, clients, hostile_server):
    """`cases(name, state)`: the case, and notary's verdict on it.

    Every selected case is put to notary at the beginning, in parallel.
    """

    def prepare(name, state):
        case = Case(hostile_server, FAULTS[name], state)
        return case, judges.ask_notary(*case.arguments)

    with ThreadPoolExecutor(PARALLEL) as pool:
        calls = [item.callspec.params for item in request.session.items if "cases" in getattr(item, "fixturenames", ())]
        futures = {(call["name"], call["state"]): pool.submit(prepare, call["name"], call["state"]) for call in calls}
        yield lambda name, state: futures[name, state].result()
        for future in futures.values():
            future.cancel()


def pytest_terminal_summary(terminalreporter):
    """What the hostile server cost."""
    from attacks.test_hostile import FIGURES

    if FIGURES:
        terminalreporter.section("hostile server")
        for line in FIGURES:
            terminalreporter.line(line)
