"""Lists of mailboxes: who is meant, and what is no list."""

import pytest

from mta.rules.message.mailboxes import MailboxError, mailboxes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("bob@x.test", ["bob@x.test"]),
        ("bob", ["bob@host.test"]),
        ("bob@x.test, carol@y.test", ["bob@x.test", "carol@y.test"]),
        ("bob@x.test,,", ["bob@x.test"]),
        ("Bob <bob@x.test>", ["bob@x.test"]),
        ("<bob>", ["bob@host.test"]),
        ('"Doe, Bob" <bob@x.test>, carol', ["bob@x.test", "carol@host.test"]),
        ('"a \\" <x@y.test>" <bob@x.test>', ["bob@x.test"]),
        ("J. R. Doe <bob@x.test>", ["bob@x.test"]),
        ("Bob (of (the) house) <bob@x.test> (yes, him)", ["bob@x.test"]),
        ("bob@x.test (Bob, really)", ["bob@x.test"]),
        ("bob . doe @ x.test", ["bob.doe@x.test"]),
        ('"b b"@x.test', ['"b b"@x.test']),
        ("bob@[192.0.2.1]", ["bob@[192.0.2.1]"]),
        ("undisclosed-recipients:;", []),
        ("Team: bob@x.test, Carol <carol@x.test>;, dan@x.test",
         ["bob@x.test", "carol@x.test", "dan@x.test"]),
        ("bob@x.test; carol@x.test", ["bob@x.test", "carol@x.test"]),
        ("=?utf-8?q?B=C3=B6b?= <bob@x.test>", ["bob@x.test"]),
        ("bob@X.Test", ["bob@x.test"]),
    ],
)  # fmt: skip
def test_a_list_names(text: str, expected: list[str]) -> None:
    found = mailboxes(text, hostname=lambda: "host.test")

    assert [str(address) for address in found] == expected


@pytest.mark.parametrize(
    "text",
    [
        "bob carol",
        "bob@x.test carol@x.test",
        "bob@x.test <carol@x.test> dan",
        "<bob@x.test",
        "bob@x.test>",
        "<>",
        "Bob <>",
        "<a@x.test><b@x.test>",
        "bob@x.test (open",
        'bob" <bob@x.test>',
        "bob@x.test)carol@x.test",
        "<@relay.test:bob@x.test>",
        "bob@",
        "@x.test",
        "bob@x..test",
        "bob@x.test\r\nBcc: carol@x.test",
        "bob@x.test\0",
        "\\@x.test",
    ],
)
def test_what_cannot_be_read_whole_is_an_error(text: str) -> None:
    with pytest.raises(MailboxError, match="expected") as caught:
        mailboxes(text, hostname=lambda: "host.test")

    assert str(caught.value).isprintable()


def test_the_host_is_asked_for_its_name_only_where_it_is_wanted() -> None:
    def hostname() -> str:
        raise AssertionError

    assert mailboxes("bob@x.test", hostname=hostname)
