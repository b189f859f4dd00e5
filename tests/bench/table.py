"""Lines of what was measured, each with its goal."""

import sys
from dataclasses import dataclass


@dataclass
class Row:
    what: str
    figure: float
    relation: str  # ">=" or "<"; "" without a goal
    goal: float
    detail: str
    digits: int = 1

    def __str__(self):
        met = {">=": self.figure >= self.goal, "<": self.figure < self.goal, "": True}[self.relation]
        figure = f"{self.figure:,.{0 if self.figure >= 1000 else self.digits}f}"
        mark = "" if met else "MISSED"
        goal = f"{self.goal:,}" if self.relation else ""
        return f"{self.what:62} {figure:>10} {self.relation:>2} {goal:8} {mark:7} {self.detail}"


def print_table(rows):
    print(f"\n{'':62} {'measured':>10}    {'goal':16} medians")
    print(*rows, sep="\n")


def say(text):
    print(text, file=sys.stderr, flush=True)
