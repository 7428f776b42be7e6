"""MTA-STS: the record, the policy, and the exchangers that it lists (RFC 8461)."""

import pytest

from mta.model.policy import StsMode, StsPolicy

from mta.rules.tls.mtasts import MAX_AGE, PolicyError, lines_of, lists, policy_id, read_policy


@pytest.mark.parametrize(
    ("texts", "id"),
    [
        (["v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        (["v=STSv1;id=1"], "1"),
        (["v=STSv1 ; id=1 ; "], "1"),
        (["v=STSv1; ext=what; id=1;"], "1"),
        (["v=STSv1; id=1; id=2;"], "1"),
        (["v=spf1 -all", "v=STSv1; id=1;"], "1"),
        ([], None),
        (["v=STSv1; id=1;", "v=STSv1; id=1;"], None),
        (["v=STSv1;"], None),
        (["v=STSv1; id=;"], None),
        (["v=STSv1; id=a-b;"], None),
        (["v=STSv1; id=" + "x" * 33], None),
        (["v=STSv2; id=1;"], None),
        (["v=stsv1; id=1;"], None),
        ([" v=STSv1; id=1;"], None),
        (["v=STSv1 id=1"], None),
    ],
)
def test_one_right_record_announces_a_policy(texts: list[str], id: str | None) -> None:
    assert policy_id(texts) == id


POLICY = b"version: STSv1\r\nmode: enforce\r\nmx: mx1.there.test\r\nmax_age: 604800\r\n"
MX = ("mx1.there.test",)
READ = StsPolicy(StsMode.ENFORCE, MX, 604_800)


def test_a_policy_is_read_as_it_was_meant() -> None:
    assert read_policy(POLICY) == READ


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (POLICY.replace(b"\r\n", b"\n"), READ),
        (POLICY.rstrip(), READ),
        (POLICY.replace(b": ", b":"), READ),
        (POLICY.replace(b": ", b": \t "), READ),
        (POLICY.replace(b"\r\n", b" \t\r\n"), READ),
        (POLICY + b"\r\n\n", READ),
        (POLICY + b"mode: none\nmax_age: 1\n", READ),
        (POLICY + b"x-new_field.1: \xc3\xbc\n", READ),
        (POLICY.replace(b"enforce", b"testing"), StsPolicy(StsMode.TESTING, MX, 604_800)),
        (b"version: STSv1\nmode: none\nmax_age: 9\n", StsPolicy(StsMode.NONE, (), 9)),
        (POLICY + b"mx: *.A.Test.\n", StsPolicy(StsMode.ENFORCE, (*MX, "*.a.test"), 604_800)),
        (POLICY.replace(b"604800", b"9" * 10), StsPolicy(StsMode.ENFORCE, MX, MAX_AGE)),
        (POLICY.replace(b"604800", b"0"), StsPolicy(StsMode.ENFORCE, MX, 0)),
    ],
)
def test_what_the_rfc_allows_is_read(octets: bytes, expected: StsPolicy) -> None:
    assert read_policy(octets) == expected


def with_mx(name: bytes) -> bytes:
    return POLICY.replace(MX[0].encode(), name)


MODES = "expected mode: enforce, testing or none, "


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"", "expected version: STSv1, found none"),
        (POLICY.replace(b"STSv1", b"STSv2"), 'expected version: STSv1, got "STSv2"'),
        (POLICY.replace(b"mode: enforce\r\n", b""), f"{MODES}found none"),
        (POLICY.replace(b"enforce", b"Enforce"), f'{MODES}got "Enforce"'),
        (POLICY.replace(b"604800", b"-1"), 'expected max_age: a number of seconds, got "-1"'),
        (POLICY.replace(b"604800", b"1" * 11), "expected max_age"),
        (POLICY.replace(b"604800", "\u0663".encode()), "expected max_age"),
        (POLICY.replace(b"mx:", b"my:"), "expected at least one mx for mode: enforce"),
        (with_mx(b"*"), "expected mx: a host's name"),
        (with_mx(b"*.*.test"), "expected mx: a host's name"),
        (with_mx(b"mx*.there.test"), "expected mx: a host's name"),
        (with_mx(b"a b"), "expected mx: a host's name"),
        (with_mx(b"a." * 200 + b"test"), "expected mx: a host's name"),
        (POLICY + b"mx: a.test\n" * 500, "expected at most 500 mx, got 501"),
        (b"<html>nothing here</html>", "expected lines of a name"),
        (b" " * 60_000 + b"x", "expected lines of a name"),
        (b"\xff" + POLICY, "expected UTF-8"),
        (POLICY + b"\x1b]0;gotcha\x07\n", r'got "\x1b]0;gotcha\x07"'),
    ],
)
def test_what_is_no_policy_says_why(octets: bytes, why: str) -> None:
    with pytest.raises(PolicyError) as raised:
        read_policy(octets)

    assert why in str(raised.value)


@pytest.mark.parametrize(
    ("pattern", "host", "is_listed"),
    [
        ("mx1.there.test", "mx1.there.test", True),
        ("mx1.there.test", "mx2.there.test", False),
        ("*.there.test", "mx2.there.test", True),
        ("*.there.test", "there.test", False),
        ("*.there.test", "a.mx2.there.test", False),
        ("*.there.test", "mxthere.test", False),
        ("there.test", "mx1.there.test", False),
        ("test", "test", True),
    ],
)
def test_a_star_stands_for_one_label(pattern: str, host: str, *, is_listed: bool) -> None:
    assert lists(StsPolicy(StsMode.ENFORCE, (pattern,), 1), host) is is_listed


def test_a_report_has_the_policy_line_by_line() -> None:
    assert read_policy("\n".join(lines_of(READ)).encode()) == READ
