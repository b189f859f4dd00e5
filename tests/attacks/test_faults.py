"""Every named fault, put to the real `notary` and to tagtrust."""

import pytest

from attacks import differences, judges, tuf
from attacks.faults import FAULTS, SECOND, TAMPERED, TRUSTED, UNREACHABLE, cache_of

LATEST = tuf.digest_of(tuf.target(SECOND))
CASES = [(fault.name, state) for fault in FAULTS.values() for state in fault.expect]


@pytest.mark.parametrize(("name", "state"), CASES, ids=lambda word: word.replace("::", ":"))
def test_the_verdict_is_notarys_or_a_listed_difference(name, state, cases):
    fault = FAULTS[name]
    case, notary = cases(name, state)
    ours = judges.ask_tagtrust(*case.arguments)
    said = f"\nnotary:   {notary.message}\ntagtrust: {ours.error or ''} {ours.message}"

    assert (ours.error or TRUSTED) == fault.expect[state], said
    if reason := fault.differs.get(state):
        assert ours.digest != notary.digest, f"no longer a difference ({reason}){said}"
        # Where Notary goes by its cache, tagtrust has what is published now.
        assert ours.digest == LATEST or not (ours.trusted and notary.trusted), said
    else:
        assert ours.digest == notary.digest, said

    if not ours.trusted:
        assert_nothing_bad_was_stored(fault, case, ours.cache)


def assert_nothing_bad_was_stored(fault, case, cache):
    """Each file is what it was, or is a newer one that verifies: of a role that is not at fault."""
    good = {name: data for name, data in cache_of(case.served).items() if name.removesuffix(".json") not in fault.roles}
    for name in cache.keys() | case.cached.keys():
        now, before = cache.get(name), case.cached.get(name)
        assert now == before or now == good.get(name), f"{name} in the cache is not what it was"


def test_there_are_faults_of_every_kind():
    """At least 150, and no verifier can pass by refusing or accepting everything."""
    expected = [answer for fault in FAULTS.values() for answer in fault.expect.values()]
    assert len(FAULTS) >= 150
    assert expected.count(TRUSTED) > 150
    assert expected.count(TAMPERED) > 150
    assert expected.count(UNREACHABLE) > 20


def test_the_documentation_lists_every_difference():
    assert differences.DOCUMENT.read_text() == differences.document(), "run `python tests/attacks/differences.py`"
