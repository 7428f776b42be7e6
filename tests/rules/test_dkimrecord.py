from mta.rules.message.dkimrecord import DkimRecord, KeyKind

RECORD = DkimRecord("example.com", "s1", "A" * 392)


def test_a_record_stands_below_its_domain() -> None:
    assert RECORD.name == "s1._domainkey.example.com"


def test_a_record_says_what_kind_of_key_it_has() -> None:
    record = DkimRecord("example.com", "e1", "AbC=", KeyKind.ED25519)

    assert record.value == "v=DKIM1; k=ed25519; p=AbC="


def test_no_string_of_a_record_is_longer_than_255_octets_and_none_is_lost() -> None:
    assert [len(piece) for piece in RECORD.strings] == [255, 155]
    assert "".join(RECORD.strings) == RECORD.value


def test_a_record_reads_as_a_zone_file_has_it() -> None:
    record = DkimRecord("example.com", "s1", "AbC=")

    assert record.zone_lines == (
        's1._domainkey.example.com. IN TXT (\n    "v=DKIM1; k=rsa; p=AbC="\n)'
    )
