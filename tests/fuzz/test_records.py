"""Whatever happens to a segment, the reader never crashes and never invents a record."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mta.model.address import Address
from mta.model.domain import Host, TlsFacts, TlsProof
from mta.model.envelope import Envelope, MessageId, Recipient, Road, State
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict

from mta.edge.spool.journal.records import (
    HEADER_SIZE,
    Kind,
    Reading,
    VersionError,
    encode,
    header,
    read,
)
from mta.edge.spool.lines import (
    LineError,
    changes_line,
    envelope_line,
    read_changes,
    read_envelope,
    sealed,
    unsealed,
)

MARK = b"\x00mark\xff\n\x00"
IDS = st.text("abc019", min_size=1, max_size=20)
BODIES = st.binary(max_size=60) | st.just(MARK) | st.just(encode(MARK, Kind.DONE, "forged"))
RECORDS = st.lists(st.tuples(st.sampled_from(Kind), IDS, st.binary(max_size=40), BODIES))

Said = tuple[Kind, str, bytes, bytes]


def segment(said: list[Said], mark: bytes = MARK) -> bytes:
    return header(mark) + b"".join(encode(mark, *one) + one[3] for one in said)


def says(data: bytes, reading: Reading) -> list[Said]:
    return [
        (record.kind, record.id, record.meta, data[record.body_at : record.end])
        for record in reading.records
    ]


def ends(said: list[Said]) -> list[int]:
    return [len(segment(said[:count])) for count in range(len(said) + 1)]


@given(RECORDS, st.integers(0, 200))
def test_what_was_written_is_read_whatever_was_preallocated(said: list[Said], room: int) -> None:
    data = segment(said)

    reading = read(data + bytes(room))

    assert says(data, reading) == said
    assert (reading.damages, reading.end, reading.is_torn) == ((), len(data), False)


@given(RECORDS, st.data())
def test_a_segment_cut_anywhere_says_all_that_is_whole(
    said: list[Said], data: st.DataObject
) -> None:
    whole = segment(said)
    size = data.draw(st.integers(0, len(whole)))
    room = data.draw(st.sampled_from([0, 100]))

    reading = read(whole[:size] + bytes(room))

    complete = sum(end <= size for end in ends(said)[1:])
    # Where the octets cut off were NULs, preallocated ones stand for them.
    assert says(whole, reading)[:complete] == said[:complete]
    assert len(reading.records) == complete or says(whole, reading) == said[: len(reading.records)]
    assert reading.damages == ()


@given(RECORDS, st.data())
def test_a_flipped_octet_spoils_its_own_record_alone(said: list[Said], data: st.DataObject) -> None:
    said = [(kind, id, meta, body) for kind, id, meta, body in said if MARK not in body]
    whole = bytearray(segment(said))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))

    try:
        reading = read(bytes(whole))
    except VersionError:
        assert at < HEADER_SIZE
        return

    hit = sum(end <= at for end in ends(said)[1:])
    left = said if at < HEADER_SIZE else said[:hit] + said[hit + 1 :]
    assert says(bytes(whole), reading) == left
    assert bool(reading.damages) == (at >= HEADER_SIZE and hit < len(said) - 1)


@given(st.binary(max_size=300), st.booleans())
def test_octets_that_are_no_segment_say_nothing(noise: bytes, has_header: bool) -> None:
    try:
        reading = read((header(MARK) if has_header else b"") + noise)
    except VersionError:
        return

    assert reading.records == ()


@given(IDS, st.binary(max_size=40))
def test_a_record_in_a_message_is_not_taken_for_one(id: str, meta: bytes) -> None:
    guessed = b"8 octets"
    forged = segment([(Kind.ACCEPT, id, meta, b"")], guessed)[HEADER_SIZE:]
    data = bytearray(segment([(Kind.ACCEPT, "true", b"", forged), (Kind.DONE, "true", b"", b"")]))
    data[HEADER_SIZE + len(MARK)] ^= 1  # the first record is spoiled: the reader must look around

    reading = read(bytes(data))

    assert [record.id for record in reading.records] == ["true"]
    assert len(reading.damages) == 1


ADDRESSES = st.builds(Address, st.text(), st.sampled_from(["there.test", "[IPv6:::1]"]))
TEXTS = st.text(st.characters(), max_size=20)
OUTCOMES = st.builds(
    Outcome,
    st.sampled_from(Verdict),
    st.builds(Reply, st.integers(200, 599), TEXTS, st.integers(0, 999), st.integers(0, 999)),
    st.sampled_from(Stage),
    st.sampled_from(Scope),
    st.none() | st.builds(Host, TEXTS, TEXTS, st.integers(0, 65535)),
    st.booleans(),
    st.booleans(),
    st.none() | st.builds(TlsFacts, TEXTS, TEXTS, st.booleans(), st.sampled_from(["", *TlsProof])),
)
RECIPIENTS = st.builds(
    Recipient,
    ADDRESSES,
    st.sampled_from(State),
    st.integers(0, 99),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(Road),
    st.booleans(),
    st.none() | OUTCOMES,
)
ENVELOPES = st.builds(
    Envelope,
    IDS.map(MessageId),
    st.none() | ADDRESSES,
    st.lists(RECIPIENTS, max_size=4).map(tuple),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(0, 1 << 40),
    st.booleans(),
    st.booleans(),
)


@given(ENVELOPES)
def test_an_envelope_is_one_ascii_line_and_comes_back_the_same(envelope: Envelope) -> None:
    line = envelope_line(envelope)

    assert read_envelope(unsealed(sealed(line))) == envelope
    assert line.isascii()
    assert b"\n" not in line


@given(st.dictionaries(st.integers(0, 1000), RECIPIENTS, max_size=4))
def test_changes_come_back_the_same(changes: dict[int, Recipient]) -> None:
    assert read_changes(changes_line(changes)) == changes


@given(
    st.binary(max_size=60)
    | TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.sampled_from([b"[]", b"null", b'{"1":2}'])
)
def test_a_line_that_is_none_of_ours_is_refused_in_one_way(line: bytes) -> None:
    for reader in (read_envelope, read_changes, unsealed):
        try:
            reader(line)
        except LineError:
            continue
        assert line == b"{}", reader


@settings(max_examples=200)
@given(ENVELOPES, st.data())
def test_a_flipped_octet_in_a_sealed_line_is_noticed(
    envelope: Envelope, data: st.DataObject
) -> None:
    line = bytearray(sealed(envelope_line(envelope)))
    line[data.draw(st.integers(0, len(line) - 2))] ^= data.draw(st.integers(1, 255))

    try:
        unsealed(bytes(line))
    except LineError:
        return
    raise AssertionError("a damaged line was taken for a good one")
