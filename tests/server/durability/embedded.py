"""A server as a process of its own, whose timestamps live for seconds: what the configuration file cannot say.

usage: embedded.py STORAGE ADDRESS CERTIFICATE KEY PASSPHRASE SECONDS
"""

import logging
import signal
import sys

import tagtrust


def main(storage, address, certificate, key, passphrase, seconds):
    logging.basicConfig(level=logging.WARNING)
    server = tagtrust.Server(
        storage=storage,
        listen=address,
        tls=(certificate, key),
        passphrase={"lab": passphrase},
        timestamp_lifetime=float(seconds),
    )
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    with server:
        signal.sigwait([signal.SIGTERM])


if __name__ == "__main__":
    main(*sys.argv[1:])
