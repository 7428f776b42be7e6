"""The keys of the settings and of the index together."""

import asyncio
from pathlib import Path

import pytest

from mta.model.trouble import SigningError

from mta.rules.message.dkimrecord import KeyKind
from mta.rules.message.keyterm import KeyState

from mta.edge.keys import new_key

from mta.config import ConfigError, Settings, load_settings
from mta.config.dkim import KeyIndex, RotatedKey
from mta.wiring.keyring import Keyring, problems_of_keys

MESSAGE = b"From: ann@example.com\r\n\r\nHello\r\n"
NOW = 1_700_000_000.0  # long ago: what began then goes on


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    keys = tmp_path / "keys"
    keys.mkdir()
    new_key(keys / "example.com.s1.pem")
    path = tmp_path / "config.yaml"
    path.write_text("dkim: [{domain: example.com, selector: s1, key: keys/example.com.s1.pem}]")
    return load_settings(path, {})


def rotated(selector: str, **changes: object) -> RotatedKey:
    facts = {"domain": "example.com", "selector": selector, "made": "2023-01-01T00:00:00Z"}
    return RotatedKey.model_validate(facts | changes)


def enter(settings: Settings, *keys: RotatedKey) -> None:
    KeyIndex(settings.dkim_keys).change(lambda before: [*before, *keys])


def selectors(keyring: Keyring) -> set[str]:
    fields = asyncio.run(keyring.signer.signature_fields(MESSAGE, "example.com")).decode()
    return {part.partition(";")[0] for part in fields.split("\ts=")[1:]}


def states(keyring: Keyring, now: float = NOW) -> dict[str, KeyState]:
    return {held.term.selector: held.term.state_at(now) for held in keyring.keys}


def test_without_an_index_the_keys_of_the_settings_sign(settings: Settings) -> None:
    assert selectors(Keyring(settings)) == {"s1"}


def test_a_key_that_waits_does_not_sign_yet(settings: Settings) -> None:
    new_key(settings.dkim_keys / "example.com.s2.pem")
    enter(settings, rotated("s2", replaces=["s1"]))

    keyring = Keyring(settings)

    assert selectors(keyring) == {"s1"}
    assert states(keyring) == {"s1": KeyState.SIGNING, "s2": KeyState.WAITING}


def test_a_key_that_signs_takes_the_place_of_one_in_the_settings(settings: Settings) -> None:
    new_key(settings.dkim_keys / "example.com.s2.pem")
    enter(settings, rotated("s2", replaces=["s1"], signs_from="2023-11-14T22:13:20Z"))

    keyring = Keyring(settings)

    assert selectors(keyring) == {"s2"}
    assert states(keyring) == {"s1": KeyState.RETIRING, "s2": KeyState.SIGNING}
    assert states(keyring, NOW + 8 * 86_400)["s1"] is KeyState.RETIRED


def test_keys_of_the_index_are_used_when_it_has_changed(settings: Settings) -> None:
    keyring = Keyring(settings)
    before = keyring.index.has_changed
    new_key(settings.dkim_keys / "example.com.s2.pem")
    enter(settings, rotated("s2", replaces=["s1"], signs_from="2023-11-14T22:13:20Z"))

    assert (before, keyring.index.has_changed) == (False, True)
    keyring.use(keyring.read())

    assert selectors(keyring) == {"s2"}


def test_the_kind_of_a_key_is_what_its_file_holds(settings: Settings) -> None:
    new_key(settings.dkim_keys / "example.com.e1.pem", KeyKind.ED25519)
    enter(settings, rotated("e1", signs_from="2023-11-14T22:13:20Z"))

    keyring = Keyring(settings)

    assert [held.term.kind for held in keyring.keys] == [KeyKind.RSA, KeyKind.ED25519]
    assert selectors(keyring) == {"s1", "e1"}


def test_a_key_in_both_is_taken_from_the_index(settings: Settings) -> None:
    enter(settings, rotated("s1"))

    assert states(Keyring(settings)) == {"s1": KeyState.WAITING}


def test_the_file_of_a_retired_key_may_be_gone(settings: Settings) -> None:
    new_key(settings.dkim_keys / "example.com.s2.pem")
    enter(settings, rotated("s2", replaces=["s1"], signs_from="2023-11-14T22:13:20Z"))
    (settings.dkim_keys / "example.com.s1.pem").unlink()

    keyring = Keyring(settings)

    assert selectors(keyring) == {"s2"}
    assert list(problems_of_keys(settings)) == []


def test_a_key_that_cannot_be_read_says_where_it_is_named(settings: Settings) -> None:
    enter(settings, rotated("s2"))
    (settings.dkim_keys / "example.com.s1.pem").unlink()

    with pytest.raises(SigningError, match="no such file"):
        Keyring(settings)
    assert [problem.partition(": /")[0] for problem in problems_of_keys(settings)] == [
        "dkim[0].key",
        f"{settings.dkim_keys}/keys.yaml: keys[0]",
    ]


def test_an_index_that_is_wrong_names_every_mistake(settings: Settings) -> None:
    index = settings.dkim_keys / "keys.yaml"
    index.write_text(
        "keys:\n"
        "- {domain: example.com, selector: a b, made: 2026-01-01}\n"
        "- {domain: example.com, selector: s2, made: someday}\n"
        "- {domain: example.com}\n"
    )

    with pytest.raises(ConfigError) as caught:
        Keyring(settings)

    assert len(caught.value.problems) == 4
    assert all(problem.startswith(f"{index}: keys[") for problem in caught.value.problems)
    assert len(list(problems_of_keys(settings))) == 4


def test_a_folder_that_cannot_be_looked_into_says_the_cure() -> None:
    index = KeyIndex(Path("x" * 300))

    with pytest.raises(ConfigError, match="name another in dkim_keys"):
        index.read()


def test_an_index_with_a_key_twice_is_wrong(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="got s2 again"):
        enter(settings, rotated("s2"), rotated("s2"))


def test_what_is_written_can_be_read_by_people_and_again(settings: Settings) -> None:
    key = rotated("s2", replaces=["s1"], overlap="10d", kind="ed25519")
    enter(settings, key)

    text = (settings.dkim_keys / "keys.yaml").read_text()
    assert text.startswith("# The keys that `mta dkim rotate` made")
    assert "overlap: 10d" in text
    assert KeyIndex(settings.dkim_keys).read() == (key,)
