"""The life of a repository, in the words of `notary`."""

from __future__ import annotations

import argparse
import itertools
from typing import Any, Callable

from .. import Client, Expiry, Proposal, Publication, TrustError
from .files import read, write_new
from .output import DONE, REFUSED, say, status, table, tell, write_json
from .publications import describe, outcome, report, report_proposal
from .settings import Commands, UsageError, add_modes, days, mode_of, number, text, texts
from .terminal import confirm

# For good: the longest time that an option takes.
ALWAYS = days("36500")


def add_commands(commands: Commands) -> None:
    init = commands.publishing(
        "init",
        _init,
        "make a signed repository",
        "Makes a repository on the trust server. The root key that is here is used, or one is made.",
    )
    init.add_argument("--root-key", metavar="ID", type=text, help="root key to use (default: that with the lowest ID)")
    init.add_argument("--local-snapshot", action="store_true", help="keep the snapshot key here, as `notary` does")
    add_modes(init).add_argument(
        "--no-publish", action="store_true", help="publish it with its first change, as `notary` does"
    )
    _repository(init)

    delete = commands.publishing(
        "delete",
        _delete,
        "forget a repository's trust data",
        "Deletes cached trust data and staged changes; keys stay.",
    )
    delete.add_argument("--remote", action="store_true", help="delete it on the trust server, too, for everybody")
    delete.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")
    _repository(delete)

    publish = commands.publishing(
        "publish",
        _publish,
        "publish what is staged",
        "Publishes staged changes, or a proposal with the signatures of all its copies.",
    )
    publish.add_argument(
        "--proposal", metavar="FILE", dest="proposals", action="append", help="proposal to publish (repeat for copies)"
    )
    add_modes(publish)
    publish.add_argument("repository", metavar="REPO", type=text, nargs="?", help="registry/repository")

    cosign = commands.publishing(
        "cosign",
        _cosign,
        "add signatures to a proposal",
        "Shows what is proposed, and signs it with the keys that are here.",
    )
    cosign.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="new file for the proposal with our signatures"
    )
    cosign.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")
    cosign.add_argument("proposal", metavar="FILE")

    staged = commands.offline("status", _status, "list staged changes", "Lists what is staged and not published.")
    staged.add_argument("--json", action="store_true", help="print an array with one object for each change instead")
    _repository(staged)

    reset = commands.offline("reset", _reset, "drop staged changes", "Drops changes that are staged and not published.")
    chosen = reset.add_mutually_exclusive_group(required=True)
    chosen.add_argument("-n", "--number", metavar="N,...", type=texts, help="the numbers that `tagtrust status` shows")
    chosen.add_argument("--all", action="store_true", help="all of them")
    _repository(reset)

    rotate = commands.publishing(
        "rotate", _rotate, "replace the key of a role", "Gives root, targets, snapshot or timestamp a new key."
    )
    rotate.add_argument(
        "-r",
        "--server-managed",
        action="store_true",
        help="the server makes and keeps the new key; timestamp needs it",
    )
    rotate.add_argument(
        "--key", metavar="ID", dest="keys", type=text, action="append", help="use this key (repeat for more)"
    )
    rotate.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")
    add_modes(rotate)
    _repository(rotate)
    rotate.add_argument("role", metavar="ROLE", type=text)

    threshold = commands.publishing(
        "threshold", _threshold, "set how many keys of a role must sign", "Sets how many keys of a role must sign."
    )
    add_modes(threshold)
    _repository(threshold)
    threshold.add_argument("role", metavar="ROLE", type=text)
    threshold.add_argument("threshold", metavar="N", type=number)

    witness = commands.publishing(
        "witness", _witness, "sign roles anew", "Signs targets or delegations anew as they are."
    )
    add_modes(witness, can_stage=True)
    _repository(witness)
    witness.add_argument("roles", metavar="ROLE", type=text, nargs="+")

    _add_delegation_commands(commands.group("delegation", "roles below targets"))

    expiry = commands.publishing(
        "expiry",
        _expiry,
        "list when trust data expires",
        "Lists when each role's file expires, the first one first. With --within only what\n"
        "expires in that time, and then the exit status is 1 if there is something.",
    )
    expiry.add_argument("--within", metavar="DAYS", type=days, help="only what expires within this time")
    _repositories(expiry)

    renew = commands.publishing(
        "renew", _renew, "sign anew what expires", "Signs anew what expires and whose keys are here."
    )
    recover = commands.publishing(
        "recover",
        _recover,
        "make an expired repository usable again",
        "Signs anew what has expired or expires, as the server has it now.\n"
        "Nobody vouches that it is the newest: look at it with --dry-run first.",
    )
    for command in (renew, recover):
        command.add_argument(
            "--within", metavar="DAYS", type=days, default=days("90"), help="what expires in this time (default: 90)"
        )
        add_modes(command)
        _repositories(command)


def _add_delegation_commands(delegation: Commands) -> None:
    add = delegation.publishing(
        "add",
        _delegation_add,
        "add a delegation, or keys and paths to one",
        "Lets keys sign tags that begin with a path.",
    )
    remove = delegation.publishing(
        "remove",
        _delegation_remove,
        "remove a delegation, or keys and paths of one",
        "Removes a delegation, or these keys and paths of it.",
    )
    for command in (add, remove):
        command.add_argument(
            "--paths", metavar="PATH,...", type=texts, action="extend", default=[], help="what tags begin with"
        )
    add.add_argument("--all-paths", action="store_true", help="all tags")
    remove.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")
    purge = delegation.publishing(
        "purge", _delegation_purge, "remove keys from all delegations", "Removes keys everywhere."
    )
    purge.add_argument(
        "--key", metavar="ID,...", dest="keys", type=texts, action="extend", required=True, help="(repeat for more)"
    )
    for command in (add, remove, purge):
        add_modes(command, can_stage=True)
        _repository(command)
    for command in (add, remove):
        command.add_argument("role", metavar="ROLE", type=text, help="targets/...")
    add.add_argument("keys", metavar="FILE", nargs="*", help="public key or certificate in PEM")
    remove.add_argument("keys", metavar="KEY-ID", type=text, nargs="*")
    _repository(delegation.publishing("list", _delegation_list, "list delegations", "Lists all delegations."))


def _repository(command: argparse.ArgumentParser) -> None:
    command.add_argument("repository", metavar="REPO", type=text, help="registry/repository")


def _repositories(command: argparse.ArgumentParser) -> None:
    command.add_argument("repositories", metavar="REPO", type=text, nargs="+", help="registry/repository")


def _init(client: Client, options: argparse.Namespace) -> int:
    publication = client.init(
        options.repository,
        root_key=options.root_key,
        local_snapshot=options.local_snapshot,
        publish=not options.no_publish,
        dry_run=options.dry_run,
    )
    return report(publication, options, f'Successfully initialized "{publication.repository}"')


def _delete(client: Client, options: argparse.Namespace) -> int:
    repository = options.repository
    if options.remote and not options.yes:
        question = f"Confirm you would like to delete all trust data for {repository} on its trust server?"
        if not confirm(question, quiet_stdout=options.json):
            return DONE
    client.delete(repository, remote=options.remote)
    if options.json:
        write_json({"repository": repository, "deleted": True, "remote": options.remote})
    else:
        where = "local and remote" if options.remote else "local"
        tell(f"Successfully deleted {where} trust data for repository {repository}")
    return DONE


def _publish(client: Client, options: argparse.Namespace) -> int:
    if (options.repository is None) == (options.proposals is None):
        raise UsageError("either REPO or --proposal is needed")
    if options.proposals is not None:
        if options.dry_run:
            raise UsageError("look at a proposal with `tagtrust cosign`")
        return report(client.publish_proposals([read(file) for file in options.proposals]), options)
    if not (options.json or options.dry_run):
        tell(f"Pushing changes to {options.repository}")
    publication = client.publish(options.repository, **mode_of(options))
    return report(publication, options, f"Successfully published changes for repository {options.repository}")


def _cosign(client: Client, options: argparse.Namespace) -> int:
    part = read(options.proposal)
    proposal = Proposal(part)
    if not options.json:
        tell(f"Proposed for {proposal.repository}:", *(f"  {change.description}" for change in proposal.changes))
        for role, key_ids in sorted(proposal.signed_by.items()):
            tell(f"{role} is signed by {', '.join(key_ids)}" if key_ids else f"{role} is not signed yet")
    if not options.yes and not confirm("Sign this?", quiet_stdout=options.json):
        return DONE
    write_new(options.output, client.cosign(part))
    return report_proposal(options, proposal.repository, options.output)


def _status(client: Client, options: argparse.Namespace) -> int:
    changes = [(change.action, change.role, change.type, change.path) for change in client.staged(options.repository)]
    if options.json:
        write_json([dict(zip(("action", "role", "type", "path"), change)) for change in changes])
    elif changes:
        rows = [(str(place), *change) for place, change in enumerate(changes)]
        tell(f"Unpublished changes for {options.repository}:", "")
        tell(*table(("#", "ACTION", "SCOPE", "TYPE", "PATH"), rows))
    else:
        tell(f"No unpublished changes for {options.repository}")
    return DONE


def _reset(client: Client, options: argparse.Namespace) -> int:
    numbers = None
    if not options.all:
        if not all(word.isdecimal() and word.isascii() for word in options.number):
            raise UsageError("--number takes numbers, separated by commas")
        numbers = [int(word) for word in options.number]
    client.unstage(options.repository, numbers)
    tell(f"Successfully reset specified changes for repository {options.repository}")
    return DONE


def _rotate(client: Client, options: argparse.Namespace) -> int:
    if options.role == "root" and not (options.yes or options.dry_run):
        if not options.json:
            tell(
                "Warning: you are about to rotate your root key.",
                "",
                "You must use your old key to sign this root rotation.",
            )
        if not confirm("Are you sure you want to proceed?", quiet_stdout=options.json):
            return DONE
    publication = client.rotate_key(
        options.repository,
        options.role,
        server_managed=options.server_managed,
        keys=options.keys,
        **mode_of(options),
    )
    return report(publication, options, f"Successfully rotated {options.role} key for repository {options.repository}")


def _threshold(client: Client, options: argparse.Namespace) -> int:
    publication = client.set_threshold(options.repository, options.role, options.threshold, **mode_of(options))
    return report(publication, options)


def _witness(client: Client, options: argparse.Namespace) -> int:
    return report(client.witness(options.repository, options.roles, **mode_of(options)), options)


# delegation


def _delegation_add(client: Client, options: argparse.Namespace) -> int:
    paths = [*options.paths, *([""] if options.all_paths else [])]
    if not (paths or options.keys):
        raise UsageError("a public key, --paths or --all-paths is needed")
    publication = client.add_delegation(
        options.repository, options.role, keys=options.keys, paths=paths, **mode_of(options)
    )
    return report(publication, options)


def _delegation_remove(client: Client, options: argparse.Namespace) -> int:
    whole = not (options.keys or options.paths)
    if whole and not (options.yes or mode_of(options)):
        question = f"Are you sure you want to remove all data for delegation {options.role}?"
        if not confirm(question, quiet_stdout=options.json):
            return DONE
    publication = client.remove_delegation(
        options.repository,
        options.role,
        key_ids=options.keys or None,
        paths=options.paths or None,
        **mode_of(options),
    )
    return report(publication, options)


def _delegation_purge(client: Client, options: argparse.Namespace) -> int:
    return report(client.purge_keys(options.repository, options.keys, **mode_of(options)), options)


def _delegation_list(client: Client, options: argparse.Namespace) -> int:
    delegations = sorted(client.delegations(options.repository), key=lambda delegation: delegation.name)
    if options.json:
        names = ("name", "paths", "key_ids", "threshold")
        write_json([{name: getattr(delegation, name) for name in names} for delegation in delegations])
        return DONE
    rows: list[tuple[str, ...]] = []
    for delegation in delegations:
        paths = [path or '"" <all paths>' for path in sorted(delegation.paths)]
        columns = ([delegation.name], paths, delegation.key_ids, [str(delegation.threshold)])
        rows += itertools.zip_longest(*columns, fillvalue="")
    if rows:
        tell("", *table(("ROLE", "PATHS", "KEY IDS", "THRESHOLD"), rows), "")
    else:
        tell("", "", "No delegations present in this repository.", "", "")
    return DONE


# expiry


def _expiry(client: Client, options: argparse.Namespace) -> int:
    errors: list[TrustError] = []
    found: list[dict[str, Any]] = []
    for repository in options.repositories:
        try:
            found += (_expiring(repository, role) for role in client.expiring(repository, options.within or ALWAYS))
        except TrustError as error:
            errors.append(error)
            say(f"{repository}: {error.message}")
    if options.json:
        write_json(found)
    elif found:
        titles = ("REPOSITORY", "ROLE", "VERSION", "EXPIRES", "KEY")
        rows = [
            (it["repository"], it["role"], str(it["version"]), it["expires"], "here" if it["can_sign"] else "missing")
            for it in found
        ]
        tell(*table(titles, rows))
    if found and options.within is not None:
        return REFUSED
    return status(errors)


def _expiring(repository: str, role: Expiry) -> dict[str, Any]:
    return {
        "repository": repository,
        "role": role.role,
        "version": role.version,
        "expires": role.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "can_sign": role.can_sign,
    }


def _renew(client: Client, options: argparse.Namespace) -> int:
    return _sign_anew(client.renew, options)


def _recover(client: Client, options: argparse.Namespace) -> int:
    return _sign_anew(client.recover, options)


def _sign_anew(sign: Callable[..., Publication], options: argparse.Namespace) -> int:
    results: list[tuple[str, Publication | TrustError]] = []
    for repository in options.repositories:
        result: Publication | TrustError
        try:
            result = sign(repository, within=options.within, **mode_of(options))
            if not options.json:
                describe(result, options)
        except TrustError as error:
            result = error
            if not options.json:
                say(f"{repository}: {error.message}")
        results.append((repository, result))
    if options.json:
        write_json([outcome(repository, result) for repository, result in results])
    return status(result for _, result in results if isinstance(result, TrustError))
