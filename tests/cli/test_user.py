"""`mta user`, on files of its own."""

import io
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mta.model.user import token_digest

from mta.edge.passwords import is_password

from mta.cli import main
from mta.config.users import read_users

PASSWORD = "correct horse"


class User:
    """`mta user` with a configuration that names a users' file."""

    def __init__(
        self, folder: Path, capsys: pytest.CaptureFixture[str], type_in: Callable[[str], None]
    ) -> None:
        self.path = folder / "users.yaml"
        self.config = folder / "config.yaml"
        self.config.write_text("hostname: mail.example.com\nusers: users.yaml\n")
        self._capsys = capsys
        self._type_in = type_in

    def __call__(self, *words: str, given: str = PASSWORD + "\n") -> tuple[int, str, str]:
        self._type_in(given)
        status = main(["user", *words, "--config", str(self.config)])
        said = self._capsys.readouterr()
        return status, said.out, said.err


@pytest.fixture
def user(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> User:
    return User(tmp_path, capsys, lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text)))


def test_a_user_is_added_with_the_hash_of_the_password_on_standard_input(user: User) -> None:
    assert user("add", "Ann@Here.test") == (0, "ann@here.test may log in.\n", "")

    entry = read_users(user.path)["ann@here.test"]
    assert is_password(entry.password or "", PASSWORD)
    assert PASSWORD not in user.path.read_text()
    assert user.path.stat().st_mode & 0o777 == 0o600


def test_a_password_comes_from_a_file_too(user: User, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("other horses\n")

    status, _, _ = user("add", "ann", "--password-file", str(tmp_path / "secret"), given="")

    assert status == 0
    assert is_password(read_users(user.path)["ann"].password or "", "other horses")


def test_a_user_has_senders_and_limits(user: User) -> None:
    user(
        *("add", "ann", "--sender", "Here.test", "--sender", "Bob@there.test"),
        *("--messages-per-hour", "5", "--recipients-per-day", "70", "--size-per-day", "1GiB"),
    )

    account = read_users(user.path)["ann"].account("ann")
    assert account.user.senders == {"here.test", "bob@there.test"}
    assert (account.user.per_hour.messages, account.user.per_hour.octets) == (5, None)
    assert (account.user.per_day.recipients, account.user.per_day.octets) == (70, 2**30)


@pytest.mark.parametrize(
    "words",
    [
        *(["add", "a b"], ["add", ""], ["add", "ann", "--sender", "not a domain"]),
        *(["add", "ann", "--messages-per-hour", "0"], ["add", "ann", "--size-per-day", "1"]),
        *(["add", "ann", "--no-password", "--password-file", "x"], ["add"], ["token", "add"]),
    ],
)
def test_what_cannot_be_is_refused_as_a_wrong_call(user: User, words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        user(*words)

    assert ended.value.code == 2
    assert not user.path.exists()


@pytest.mark.parametrize("password", ["", "\n", "short", "two\nlines here"])
def test_a_poor_password_is_refused(user: User, password: str) -> None:
    status, _, error = user("add", "ann", given=password)

    assert status == 1
    assert error.startswith("expected a password")
    assert not user.path.exists()


def test_nobody_is_added_twice(user: User) -> None:
    user("add", "ann")
    before = user.path.read_text()

    status, _, error = user("add", "ANN", given="another horse")

    assert (status, error[:20]) == (1, "ann is there already")
    assert user.path.read_text() == before


def test_a_password_is_changed_and_the_rest_stays(user: User) -> None:
    user("add", "ann", "--sender", "here.test")
    user("add", "bob")
    before = read_users(user.path)

    assert user("passwd", "ann", given="another horse")[0] == 0

    after = read_users(user.path)
    assert is_password(after["ann"].password or "", "another horse")
    assert after["ann"].senders == ("here.test",)
    assert after["bob"] == before["bob"]


def test_a_user_is_removed(user: User) -> None:
    user("add", "ann")

    assert user("remove", "ann")[0] == 0

    assert read_users(user.path) == {}


@pytest.mark.parametrize(
    "words", [["remove"], ["passwd"], ["token", "add"], ["token", "list"], ["token", "remove"]]
)
def test_who_is_not_there_is_named(user: User, words: list[str]) -> None:
    status, _, error = user(
        *words, "ann", *(["1"] if words[-1:] == ["remove"] and len(words) > 1 else [])
    )

    assert status == 1
    assert error.startswith("there is no user ann")


def test_the_list_shows_no_secrets(user: User) -> None:
    user("add", "ann", "--messages-per-hour", "5")
    user("token", "add", "ann", "--label", "shop")

    _, shown, _ = user("list", "--json")
    _, for_people, _ = user("list")

    assert json.loads(shown)["ann"]["per_hour"] == {"messages": 5}
    assert json.loads(shown)["ann"]["tokens"][0]["label"] == "shop"
    assert "argon2" not in shown + for_people
    assert "sha256" not in shown + for_people


def test_a_token_is_shown_once_and_kept_as_its_digest(user: User) -> None:
    user("add", "api", "--no-password")

    status, token, _ = user("token", "add", "api")

    assert status == 0
    assert re.fullmatch(r"mta_[A-Za-z0-9_-]{43}\n", token)
    assert token.strip() not in user.path.read_text()
    account = read_users(user.path)["api"].account("api")
    assert account.tokens == {token_digest(token.strip())}
    assert account.password == ""


def test_a_token_is_taken_back_by_its_id(user: User) -> None:
    user("add", "api", "--no-password")
    made = [json.loads(user("token", "add", "api", "--json")[1]) for _ in range(2)]

    status, _, _ = user("token", "remove", "api", made[0]["id"])
    _, listed, _ = user("token", "list", "api")

    assert status == 0
    assert [line.split()[0] for line in listed.splitlines()] == [made[1]["id"]]
    assert user("token", "remove", "api", made[0]["id"])[0] == 1


def test_a_broken_file_is_not_written_over(user: User) -> None:
    user.path.write_text("ann: {senders: [1]}\n")

    status, _, error = user("add", "bob")

    assert status == 2
    assert "ann.senders[0]: expected an address or a domain" in error
    assert user.path.read_text() == "ann: {senders: [1]}\n"


def test_without_a_setting_the_file_stands_beside_the_configuration(user: User) -> None:
    user.config.write_text("hostname: mail.example.com\n")

    _, _, error = user("add", "ann")

    assert "put `users: users.yaml` into config.yaml" in error
    assert "ann" in read_users(user.path)


def test_two_at_a_time_lose_nothing(user: User) -> None:
    from mta.cli.user import _change
    from mta.config.users import Entry

    def add(name: str) -> None:
        _change(user.path, lambda entries: entries.update({name: Entry()}))

    threads = [threading.Thread(target=add, args=(f"user{n}",)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(read_users(user.path)) == 20
