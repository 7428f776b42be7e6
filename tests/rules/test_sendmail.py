"""The command line of sendmail(1), in all its spellings."""

import pytest

from mta.rules.message.sendmail import Call, Mode, UsageError, read_call

CALLS = [
    ("bob@x.test", Call(recipients=("bob@x.test",))),
    ("-t", Call(takes_header=True)),
    ("-t -i", Call(takes_header=True, ignores_dots=True)),
    ("-ti", Call(takes_header=True, ignores_dots=True)),
    ("-it", Call(takes_header=True, ignores_dots=True)),
    ("-oi -t", Call(takes_header=True, ignores_dots=True)),
    ("-o i -t", Call(takes_header=True, ignores_dots=True)),
    ("-t bob", Call(takes_header=True, recipients=("bob",))),
    ("-f ann@x.test bob", Call(sender="ann@x.test", recipients=("bob",))),
    ("-fann@x.test bob", Call(sender="ann@x.test", recipients=("bob",))),
    ("-r ann bob", Call(sender="ann", recipients=("bob",))),
    ("-rann bob", Call(sender="ann", recipients=("bob",))),
    ("-tf ann", Call(takes_header=True, sender="ann")),
    ("-f <> bob", Call(sender="<>", recipients=("bob",))),
    ("-f -q bob", Call(sender="-q", recipients=("bob",))),
    ("-FAnn -t", Call(takes_header=True, full_name="Ann")),
    ("-F Ann -t", Call(takes_header=True, full_name="Ann")),
    ("-v bob", Call(is_verbose=True, recipients=("bob",))),
    ("-- -bob", Call(recipients=("-bob",))),
    ("-i -- bob ann", Call(ignores_dots=True, recipients=("bob", "ann"))),
    ("bob -t", Call(recipients=("bob", "-t"))),  # options end at the first recipient
    ("-bm bob", Call(recipients=("bob",))),
    ("-bs", Call(mode=Mode.CONVERSE)),
    ("-b s", Call(mode=Mode.CONVERSE)),
    ("-bp", Call(mode=Mode.LIST)),
    ("-bi", Call(mode=Mode.NOTHING)),
    ("-I", Call(mode=Mode.NOTHING)),
    ("-q", Call(mode=Mode.NOTHING)),
    ("-q30m", Call(mode=Mode.NOTHING)),
    ("-qRx.test", Call(mode=Mode.NOTHING)),
    ("-v -q", Call(mode=Mode.NOTHING, is_verbose=True)),
    (
        "-N success,failure bob",
        Call(recipients=("bob",), recipient_parameters=("NOTIFY=SUCCESS,FAILURE",)),
    ),
    ("-Nnever bob", Call(recipients=("bob",), recipient_parameters=("NOTIFY=NEVER",))),
    ("-N delay,delay bob", Call(recipients=("bob",), recipient_parameters=("NOTIFY=DELAY",))),
    ("-R hdrs bob", Call(recipients=("bob",), parameters=("RET=HDRS",))),
    ("-R hdrs -RFULL bob", Call(recipients=("bob",), parameters=("RET=FULL",))),
    ("-V a+b=c bob", Call(recipients=("bob",), parameters=("ENVID=a+2Bb+3Dc",))),
    ("-R full -V id bob", Call(recipients=("bob",), parameters=("RET=FULL", "ENVID=id"))),
    ("-C /etc/x.yaml bob", Call(recipients=("bob",), config="/etc/x.yaml")),
    ("--config /etc/x.yaml bob", Call(recipients=("bob",), config="/etc/x.yaml")),
    ("--config=/etc/x.yaml bob", Call(recipients=("bob",), config="/etc/x.yaml")),
    ("--help", Call(mode=Mode.HELP)),
    # What says nothing to us.
    ("-oem -oee -odi -odb -om -o7 -em -m -G -U -n bob", Call(recipients=("bob",))),
    (
        "-O DeliveryMode=b -B 8BITMIME -h 5 -X log -L tag -p ESMTP:host bob",
        Call(recipients=("bob",)),
    ),
    # As cron calls it, and PHP, and git.
    (
        "-FCronDaemon -i -odi -oem -oi -t -f root",
        Call(full_name="CronDaemon", ignores_dots=True, takes_header=True, sender="root"),
    ),
    ("-t -i -f web@x.test", Call(takes_header=True, ignores_dots=True, sender="web@x.test")),
    (
        "-f ann@x.test -i bob@x.test carol@x.test",
        Call(sender="ann@x.test", ignores_dots=True, recipients=("bob@x.test", "carol@x.test")),
    ),
]


@pytest.mark.parametrize(("line", "call"), CALLS, ids=[line for line, _ in CALLS])
def test_a_command_line_says(line: str, call: Call) -> None:
    assert read_call("sendmail", line.split(" ")) == call


@pytest.mark.parametrize(
    ("name", "line", "mode"),
    [
        ("mailq", "", Mode.LIST),
        ("mailq", "-v", Mode.LIST),
        ("newaliases", "", Mode.NOTHING),
        ("newaliases", "-bp", Mode.LIST),
    ],
)
def test_the_name_says_what_is_wanted_where_no_option_does(
    name: str, line: str, mode: Mode
) -> None:
    assert read_call(name, line.split()).mode is mode


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "expected recipients"),
        ("-f ann@x.test", "expected recipients"),
        ("-f", "option -f requires argument"),
        ("-Z bob", "option -Z not recognized"),
        ("--nothing bob", "option --nothing not recognized"),
        ("-bd", "the server is started by `mta serve`"),
        ("-bv bob", "expected -bm"),
        ("-bp -t", "only where a message is sent"),
        ("-bs bob", "only where a message is sent"),
        ("-N sometimes bob", "-N: expected never"),
        ("-N never,delay bob", "-N: expected never"),
        ("-N  bob", "-N: expected never"),
        ("-R half bob", "-R: expected full or hdrs"),
        ("-V \x1b[1m bob", "-V: expected 1 to 100"),
        (f"-V {'+' * 34} bob", "-V: expected 1 to 100"),  # as xtext it is too long
    ],
)
def test_a_mistake_is_named(line: str, words: str) -> None:
    with pytest.raises(UsageError, match=r"expected|option") as caught:
        read_call("sendmail", line.split(" ") if line else [])

    assert words in str(caught.value)
    assert str(caught.value).isprintable()
