"""Lines of what was measured, each with its goal."""

import sys
from dataclasses import dataclass


@dataclass
class Row:
    what: str
    figure: float
    relation: str  # ">=" or "<"
    goal: float
    detail: str

    def __str__(self):
        met = self.figure >= self.goal if self.relation == ">=" else self.figure < self.goal
        figure = f"{self.figure:,.0f}" if self.figure >= 1000 else f"{self.figure:,.1f}"
        mark = "" if met else "MISSED"
        return f"{self.what:62} {figure:>10} {self.relation:>2} {self.goal:<8,} {mark:7} {self.detail}"


def say(text):
    print(text, file=sys.stderr, flush=True)
