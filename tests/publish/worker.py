"""One publisher as a process of its own, which a test may race, starve or kill.

usage: worker.py SERVER CA_FILE TRUST_DIR OPERATION ARGUMENT...

Prints "ready", waits for a line on standard input, does it, and prints the
answer as JSON: {"done": [[role, version], …]} or {"error": class, "message": …}.
"""

import json
import os
import resource
import sys

import tagtrust

PASSPHRASE = "test-passphrase"


def main(server, ca_file, trust_dir, operation, *arguments):
    client = tagtrust.Client(server=server, ca_file=ca_file, trust_dir=trust_dir, passphrase=lambda *_: PASSPHRASE)
    print("ready", flush=True)
    sys.stdin.readline()
    limit_file_size()
    give_up_privileges()
    try:
        answer = {"done": OPERATIONS[operation](client, *arguments)}
    except tagtrust.TrustError as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(answer), flush=True)


def sign(client, gun, tag, digest, size):
    return files(client.sign(f"{gun}:{tag}", digest, int(size)))


def sign_many(client, gun, digest, size, *tags):
    return [files(client.sign(f"{gun}:{tag}", digest, int(size))) for tag in tags]


def rotate(client, gun, role, *server_managed):
    return files(client.rotate_key(gun, role, server_managed=bool(server_managed)))


def init(client, gun):
    return files(client.init(gun))


def generate(client, name, directory):
    return client.generate_key(name, directory).id


def load(client, file):
    client.load_key(file)


def change_passphrase(client, key_id):
    client.change_passphrase(key_id, new=PASSPHRASE)


def stage(client, gun, tag, digest, size):
    client.sign(f"{gun}:{tag}", digest, int(size), stage=True)


OPERATIONS = {
    operation.__name__: operation
    for operation in (sign, sign_many, rotate, init, generate, load, change_passphrase, stage)
}


def files(publication):
    return [[file.role, file.version] for file in publication.files]


def limit_file_size():
    """A disk that is full after so many bytes of a file."""
    if limit := os.environ.get("FILE_SIZE_LIMIT"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))


def give_up_privileges():
    """Root may write everything."""
    if user := os.environ.get("BECOME"):
        os.setgroups([])
        os.setresgid(int(user), int(user), int(user))
        os.setresuid(int(user), int(user), int(user))


if __name__ == "__main__":
    main(*sys.argv[1:])
