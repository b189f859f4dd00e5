"""Every publishing command of `notary` followed by ours and the other way round, on one trust directory."""

import pytest

from lab.repositories import RELEASES, make_image
from publish.conftest import assert_all_agree, assert_docker_agrees, delegation_key, signed, tree
from publish.sides import NotarySide, OurSide

QA, NIGHTLY = "targets/qa", "targets/qa/nightly"

# Keys are named. What is staged is published before the next line.
STEPS = [
    ("publish",),
    ("add", "v1", "targets"),
    ("add", "v2", "targets"),
    ("remove", "v1", "targets"),
    ("publish",),
    ("add_delegation", RELEASES, "a", [""]),
    ("add", "v2", RELEASES),
    ("add", "v3", RELEASES),
    ("add_delegation", QA, "ab", ["qa-"]),
    ("add_delegation", NIGHTLY, "b", ["qa-n"]),
    ("add", "qa-1", QA),
    ("add", "qa-n1", NIGHTLY),
    ("add", "v3", RELEASES),
    ("add", "v4", RELEASES, '{"built":"by hand","n":7}'),
    ("add_delegation", RELEASES, "c", []),
    ("add_delegation", RELEASES, "", ["v", "w"]),
    ("remove_delegation", RELEASES, "", ["w"]),
    ("remove_delegation", QA, "a", []),
    ("witness", QA),
    ("witness", RELEASES, NIGHTLY),
    ("add", "qa-2", QA),
    ("add_delegation", RELEASES, "b", []),
    ("purge", "c"),
    ("rotate", "snapshot"),
    ("add", "v5", RELEASES),
    ("rotate", "targets"),
    ("add", "v6", "targets"),
    ("rotate", "root"),
    ("rotate", "timestamp", True),
    ("add_delegation", "targets/later", "c", [""]),
    ("rotate", "snapshot", True),
    ("add", "v7", RELEASES),
    ("publish",),
    ("remove_delegation", NIGHTLY, "", []),
    ("rotate", "root"),
    ("rotate", "snapshot"),
    ("remove_delegation", QA, "", []),
    ("remove_delegation", "targets/later", "", []),
    ("remove", "v3", RELEASES),
]


@pytest.fixture
def keys(fresh_directory):
    return {name: delegation_key(kind, fresh_directory(), name) for name, kind in KINDS.items()}


KINDS = {"a": "ecdsa", "b": "ecdsa-x509", "c": "rsa"}


@pytest.fixture
def at_work(publisher, keys, fresh_directory):
    """A publisher with all delegation keys, and the sides that publish with them."""
    publisher = publisher()
    for key in keys.values():
        publisher.notary.import_key(key.private, "delegation")
    return publisher, [side(publisher, fresh_directory()) for side in (NotarySide, OurSide)]


def perform(side, keys, step):
    operation, *arguments = step
    if operation == "add":
        tag, role, *custom = arguments
        side.add(tag, make_image(f"{tag}{role}{len(custom)}"), role, *custom)
    elif operation in ("add_delegation", "remove_delegation"):
        role, names, paths = arguments
        getattr(side, operation)(role, [keys[name] for name in names], paths)
    elif operation == "purge":
        side.purge(*(keys[name] for name in arguments[0]))
    else:
        getattr(side, operation)(*arguments)


@pytest.mark.parametrize("first", [0, 1], ids=["notary-first", "we-first"])
@pytest.mark.parametrize("by", ["the-other", "the-same"])
def test_after_each_step_of_either_all_agree(first, by, at_work, keys, stranger):
    """What one has staged is published by the other, or by the same; then it is the other's turn."""
    publisher, sides = at_work
    reader = stranger()
    sides[first].init()
    for turn, step in enumerate(STEPS, start=first):
        side, other = sides[turn % 2], sides[(turn + 1) % 2]
        print(type(side).__name__, step)
        perform(side, keys, step)
        staged = [(it.action, it.role, it.type, it.path) for it in publisher.client.staged(publisher.gun)]
        assert staged == publisher.notary.status(publisher.gun)
        if staged:
            (other if by == "the-other" else side).publish()
        assert publisher.notary.status(publisher.gun) == []
        assert_all_agree(publisher, reader)
    # Whoever comes new sees the same as who saw every step.
    assert_all_agree(publisher, stranger())
    assert_docker_agrees(publisher)


def test_any_order_of_operations_by_either_leaves_what_was_meant(rng, at_work, keys, stranger):
    publisher, sides = at_work
    model = Model(rng)
    rng.choice(sides).init()
    rng.choice(sides).publish()
    for _ in range(25):
        for step in model.next_steps():
            side = rng.choice(sides)
            print(type(side).__name__, step)
            perform(side, keys, step)
            rng.choice(sides).publish()
        reader = stranger()
        assert_all_agree(publisher, reader)
        assert_docker_agrees(publisher)
        assert reader.delegations(publisher.gun) == {
            role: (sorted(paths), sorted(keys[name].id for name in names), 1)
            for role, (names, paths) in model.delegations.items()
        }
        for role in ("targets", *model.delegations):
            tags = {tag: where for tag, (*_, where) in reader.list(publisher.gun, [role]).items() if where == role}
            assert tags.keys() == model.tags.get(role, set())


class Model:
    """What must be there after the steps that it chose."""

    def __init__(self, rng):
        self.rng = rng
        self.delegations = {}  # role: (names of keys, paths)
        self.tags = {"targets": set()}
        self.created = 0

    def next_steps(self):
        """A few to stage, or one that publishes itself."""
        if self.rng.random() < 0.2:
            role = self.rng.choice(["root", "targets", "snapshot", "timestamp"])
            return [("rotate", role, role == "timestamp" or (role == "snapshot" and self.rng.random() < 0.5))]
        kinds = [self.add] * 4 + [self.remove] * 2 + [self.create, self.add_key, self.withdraw, self.delete, self.purge]
        return [step for _ in range(self.rng.randint(0, 4)) for step in self.rng.choice(kinds)()]

    def add(self):
        role, tag = self.rng.choice(["targets", *self.delegations]), f"t{self.rng.randrange(20)}"
        self.tags.setdefault(role, set()).add(tag)
        return [("add", tag, role)]

    def remove(self):
        role = self.rng.choice(sorted(role for role in self.tags if self.tags[role]) or [None])
        if not role:
            return []
        tag = self.rng.choice(sorted(self.tags[role]))
        self.tags[role].remove(tag)
        return [("remove", tag, role)]

    def create(self):
        # Never a name again: the server keeps the versions of a deleted role.
        self.created += 1
        parent = self.rng.choice(["targets", *self.delegations])
        role = RELEASES if RELEASES not in self.delegations else f"{parent}/r{self.created}"
        self.delegations[role] = (set(), {""})
        return self.add_key(role)

    def add_key(self, role=None):
        if not self.delegations:
            return []
        role, name = role or self.rng.choice(sorted(self.delegations)), self.rng.choice(sorted(KINDS))
        self.delegations[role][0].add(name)
        return [("add_delegation", role, name, [""])]

    def withdraw(self):
        """A key, but not a role's last one."""
        roles = [role for role, (names, _) in self.delegations.items() if len(names) > 1]
        if not roles:
            return []
        role = self.rng.choice(roles)
        name = self.rng.choice(sorted(self.delegations[role][0]))
        self.delegations[role][0].remove(name)
        return [("remove_delegation", role, name, []), *self.sign_again(role)]

    def purge(self):
        name = self.rng.choice(sorted(KINDS))
        if not self.delegations or any(names == {name} for names, _ in self.delegations.values()):
            return []
        for names, _ in self.delegations.values():
            names.discard(name)
        return [("purge", name), *self.sign_again(*self.delegations)]

    def sign_again(self, *roles):
        """The keys that are left may not have signed yet; without them the role counts no more."""
        return [("witness", role) for role in roles if role in self.tags]

    def delete(self):
        roles = [role for role in self.delegations if role != RELEASES]
        if not roles:
            return []
        gone = self.rng.choice(roles)
        for role in [role for role in self.delegations if f"{role}/".startswith(f"{gone}/")]:
            del self.delegations[role]
            self.tags.pop(role, None)
        return [("remove_delegation", gone, "", [])]


@pytest.mark.parametrize("side", [NotarySide, OurSide])
def test_what_was_initialised_can_be_published_by_the_other(side, publisher, stranger, fresh_directory):
    publisher = publisher()
    side(publisher, fresh_directory()).init()
    (other,) = {NotarySide, OurSide} - {side}
    assert "root" in {role for role, *_ in publisher.notary.keys()}
    other = other(publisher, fresh_directory())
    other.add("v1", make_image("v1"), "targets")
    other.publish()
    assert stranger().lookup(publisher.gun, "v1") == make_image("v1")


def test_init_follows_docker_unless_told_otherwise(publisher, server, stranger):
    by_us, by_docker, by_notary = publisher(), publisher(), publisher()
    by_us.client.init(by_us.gun)
    by_docker.docker.push(by_docker.reference("v1"), *make_image("v1"))
    for one in (by_us, by_docker):
        assert {role for role, *_ in one.notary.keys()} == {"root", "targets"}
    by_notary.client.init(by_notary.gun, local_snapshot=True)
    assert {role for role, *_ in by_notary.notary.keys()} == {"root", "targets", "snapshot"}
    for one in (by_us, by_notary):
        assert stranger().list(one.gun) == {}
        root = signed(server, one.gun, "root")
        assert root["version"] == 1 and signed(server, one.gun, "targets")["version"] == 2


def test_a_second_repository_uses_the_root_key_again(publisher):
    first = publisher()
    first.client.init(first.gun)
    (root,) = [key_id for role, _, key_id in first.notary.keys() if role == "root"]
    second = f"{first.gun}-second"
    first.client.init(second)
    first.notary.init(f"{first.gun}-third")
    assert [key_id for role, _, key_id in first.notary.keys() if role == "root"] == [root]


@pytest.mark.parametrize("side", [NotarySide, OurSide])
def test_staged_changes_can_be_taken_back_by_number_and_all(side, at_work):
    publisher, sides = at_work
    (side,) = [one for one in sides if isinstance(one, side)]
    for other in sides:
        for tag in ("v1", "v2"):
            other.add(f"{tag}-{type(other).__name__.lower()}", make_image(tag), "targets")
    before = publisher.notary.status(publisher.gun)
    assert len(before) == 4
    side.reset(0, 2)
    assert publisher.notary.status(publisher.gun) == [before[1], before[3]]
    side.reset()
    assert publisher.notary.status(publisher.gun) == []
    assert publisher.client.staged(publisher.gun) == []


@pytest.mark.parametrize("side", [NotarySide, OurSide])
@pytest.mark.parametrize("remote", [False, True], ids=["local", "remote"])
def test_delete_removes_the_same_and_never_keys(side, remote, publisher, tagtrust, stranger, fresh_directory):
    publisher = publisher()
    publisher.client.sign(publisher.reference("v1"), *make_image("v1"))
    keys = tree(publisher.trust_dir / "private")
    side(publisher, fresh_directory()).delete(remote)
    assert tree(publisher.trust_dir / "private") == keys
    assert tree(publisher.trust_dir / "tuf") == {}
    if remote:
        with pytest.raises(tagtrust.NoTrustData):
            publisher.client.verify(publisher.reference("v1"))
    else:
        assert stranger().lookup(publisher.gun, "v1") == make_image("v1")


@pytest.mark.parametrize("first", [0, 1], ids=["notary-first", "we-first"])
@pytest.mark.parametrize("last", [0, 1], ids=["notary-publishes", "we-publish"])
def test_what_both_staged_on_top_of_each_other_is_published_together(first, last, at_work, keys, stranger):
    publisher, sides = at_work
    sides[0].init()
    sides[1].publish()
    steps = [
        ("add_delegation", QA, "a", ["qa-"]),
        ("add_delegation", NIGHTLY, "b", ["qa-n"]),
        ("add", "v1", "targets"),
        ("add", "qa-1", QA),
        ("add", "qa-n1", NIGHTLY),
        ("remove", "v1", "targets"),
        ("add", "v2", "targets"),
        ("add_delegation", QA, "b", []),
        ("remove_delegation", QA, "a", []),
        ("witness", QA),
    ]
    for turn, step in enumerate(steps, start=first):
        print(type(sides[turn % 2]).__name__, step)
        perform(sides[turn % 2], keys, step)
    sides[last].publish()
    reader = stranger()
    assert_all_agree(publisher, reader)
    assert {tag: role for tag, (*_, role) in reader.list(publisher.gun).items()} == {
        "v2": "targets",
        "qa-1": QA,
        "qa-n1": NIGHTLY,
    }
