"""One verification in a process of its own, with a limit on its memory.

    python child.py '{"reference": …, "client": {…}, "most_bytes": …}'

Prints what came of it, how long it took, how long it computed, and the most
memory that it held.
"""

import json
import re
import resource
import sys
import time
from pathlib import Path

import tagtrust


def main(order):
    order = json.loads(order)
    pinning = order["client"].pop("pinning", None)
    before = peak()
    resource.setrlimit(resource.RLIMIT_AS, (order["most_bytes"], order["most_bytes"]))
    client = tagtrust.Client(pinning=pinning and tagtrust.Pinning(**pinning), **order["client"])
    started, started_cpu = time.monotonic(), time.process_time()
    try:
        answer, message = "trusted", client.verify(order["reference"]).digest
    except tagtrust.TrustError as error:
        answer, message = type(error).__name__, str(error)
    figures = {
        "seconds": time.monotonic() - started,
        "cpu": time.process_time() - started_cpu,
        "bytes": peak() - before,
    }
    print(json.dumps({"answer": answer, "message": message, **figures}))


def peak():
    """The most memory that this process has held; `getrusage` would count its parent's too."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


main(sys.argv[1])
