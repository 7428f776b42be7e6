"""The sandbox as a whole: what its DNS names is what answers."""

import asyncio
import base64
import smtplib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import dns.asyncresolver
import dns.resolver
import pytest
from cryptography.hazmat.primitives import serialization

from mta.sandbox.characters import CHARACTERS
from mta.sandbox.world import World

T = TypeVar("T")


def in_world(folder: Path, visit: Callable[[World], Awaitable[T]]) -> T:
    async def session() -> T:
        async with asyncio.timeout(20), World(folder) as world:
            return await visit(world)

    return asyncio.run(session())


def resolver(world: World) -> dns.asyncresolver.Resolver:
    asks = dns.asyncresolver.Resolver(configure=False)
    asks.nameservers = [world.dns.address[0]]
    asks.port = world.dns.address[1]
    return asks


async def records(world: World, name: str, type: str) -> list[str]:
    return [str(record) for record in await resolver(world).resolve(name, type)]


def test_a_domain_s_mx_leads_to_its_exchanger(tmp_path: Path) -> None:
    async def visit(world: World) -> list[str]:
        (mx,) = await records(world, "accept.test", "MX")
        (address,) = await records(world, mx.split()[1], "A")

        def send() -> None:
            with smtplib.SMTP(address, world.port, timeout=10) as client:
                client.sendmail("app@app.test", "anna@accept.test", b"Subject: hello\r\n\r\nhi\r\n")

        await asyncio.to_thread(send)
        return [who for mail in world.exchangers["accept.test"][0].mail for who in mail.recipients]

    assert in_world(tmp_path, visit) == ["anna@accept.test"]
    assert (tmp_path / "mail" / "accept.test" / "001.eml").exists()


def test_a_dead_host_comes_first_and_refuses_connections(tmp_path: Path) -> None:
    async def visit(world: World) -> str:
        first, _ = sorted(await records(world, "second.test", "MX"))
        (address,) = await records(world, first.split()[1], "A")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(address, world.port)
        return first

    assert in_world(tmp_path, visit) == "1 mx1.second.test."


def test_one_domain_publishes_a_null_mx_and_one_nothing_at_all(tmp_path: Path) -> None:
    async def visit(world: World) -> list[str]:
        with pytest.raises(dns.resolver.NXDOMAIN):
            await records(world, "nowhere.test", "MX")
        return await records(world, "null.test", "MX")

    assert in_world(tmp_path, visit) == ["0 ."]


def test_the_sender_s_dkim_record_holds_the_public_half_of_its_key(tmp_path: Path) -> None:
    async def visit(world: World) -> tuple[str, str]:
        (settings,) = world.settings()["dkim"]
        name = f"{settings['selector']}._domainkey.{settings['domain']}"
        (answer,) = await resolver(world).resolve(name, "TXT")
        return b"".join(answer.strings).decode(), settings["key"]

    record, path = in_world(tmp_path, visit)

    key = serialization.load_pem_private_key(Path(path).read_bytes(), None).public_key()
    published = serialization.load_der_public_key(base64.b64decode(record.partition("p=")[2]))
    assert published == key


def test_a_world_that_is_entered_again_keeps_its_key_and_its_mail(tmp_path: Path) -> None:
    async def visit(world: World) -> str:
        def send() -> None:
            address = str(world.dns.zone["mx1.accept.test"].a[0])
            with smtplib.SMTP(address, world.port, timeout=10) as client:
                client.sendmail("app@app.test", "anna@accept.test", b"Subject: hello\r\n\r\nhi\r\n")

        await asyncio.to_thread(send)
        return world.dns.zone["sandbox._domainkey.app.test"].txt[0]

    first, second = in_world(tmp_path, visit), in_world(tmp_path, visit)

    assert first == second
    assert (tmp_path / "mail" / "accept.test" / "002.eml").exists()


def test_every_character_says_what_becomes_of_its_mail() -> None:
    unsaid = [character.domain for character in CHARACTERS if not character.expected]

    assert unsaid == []
