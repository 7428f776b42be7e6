"""Nothing that a client says in AUTH, and nothing in a users' file, raises anything unforeseen.

Invariants: an exchange ends in credentials that are clean text, or in a reply of 5yz; a file gives
accounts or says what is wrong with it.
"""

from base64 import b64encode
from contextlib import suppress

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mta.model.outcome import Reply

from mta.rules.submission.sasl import (
    Challenge,
    Credentials,
    Exchange,
    Mechanism,
    prepared_name,
    prepared_password,
    start,
)

from mta.config import ConfigError
from mta.config.users import UsersFile

RESPONSES = st.lists(st.binary(max_size=40).map(b64encode) | st.binary(max_size=40), max_size=4)
MESSAGES = st.tuples(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8)).map(
    lambda parts: b64encode("\0".join(parts).encode("utf-8", "surrogatepass"))
)
KEYS = st.sampled_from(["password", "senders", "per_hour", "tokens", "sha256", "messages", "ann"])
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(Mechanism), RESPONSES | st.lists(MESSAGES, max_size=2))
def test_an_exchange_ends_in_clean_credentials_or_a_refusal(
    mechanism: Mechanism, responses: list[bytes]
) -> None:
    exchange = Exchange(mechanism)
    for response in responses:
        said = exchange.hear(response)
        if isinstance(said, Reply):
            assert 500 <= said.code < 600
        elif isinstance(said, Credentials):
            assert said.name == prepared_name(said.name)
            assert said.password == prepared_password(said.password)
            assert not any(ord(character) < 32 for character in said.name + said.password)
        else:
            assert isinstance(said, Challenge)


@given(st.text(max_size=40))
def test_whatever_stands_behind_auth_begins_an_exchange_or_is_refused(argument: str) -> None:
    begun = start(argument)

    assert isinstance(begun, Reply | tuple)


@given(st.dictionaries(KEYS | st.text(max_size=4), DATA, max_size=3).map(yaml.safe_dump))
def test_a_users_file_gives_accounts_or_says_what_is_wrong(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "users.yaml"
    path.write_text(text)

    with suppress(ConfigError):
        UsersFile(path).read()
