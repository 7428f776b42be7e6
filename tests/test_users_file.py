"""The users' file: what it gives, every mistake in it at once, and when it has changed."""

from pathlib import Path

import pytest

from mta.model.user import Account, Allowance, User

from mta.config import ConfigError
from mta.config.rewriting import locked, rewrite
from mta.config.users import UsersFile, read_users

HASH = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$" + "h" * 43
DIGEST = "0123456789abcdef" * 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "users.yaml"


def problems(path: Path, text: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_users(path)
    return [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]


def test_a_file_of_users_gives_their_accounts(path: Path) -> None:
    path.write_text(
        f"ann@here.test:\n  password: {HASH}\n  senders: [Here.test, Ann@Bücher.example]\n"
        "  per_hour: {messages: 5, recipients: 50}\n  per_day: {size: 1GiB}\n"
        f"api:\n  tokens: [{{sha256: {DIGEST}, label: shop, created: '2026-11-21'}}]\n"
        "idle:\n"
    )

    accounts = UsersFile(path).read()

    ann = User(
        "ann@here.test",
        frozenset({"here.test", "ann@xn--bcher-kva.example"}),
        Allowance(5, 50),
        Allowance(octets=2**30),
    )
    assert accounts == (
        Account(ann, HASH),
        Account(User("api"), "", frozenset({DIGEST})),
        Account(User("idle")),
    )


def test_an_empty_file_has_no_users(path: Path) -> None:
    path.write_text("# nobody yet\n")

    assert UsersFile(path).read() == ()
    assert UsersFile(None).read() == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Ann: {}", "Ann: expected a name in lower case, as in ann"),
        ("'an n': {}", "an n: expected a name of 1 to 255 octets without blanks"),
        ("'': {}", ": expected a name of 1 to 255 octets without blanks"),
        (f"{'a' * 256}: {{}}", f"'{'a' * 60}': expected a name of 1 to 255 octets without blanks"),
        ("7: {}", "7 (line 1): expected a text as the key"),
        ("ann: {}\nann: {}", "ann (line 2): expected each key once, found it again"),
        ("ann: yes", "ann: expected keys with values, got true"),
        ("ann: {pasword: x}", "ann.pasword: expected a known key; did you mean password?"),
        ("ann: {senders: [a b]}", None),
        ("ann: {senders: here.test}", 'ann.senders: expected a list, got "here.test"'),
        ("ann: {per_hour: {messages: 0}}", "ann.per_hour.messages: expected at least 1, got 0"),
        ("ann: {per_day: {size: much}}", None),
        (f"ann: {{tokens: [{{sha256: {'x' * 64}}}]}}", None),
        (
            f"ann: {{tokens: [{{sha256: {DIGEST}}}]}}\nbob: {{tokens: [{{sha256: {DIGEST}}}]}}",
            "bob.tokens[0]: expected each token once, found it with ann too",
        ),
        ("- ann", "expected keys with values, as in hostname: mail.example.com"),
    ],
)
def test_a_mistake_is_reported_with_its_place(path: Path, text: str, problem: str | None) -> None:
    found = problems(path, text)

    assert len(found) == 1
    assert problem is None or found == [problem]
    assert ": expected " in found[0] or found[0].startswith("expected ")


@pytest.mark.parametrize(
    "hash",
    [
        *("hunter2", HASH.replace("argon2id", "argon2i"), HASH.replace("m=19456", "m=9999999")),
        *(HASH + "$", HASH.replace("v=19", "v=16"), "$2b$12$abcdefghijklmnopqrstuv"),
    ],
)
def test_a_password_must_be_a_hash_and_is_not_shown(path: Path, hash: str) -> None:
    assert problems(path, f"ann: {{password: '{hash}'}}") == [
        "ann.password: expected an argon2id hash, which mta user passwd makes, got something else"
    ]


def test_all_mistakes_are_reported_at_once(path: Path) -> None:
    text = "Ann: {senders: [1, 2]}\nbob: {password: x, per_hour: {messages: 0}}"

    assert len(problems(path, text)) == 5


def test_a_file_that_is_missing_is_a_mistake(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file; `mta user add NAME` makes it"):
        UsersFile(path).read()


def test_a_change_is_noticed_once(path: Path) -> None:
    path.write_text("ann: {}")
    users = UsersFile(path)
    looks = [users.has_changed]
    users.read()
    looks.append(users.has_changed)
    rewrite(path, "bob: {}")
    looks.append(users.has_changed)

    assert users.read() == (Account(User("bob")),)
    assert [*looks, users.has_changed] == [True, False, True, False]


def test_a_broken_file_leaves_the_users_as_they_were(path: Path) -> None:
    path.write_text("ann: {}")
    users = UsersFile(path)
    users.read()
    rewrite(path, "ann: {")

    with pytest.raises(ConfigError):
        users.read()

    assert users.accounts == (Account(User("ann")),)
    assert users.is_broken
    assert not users.has_changed


def test_a_file_is_rewritten_whole_and_for_its_owner_alone(path: Path) -> None:
    path.write_text("old")
    path.chmod(0o644)

    rewrite(path, "new")

    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_link_is_followed_and_stays(tmp_path: Path, path: Path) -> None:
    real = tmp_path / "etc"
    real.mkdir()
    path.symlink_to(real / "users.yaml")

    with locked(path) as found:
        rewrite(found, "new")

    assert path.is_symlink()
    assert (real / "users.yaml").read_text() == "new"
