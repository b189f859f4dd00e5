"""`key`: the private keys of this user, in the words of `docker trust key` and `notary key`."""

from __future__ import annotations

import argparse
import os
from typing import Any

from .. import Client, Key
from .files import read, write_new
from .output import DONE, table, tell, write, write_json
from .settings import Commands, line_from_stdin, text
from .terminal import confirm

FIELDS = ("id", "role", "gun", "location")


def add_commands(commands: Commands) -> None:
    key = commands.group("key", "private keys")

    generate = key.offline(
        "generate",
        _generate,
        "make a signer's key",
        "Puts the private half into the trust directory, and the public one into NAME.pub.",
    )
    generate.add_argument("--dir", metavar="DIR", default=None, help="where NAME.pub goes (default: here)")
    generate.add_argument(
        "--type", choices=("ecdsa", "ed25519"), default="ecdsa", help="kind of key; Docker adds only ecdsa (default)"
    )
    generate.add_argument("name", metavar="NAME", type=text)
    generate.set_defaults(in_dockers_words=True)

    load = key.offline(
        "load", _load, "load a private key from a file", "Loads the private keys of a file, whoever made them."
    )
    load.add_argument(
        "--name", metavar="NAME", type=text, default="signer", help="name for the key (default: %(default)s)"
    )
    load.add_argument("file", metavar="FILE", type=text)
    load.set_defaults(in_dockers_words=True)

    listing = key.offline("list", _list, "list private keys", "Lists all private keys, root keys first.")
    listing.add_argument("--json", action="store_true", help="print an array with one object for each key instead")

    export = key.offline(
        "export",
        _export,
        "print private keys, encrypted as they are",
        "Prints private keys for `tagtrust key import` or `notary key import`: all, or those chosen.",
    )
    export.add_argument("-o", "--output", metavar="FILE", help="a new file to write them to instead")
    chosen = export.add_mutually_exclusive_group()
    chosen.add_argument(
        "--key", metavar="ID", dest="ids", type=text, action="append", help="this key (repeat for more)"
    )
    chosen.add_argument("--gun", metavar="REPO", type=text, help="the keys of this repository")

    imports = key.offline(
        "import",
        _import,
        "take in exported private keys",
        "Imports what `tagtrust key export` or `notary key export` wrote.",
    )
    imports.add_argument("--role", type=text, help="role of keys that have none")
    imports.add_argument("--gun", metavar="REPO", type=text, help="repository of keys that have none")
    imports.add_argument("files", metavar="FILE", nargs="+")

    passwd = key.offline("passwd", _passwd, "change a key's passphrase", "Encrypts a key with a new passphrase.")
    passwd.add_argument("--passphrase-stdin", action="store_true", help="read the new passphrase from stdin")
    passwd.add_argument("id", metavar="ID", type=text)

    remove = key.offline("remove", _remove, "delete a private key", "Deletes a private key for good.")
    remove.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")
    remove.add_argument("id", metavar="ID", type=text)


def _generate(client: Client, options: argparse.Namespace) -> int:
    options.passphrases.heading = f"Generating key for {options.name}..."
    directory = os.getcwd() if options.dir is None else options.dir
    key = client.generate_key(options.name, directory, type=options.type)
    options.passphrases.announce()
    file = os.fspath(key.public_key_file)
    tell(f"Successfully generated and loaded private key. Corresponding public key available: {file}")
    return DONE


def _load(client: Client, options: argparse.Namespace) -> int:
    tell(f'Loading key from "{options.file}"...')
    client.load_key(options.file, options.name)
    tell(f"Successfully imported key from {options.file}")
    return DONE


def _list(client: Client, options: argparse.Namespace) -> int:
    keys = client.keys()
    if options.json:
        write_json([_fields(key) for key in keys])
    elif keys:
        rows = [(key.role, _cut(key.gun or "", 25), key.id, _cut(os.path.dirname(key.location), 40)) for key in keys]
        tell("", *table(("ROLE", "GUN", "KEY ID", "LOCATION"), rows), "")
    else:
        tell("", "No signing keys found.", "")
    return DONE


def _export(client: Client, options: argparse.Namespace) -> int:
    keys = client.export_keys(ids=options.ids, gun=options.gun)
    if options.output is None:
        write(keys.decode())
    else:
        write_new(options.output, keys)
    return DONE


def _import(client: Client, options: argparse.Namespace) -> int:
    for name in options.files:
        for key in client.import_keys(read(name), role=options.role, gun=options.gun):
            tell(f"Imported {key.id} (role {key.role})")
    return DONE


def _passwd(client: Client, options: argparse.Namespace) -> int:
    # Docker's variables hold the old one.
    options.passphrases.new_from_environment = False
    client.change_passphrase(options.id, line_from_stdin() if options.passphrase_stdin else None)
    tell(f"Successfully updated passphrase for key ID: {options.id}")
    return DONE


def _remove(client: Client, options: argparse.Namespace) -> int:
    found = [key for key in client.keys() if key.id == options.id]
    role, directory = (found[0].role, os.path.dirname(found[0].location)) if found else ("", "")
    if found and not options.yes:
        if not confirm(f"Are you sure you want to remove {options.id} (role {role}) from {directory}?"):
            return DONE
    client.remove_key(options.id)
    tell(f"Deleted {options.id} (role {role}) from {directory}.")
    return DONE


def _fields(key: Key) -> dict[str, Any]:
    return {name: getattr(key, name) for name in FIELDS}


def _cut(text: str, width: int) -> str:
    """The end of it, as `notary` shows what is too long."""
    return text if len(text) <= width else f"...{text[3 - width :]}"
