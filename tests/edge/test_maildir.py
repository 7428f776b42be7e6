"""Delivery into a Maildir, on a real disk."""

import asyncio
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mta.model.address import Address
from mta.model.domain import Host, TlsDemand, TlsLevel
from mta.model.envelope import Letter, MessageId
from mta.model.outcome import Outcome, Scope, Stage, Verdict

from mta.flow.ports import Connector

from mta.edge.maildir import MaildirConnector, MaildirSession, name_of

BOB, ANN = Address("bob", "there.test"), Address("ann", "there.test")
LETTER = Letter(
    MessageId("m1"), Address("app", "here.test"), (BOB,), b"Subject: hello\r\n\r\n.dot\r\n"
)
NONE = TlsDemand(TlsLevel.NONE)


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    return tmp_path / "Maildir"


def sent(
    path: Path, letter: Letter = LETTER, meanwhile: Callable[[], None] | None = None
) -> Outcome:
    """What became of a letter to one recipient."""

    async def send() -> Outcome:
        connector: Connector = MaildirConnector(str(path))
        session = await connector.open(Host(str(path), "", 0), NONE)
        if meanwhile is not None:
            meanwhile()
        if isinstance(session, Outcome):
            return session
        (outcome,) = await session.send(letter)
        await session.close()
        return outcome

    return asyncio.run(send())


def files(path: Path) -> list[Path]:
    return sorted((path / "new").iterdir())


def test_a_message_is_a_file_in_new_with_its_envelope_above_it(maildir: Path) -> None:
    outcome = sent(maildir)

    assert (outcome.verdict, outcome.stage) == (Verdict.DELIVERED, Stage.CONTENT)
    (file,) = files(maildir)
    assert file.read_bytes() == (
        b"Return-Path: <app@here.test>\nDelivered-To: bob@there.test\nSubject: hello\n\n.dot\n"
    )
    assert list((maildir / "tmp").iterdir()) == []


def test_a_report_has_no_return_path(maildir: Path) -> None:
    sent(maildir, replace(LETTER, sender=None))

    assert files(maildir)[0].read_bytes().startswith(b"Return-Path: <>\n")


def test_a_delivery_that_is_cut_off_is_finished_and_told(maildir: Path) -> None:
    async def cut_off() -> Outcome:
        session = await MaildirConnector(str(maildir)).open(Host(str(maildir), "", 0), NONE)
        assert isinstance(session, MaildirSession)
        sending = asyncio.create_task(session.send(LETTER))
        await asyncio.sleep(0)
        sending.cancel()
        (outcome,) = await sending
        return outcome

    assert asyncio.run(cut_off()).verdict is Verdict.DELIVERED
    assert len(files(maildir)) == 1


def test_nobody_else_reads_it(maildir: Path) -> None:
    sent(maildir)

    paths = [maildir, *(maildir / name for name in ("tmp", "new", "cur")), *files(maildir)]
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in paths)


def test_each_recipient_has_a_file(maildir: Path) -> None:
    async def send() -> tuple[Outcome, ...]:
        session = await MaildirConnector(str(maildir)).open(Host(str(maildir), "", 0), NONE)
        assert isinstance(session, MaildirSession)
        return await session.send(replace(LETTER, recipients=(BOB, ANN)))

    outcomes = asyncio.run(send())

    assert [outcome.verdict for outcome in outcomes] == [Verdict.DELIVERED] * 2
    assert len(files(maildir)) == 2


def test_what_is_delivered_again_after_a_crash_is_recognised(maildir: Path) -> None:
    sent(maildir)
    before = files(maildir)

    assert sent(maildir).verdict is Verdict.DELIVERED
    assert files(maildir) == before


def test_it_is_recognised_where_its_reader_has_put_it(maildir: Path) -> None:
    sent(maildir)
    (file,) = files(maildir)
    file.rename(maildir / "cur" / f"{file.name}:2,RS")

    assert sent(maildir).verdict is Verdict.DELIVERED
    assert files(maildir) == []


def test_what_a_crash_left_half_written_is_written_anew(maildir: Path) -> None:
    sent(maildir, replace(LETTER, id=MessageId("other")))
    (maildir / "tmp" / name_of(LETTER.id, BOB)).write_bytes(b"Retu")

    sent(maildir)

    assert len(files(maildir)) == 2
    assert all(file.read_bytes().endswith(b".dot\n") for file in files(maildir))


@pytest.mark.parametrize("name", ["tmp", "new", "cur"])
def test_nothing_is_written_where_a_link_leads(maildir: Path, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    sent(maildir, replace(LETTER, id=MessageId("other")))

    def link() -> None:
        for file in (maildir / name).iterdir():
            file.unlink()
        (maildir / name).rmdir()
        (maildir / name).symlink_to(elsewhere)

    outcome = sent(maildir, meanwhile=link)

    assert outcome.verdict is Verdict.DEFERRED
    assert sent(maildir).verdict is Verdict.DEFERRED  # nor found that way at a start
    assert list(elsewhere.iterdir()) == []


def test_a_link_in_place_of_the_file_is_not_written_through(maildir: Path, tmp_path: Path) -> None:
    sent(maildir, replace(LETTER, id=MessageId("other")))
    (maildir / "tmp" / name_of(LETTER.id, BOB)).symlink_to(tmp_path / "victim")

    assert sent(maildir).verdict is Verdict.DELIVERED
    assert not (tmp_path / "victim").exists()


def test_a_maildir_that_cannot_be_had_keeps_the_mail_waiting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    for path in (tmp_path / "file", tmp_path / "no" / "folder", tmp_path / "file" / "below"):
        outcome = sent(path)

        assert (outcome.verdict, outcome.scope) == (Verdict.DEFERRED, Scope.HOST)
        assert str(path) in outcome.reply.text
        assert not outcome.may_have_arrived


def test_a_folder_that_goes_away_meanwhile_keeps_the_mail_waiting(maildir: Path) -> None:
    def break_it() -> None:
        (maildir / "tmp").rmdir()

    outcome = sent(maildir, meanwhile=break_it)

    assert (outcome.verdict, outcome.reply.status) == (Verdict.DEFERRED, "4.3.0")
    assert not outcome.may_have_arrived


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_belongs_to_whom_the_maildir_belongs_to(maildir: Path) -> None:
    maildir.mkdir()
    os.chown(maildir, 65534, 65534)

    sent(maildir)

    found = [maildir / "new", *files(maildir)]
    assert [(path.stat().st_uid, path.stat().st_gid) for path in found] == [(65534, 65534)] * 2
