"""What `docker trust` does: `sign`, `revoke` and `signer`, in its words."""

from __future__ import annotations

import argparse
from typing import Any, Callable, Iterable, Iterator, NamedTuple

from .. import Client, Image, InvalidInput, Publication, TrustError, Unauthorized, Unreachable
from .files import read_text, write_new
from .output import DONE, say, status, table, tell, words_of, write_json
from .publications import describe, is_new, outcome, report, report_proposal
from .settings import Commands, UsageError, add_modes, mode_of, number, text
from .terminal import confirm


def add_commands(commands: Commands) -> None:
    sign = commands.publishing(
        "sign",
        _sign,
        "sign tags",
        "Signs each tag with all signers' keys that are here, or with the repository's own\n"
        "if it has no signers. What is signed is what the registry has for the tag, unless\n"
        "--digest and --size say it. A repository that does not exist is made.\n"
        "With a digest in REF, or --digest alone, the registry must have this digest.",
    )
    sign.add_argument("--digest", metavar="DIGEST", type=text, help="digest of the manifest to sign, sha256:...")
    sign.add_argument("--size", metavar="N", type=number, help="size of that manifest in bytes; asks no registry")
    sign.add_argument(
        "--from-file",
        metavar="FILE",
        help="sign what a file lists (- is stdin): REF, or REF DIGEST SIZE, on each line",
    )
    sign.add_argument("--role", type=text, action="append", help="sign in this role (repeat for more)")
    sign.add_argument("--custom", metavar="FILE", help="file with JSON to be signed with the tag")
    add_modes(sign, can_stage=True).add_argument(
        "--proposal", metavar="FILE", help="write a file that others add their signatures to, with `tagtrust cosign`"
    )
    sign.add_argument("references", metavar="REF", type=text, nargs="*", help="registry/repository:tag[@digest]")

    revoke = commands.publishing(
        "revoke",
        _revoke,
        "remove the signatures of a tag, or of all tags",
        "Removes a tag, or all tags, from every role that we hold a key for. The images stay in the registry.",
    )
    revoke.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")
    revoke.add_argument("--role", type=text, action="append", help="only from this role (repeat for more)")
    add_modes(revoke, can_stage=True)
    revoke.add_argument("reference", metavar="REPO[:TAG]", type=text, help="registry/repository[:tag]")

    signer = commands.group("signer", "who may sign tags")
    add = signer.publishing(
        "add",
        _signer_add,
        "add a signer",
        "Adds a signer by his public keys. A repository that does not exist is made.",
    )
    add.add_argument(
        "--key", metavar="FILE", dest="keys", action="append", default=[], help="public key (repeat for more)"
    )
    add_modes(add, can_stage=True)
    remove = signer.publishing("remove", _signer_remove, "remove a signer", "Removes a signer and his keys.")
    remove.add_argument(
        "-f", "--force", action="store_true", help="do not ask, even if no tag can be pulled afterwards"
    )
    add_modes(remove, can_stage=True)
    for command in (add, remove):
        command.set_defaults(in_dockers_words=True)
        command.add_argument("name", metavar="NAME", type=text)
        command.add_argument("repositories", metavar="REPO", type=text, nargs="+", help="registry/repository")
    listing = signer.publishing("list", _signer_list, "list signers", "Lists the signers and their keys.")
    listing.add_argument("repository", metavar="REPO", type=text, help="registry/repository")


# sign


class _Wanted(NamedTuple):
    """A tag to sign."""

    repository: str
    tag: str
    # The digest that the registry must have for it, if any.
    pinned: str | None
    # What it is, if the registry is not asked.
    digest: str | None
    size: int | None

    @property
    def name(self) -> str:
        return f"{self.repository}:{self.tag}"

    @property
    def reference(self) -> str:
        return f"{self.name}@{self.pinned}" if self.pinned else self.name

    @property
    def signed(self) -> str | tuple[str, str, int]:
        """As a client takes it."""
        if self.digest is None or self.size is None:
            return self.reference
        return self.reference, self.digest, self.size


def _sign(client: Client, options: argparse.Namespace) -> int:
    wanted = list(_wanted(options))
    if not wanted:
        raise UsageError("no tag specified")
    if len(wanted) > 1 and (options.proposal or options.role or options.custom):
        raise UsageError("--proposal, --role and --custom are for one tag")
    if options.proposal is not None:
        return _propose(client, options, *wanted)
    quiet = options.json or bool(mode_of(options))
    results: list[tuple[str, Publication | TrustError]] = []
    for repository, tags in _by_repository(wanted).items():
        unreachable = None if quiet else _tell_before(client, tags)
        result = unreachable or _sign_in_one(client, options, tags)
        results.append((repository, result))
        if options.json:
            continue
        if isinstance(result, TrustError):
            for tag in tags:
                say(f"failed to sign {tag.name}: {result.message}")
            continue
        made = [f"Finished initializing signed repository for {repository}"] if is_new(result) else []
        describe(result, options, *made, *(f"Successfully signed {result.repository}:{tag.tag}" for tag in tags))
    if options.json:
        write_json([outcome(repository, result) for repository, result in results])
    return status(result for _, result in results if isinstance(result, TrustError))


def _sign_in_one(client: Client, options: argparse.Namespace, tags: list[_Wanted]) -> Publication | TrustError:
    """All at once, so either all of them are signed or none."""
    how = {**mode_of(options), **_only_for_one(options)}
    try:
        if len(tags) == 1:
            (tag,) = tags
            return client.sign(tag.reference, tag.digest, tag.size, **how)
        (result,) = client.sign_many([tag.signed for tag in tags], **how)
        return result
    except TrustError as error:
        return error


def _only_for_one(options: argparse.Namespace) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if options.role:
        given["roles"] = options.role
    if options.custom is not None:
        given["custom"] = read_text(options.custom)
    return given


def _tell_before(client: Client, tags: list[_Wanted]) -> TrustError | None:
    """Docker's lines on what is signed already. An error if it makes no sense to go on."""
    known = client.verify_many([tag.name for tag in tags])
    for tag, image in zip(tags, known):
        if isinstance(image, (Unreachable, Unauthorized)):
            return image
        tell(f"Signing and pushing trust metadata for {tag.name}")
        if isinstance(image, Image):
            digest = image.digest.partition(":")[2]
            tell(f"Existing signatures for tag {tag.tag} digest {digest} from:", ", ".join(sorted(image.signers)))
    return None


def _propose(client: Client, options: argparse.Namespace, tag: _Wanted) -> int:
    proposal = client.sign_partial(tag.reference, tag.digest, tag.size, **_only_for_one(options))
    write_new(options.proposal, proposal)
    return report_proposal(options, tag.repository, options.proposal)


def _wanted(options: argparse.Namespace) -> Iterator[_Wanted]:
    given = (options.digest, options.size)
    if given != (None, None):
        if options.digest is None:
            raise UsageError("--size needs --digest")
        if len(options.references) != 1 or options.from_file is not None:
            raise UsageError("--digest is for one tag")
    for reference in options.references:
        yield _parse(reference, *given)
    if options.from_file is not None:
        for place, line in enumerate(read_text(options.from_file).splitlines(), start=1):
            words = line.partition("#")[0].split()
            if words:
                yield _parse_line(words, f"{options.from_file}: line {place}")


def _parse_line(words: list[str], where: str) -> _Wanted:
    try:
        if len(words) == 1:
            return _parse(words[0], None, None)
        reference, digest, size = words
        return _parse(reference, digest, number(size))
    except (ValueError, argparse.ArgumentTypeError):
        raise UsageError(f"{where} is neither REF nor REF DIGEST SIZE") from None


def _parse(reference: str, digest: str | None, size: int | None) -> _Wanted:
    name, _, pinned = reference.partition("@")
    if ":" not in name.rpartition("/")[2]:
        if pinned:
            raise UsageError("cannot use a digest reference for IMAGE:TAG")
        raise UsageError(f"no tag specified for {reference}")
    repository, _, tag = name.rpartition(":")
    if pinned and digest is not None and pinned != digest:
        raise UsageError(f"{reference} has another digest than {digest}")
    if size is None and digest is not None:
        pinned, digest = digest, None
    return _Wanted(repository, tag, pinned or None, digest, size)


def _by_repository(wanted: Iterable[_Wanted]) -> dict[str, list[_Wanted]]:
    groups: dict[str, list[_Wanted]] = {}
    for tag in wanted:
        groups.setdefault(tag.repository, []).append(tag)
    return groups


# revoke


def _revoke(client: Client, options: argparse.Namespace) -> int:
    reference, mode = options.reference, mode_of(options)
    has_tag = ":" in reference.rpartition("/")[2]
    if not (has_tag or options.yes or mode):
        question = f"Confirm you would like to delete all signature data for {reference}?"
        if not confirm(question, quiet_stdout=options.json):
            return DONE
    try:
        publication = client.revoke(reference, roles=options.role, **mode)
    except TrustError as error:
        if options.json:
            raise
        say(f"could not remove signature for {reference}: {words_of(error)}")
        return status([error])
    return report(publication, options, f"Successfully deleted signature for {reference}")


# signer


def _signer_add(client: Client, options: argparse.Namespace) -> int:
    name = options.name

    def add(repository: str) -> tuple[Publication, list[str]]:
        publication = client.add_signer(name, options.keys, repository, **mode_of(options))
        made = [
            f"Initializing signed repository for {repository}...",
            f'Successfully initialized "{publication.repository}"',
        ]
        done = [f"Successfully added signer: {name} to {repository}", ""]
        return publication, [*(made if is_new(publication) else []), *done]

    return _in_each(options, f'Adding signer "{name}" to', add, "failed to add signer to", stops_at_once=True)


def _signer_remove(client: Client, options: argparse.Namespace) -> int:
    name = options.name

    def remove(repository: str) -> tuple[Publication, list[str]] | None:
        try:
            publication = client.remove_signer(name, repository, force=options.force, **mode_of(options))
        except InvalidInput as error:
            if "needs to be forced" not in error.reason or mode_of(options):
                raise
            question = (
                f'The signer "{name}" signed the last released version of {repository}. '
                f"Removing this signer will make {repository} unpullable. Are you sure you want to continue?"
            )
            options.passphrases.announce()
            if not confirm(question, quiet_stdout=options.json):
                return None
            publication = client.remove_signer(name, repository, force=True)
        return publication, [f"Successfully removed {name} from {repository}", ""]

    return _in_each(options, f'Removing signer "{name}" from', remove, "error removing signer from")


def _in_each(
    options: argparse.Namespace,
    heading: str,
    act: Callable[[str], tuple[Publication, list[str]] | None],
    failed: str,
    stops_at_once: bool = False,
) -> int:
    """One repository after the other, whatever becomes of the others.

    `stops_at_once`: where a name or file is wrong, before anything is said of a repository.
    """
    results: list[tuple[str, Publication | TrustError]] = []
    quiet = options.json or mode_of(options)
    for repository in options.repositories:
        options.passphrases.heading = None if quiet else f"{heading} {repository}..."
        try:
            done = act(repository)
        except TrustError as error:
            if isinstance(error, InvalidInput) and stops_at_once and not results:
                raise
            results.append((repository, error))
            options.passphrases.announce()
            if not options.json:
                say(words_of(error))
                say("")
            continue
        options.passphrases.announce()
        if done is None:
            tell("", "Aborting action.")
            continue
        publication, lines = done
        results.append((repository, publication))
        if not options.json:
            describe(publication, options, *lines)
    if options.json:
        write_json([outcome(repository, result) for repository, result in results])
    errors = {repository: result for repository, result in results if isinstance(result, TrustError)}
    if errors and not options.json:
        say(f"{failed}: {', '.join(errors)}")
    return status(errors.values())


def _signer_list(client: Client, options: argparse.Namespace) -> int:
    signers = client.inspect(options.repository).signers
    if options.json:
        write_json([{"name": signer.name, "keys": signer.keys} for signer in signers])
    elif signers:
        tell(*table(("SIGNER", "KEYS"), [(signer.name, ", ".join(signer.keys)) for signer in signers]))
    else:
        tell(f"No signers for {options.repository}")
    return DONE
