"""Real argon2id hashes."""

import asyncio
import re

import pytest

from mta.edge.passwords import Passwords, hash_of, is_password, new_token


@pytest.mark.parametrize("password", ["secret", "", "pass wörd", "x" * 10_000, "nul\0nul"])
def test_a_password_is_known_by_its_hash(password: str) -> None:
    hash = hash_of(password)

    assert hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert is_password(hash, password)
    assert not is_password(hash, password + "x")


def test_a_password_has_another_hash_each_time() -> None:
    assert hash_of("secret") != hash_of("secret")


@pytest.mark.parametrize("hash", ["", "secret", "$argon2id$v=19$m=19456,t=2,p=1$", "$1$salt$x"])
def test_what_is_no_hash_is_an_error(hash: str) -> None:
    with pytest.raises(ValueError, match="argon2id"):
        is_password(hash, "secret")


def test_the_event_loop_goes_on_while_a_password_is_hashed() -> None:
    async def scene() -> int:
        hash = hash_of("secret")
        comparing = asyncio.ensure_future(Passwords().matches(hash, "secret"))
        rounds = 0
        while not comparing.done():
            rounds += 1
            await asyncio.sleep(0)
        assert comparing.result()
        return rounds

    assert asyncio.run(scene()) > 10


def test_tokens_are_long_and_never_the_same() -> None:
    tokens = {new_token() for _ in range(100)}

    assert len(tokens) == 100
    assert all(re.fullmatch(r"mta_[A-Za-z0-9_-]{43}", token) for token in tokens)
