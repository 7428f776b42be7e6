"""Passwords and tokens: argon2id hashes (RFC 9106, on argon2-cffi), made and compared.

The parameters are OWASP's: 19 MiB, two passes, one lane; 22 ms of one core.
"""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor

_MEMORY_KIB = 19_456
_PASSES = 2
_LANES = 1


def hash_of(password: str) -> str:
    """A new argon2id hash in PHC form, with a salt of its own."""
    from argon2 import PasswordHasher  # which few servers need

    hasher = PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=_LANES)
    return hasher.hash(password)


def is_password(hash: str, password: str) -> bool:
    """Whether this is the password of an argon2id hash. Raises ValueError for what is none."""
    from argon2 import PasswordHasher
    from argon2.exceptions import Argon2Error, InvalidHashError, VerifyMismatchError

    try:
        return PasswordHasher().verify(hash, password)
    except VerifyMismatchError:
        return False
    except (Argon2Error, InvalidHashError) as error:
        raise ValueError(f"expected an argon2id hash that can be computed: {error}") from error


def new_token() -> str:
    """A token for the HTTP API: 256 bits of chance, which nobody can guess."""
    return f"mta_{secrets.token_urlsafe(32)}"


class Passwords:
    """Compares passwords in one thread of its own.

    So an attack has one core and 19 MiB, and deliveries have the others.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "passwords")

    async def matches(self, hash: str, password: str) -> bool:
        """Whether this is the password of an argon2id hash; the loop goes on meanwhile."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, is_password, hash, password)
