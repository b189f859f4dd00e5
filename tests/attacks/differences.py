"""Writes docs/differences.md: where tagtrust deliberately decides otherwise than Notary.

python tests/attacks/differences.py
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from attacks.faults import FAULTS, FILLED, TRUSTED

DOCUMENT = Path(__file__).parents[2] / "docs/differences.md"
ONLY_FILLED = " (with a filled cache)"

INTRODUCTION = """\
# Differences from Notary

Where tagtrust deliberately decides otherwise than the `notary` client 0.7, and why. Everywhere else the two agree:
the tests in `tests/attacks` put {faults} faults to both, with an empty and a filled cache, and compare the verdicts.
This table is written from the list that those tests hold against the real programs
(`python tests/attacks/differences.py`).

"""

SECTIONS = {
    False: "## Stricter: Notary accepts, tagtrust refuses\n\n",
    True: "## More lenient: Notary refuses, or goes by what is in its cache\n\n"
    "Nothing of this is trusted without the signatures and the order of versions that TUF asks for.\n\n",
}

# What no fault of a server shows.
OTHERS = """
## Stricter, whatever the server sends

- If the trust directory cannot be written and has nothing of the repository yet, the answer is `StoreError`: what is
  seen first could not be remembered.
- Pins and policies compare the registry's host without regard to case. Notary's pins do not fit a repository whose
  host is written in upper case, and so it is trusted on first use.
"""


def document():
    sections = [title + "".join(table(lenient)) for lenient, title in SECTIONS.items()]
    return INTRODUCTION.format(faults=f"{len(FAULTS):,}") + "\n".join(sections) + OTHERS


def table(lenient):
    """One row for every reason and answer, with the faults that they hold for."""
    faults = {}
    for fault in FAULTS.values():
        for state, reason in fault.differs.items():
            if (fault.expect[state] == TRUSTED) == lenient:
                place, _, name = fault.name.partition(": ")
                states = faults.setdefault((reason, fault.expect[state]), {}).setdefault((name, place), [])
                states.append(state)
    yield "| why | tagtrust says | of the faults |\n|---|---|---|\n"
    for (reason, answer), places in faults.items():
        yield f"| {reason} | {answer} | {'<br>'.join(descriptions(places))} |\n"


def descriptions(places):
    """The faults in words, those together that are in the same files."""
    files = {}
    for (name, place), states in places.items():
        files.setdefault((name, ONLY_FILLED if states == [FILLED] else ""), []).append(place)
    names = {}
    for (name, condition), where in files.items():
        names.setdefault((", ".join(where), condition), []).append(name)
    for (where, condition), faults in names.items():
        yield f"{where}{condition}: {'; '.join(faults)}"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
