"""One process of the crowd: threads that verify from a line on standard input until its end.

usage: worker.py SERVER CA_FILE TRUST_DIR THREADS REFERENCE...

Prints "ready", and at the end its answers as a JSON list of objects.
"""

import itertools
import json
import sys
import threading
import time

import tagtrust


def main(server, ca_file, trust_dir, threads, *references):
    def make_client():
        return tagtrust.Client(server=server, ca_file=ca_file, trust_dir=trust_dir, require_fresh=True)

    answers = []
    end = threading.Event()

    def verify_until_the_end(number, client):
        for reference in itertools.islice(itertools.cycle(references), number, None):
            digest = error = None
            began = time.monotonic()
            try:
                digest = client.verify(reference).digest
            except tagtrust.TrustError as failed:
                error = f"{type(failed).__name__}: {failed}"
            answers.append(
                {"reference": reference, "digest": digest, "error": error, "began": began, "ended": time.monotonic()}
            )
            if end.is_set():
                return

    # Half of the threads share a client, as they should; the others meet only on disk.
    shared = make_client()
    crowd = [
        threading.Thread(target=verify_until_the_end, args=(number, shared if number % 2 else make_client()))
        for number in range(int(threads))
    ]
    print("ready", flush=True)
    sys.stdin.readline()
    for thread in crowd:
        thread.start()
    sys.stdin.read()
    end.set()
    for thread in crowd:
        thread.join()
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
