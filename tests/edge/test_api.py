"""The HTTP door: what it takes, and how it says what is wrong."""

import asyncio
import base64
import email
from email import policy

import pytest

from mta.model.address import Address
from mta.model.domain import Host, TlsFacts
from mta.model.envelope import MessageId, State
from mta.model.outcome import Reply
from mta.model.request import Late
from mta.model.trace import Entry, Fate, Trace

from mta.edge.api import ApiLimits

from tests.edge.fake_desk import MESSAGE, FakeDesk, answering
from tests.edge.fake_door import LOOPS, run

EML = b"From: ann@here.test\nSubject: whole\n\nBody\n"
QUERY = "?from=ann@here.test&to=bob@there.test&to=cay@there.test"


def wrong(*fields: str, **change: object) -> dict[str, object]:
    left = {key: value for key, value in MESSAGE.items() if key not in fields}
    return left | {key.removesuffix("_"): value for key, value in change.items()}


@pytest.mark.parametrize("loop", LOOPS)
def test_a_message_in_json_is_handed_in(loop: str) -> None:
    async def scene() -> None:
        desk = FakeDesk()
        async with answering(desk) as caller:
            heard = await caller.ask("POST", "/v1/messages", MESSAGE)

        assert heard.status == 202
        assert heard.json == {"id": "m1", "message_id": "<m1@mail.test>", "warnings": []}
        assert heard.headers["Location"] == "/v1/messages/m1"
        submission = desk.orders[0].submission
        assert str(submission.sender) == "ann@here.test"
        assert list(map(str, submission.recipients)) == ["bob@there.test"]
        assert (submission.client.protocol, submission.client.user) == ("HTTP", "ann")
        assert b"Subject: Hello\r\n" in submission.content

    run(scene(), loop)


def test_every_part_of_a_message_is_carried_over() -> None:
    async def scene() -> None:
        desk = FakeDesk()
        message = {
            "from": "Ann Ö <ann@here.test>",
            "to": [{"address": "bob@there.test", "name": "Bob, B."}, "cay@bücher.test"],
            "cc": "dan@there.test",
            "bcc": ["eve@there.test", "bob@there.test"],
            "reply_to": '"Help, Desk" <help@here.test>',
            "subject": "Grüße",
            "text": "text",
            "html": "<p>html <img src='cid:logo'>",
            "attachments": [
                {
                    "content": base64.encodebytes(b"image" * 20).decode(),
                    "content_type": "image/png",
                    "filename": "lögo.png",
                    "content_id": "logo",
                }
            ],
            "headers": {"List-Unsubscribe": "<https://here.test/u>"},
            "send_at": "2030-01-01T00:00:00Z",
            "deadline": "2030-01-02T00:00:00+01:00",
            "if_late": "report",
            "bulk": True,
            "tags": ["welcome"],
            "metadata": {"order": "7"},
            "strict": True,
        }
        async with answering(desk) as caller:
            heard = await caller.ask("POST", "/v1/messages", message)

        assert heard.status == 202, heard.json
        order = desk.orders[0]
        assert list(map(str, order.submission.recipients)) == [
            *("bob@there.test", "cay@xn--bcher-kva.test", "dan@there.test", "eve@there.test"),
        ]
        assert order.is_strict
        request = order.submission.request
        assert request.hold_until == 1893456000
        assert request.deadline is not None
        assert request.deadline.at == 1893538800
        assert request.deadline.if_late is Late.FAIL
        assert request.is_bulk
        assert request.tags == ("welcome",)
        assert request.metadata == (("order", "7"),)
        read = email.message_from_bytes(order.submission.content, policy=policy.default)
        assert read["to"] == '"Bob, B." <bob@there.test>, cay@xn--bcher-kva.test'
        assert (read["subject"], read["bcc"]) == ("Grüße", None)
        assert read["reply-to"] == '"Help, Desk" <help@here.test>'
        assert read["list-unsubscribe"] == "<https://here.test/u>"
        files = [part.get_filename() for part in read.walk() if part.get_filename()]
        assert files == ["lögo.png"]

    run(scene())


def test_a_whole_message_is_handed_in_with_its_envelope_in_the_query() -> None:
    async def scene() -> None:
        desk = FakeDesk()
        async with answering(desk) as caller:
            heard = await caller.ask(
                "POST", f"/v1/messages{QUERY}", EML, Content_Type="message/rfc822"
            )

        assert heard.status == 202
        submission = desk.orders[0].submission
        assert submission.content == EML.replace(b"\n", b"\r\n")
        assert list(map(str, submission.recipients)) == ["bob@there.test", "cay@there.test"]

    run(scene())


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "from"),
        ("?from=ann@here.test", "to"),
        ("?to=bob@there.test", "from"),
        ("?from=ann@here.test&from=a@b.test&to=bob@there.test", "from"),
        ("?from=&to=bob@there.test", "from"),
        ("?from=ann@here.test&to=bob", "to"),
        ("?from=ann@here.test%0D%0A&to=bob@there.test", "from"),
        ("?from=ann@here.test&to=bob@there.test&cc=x", "'cc'"),
        ("?from=ann@here.test&to=bob@there.test&strict=yes", "strict"),
    ],
)
def test_a_wrong_envelope_in_the_query_is_named(query: str, field: str) -> None:
    async def scene() -> None:
        desk = FakeDesk()
        async with answering(desk) as caller:
            heard = await caller.ask(
                "POST", f"/v1/messages{query}", EML, Content_Type="message/rfc822"
            )

        assert heard.status == 422
        assert [one["field"] for one in heard.json["errors"]] == [field]
        assert desk.orders == []

    run(scene())


@pytest.mark.parametrize(
    ("message", "field", "detail"),
    [
        (wrong("from"), "from", "expected a value, found none"),
        (wrong(from_="ann"), "from", "expected local-part@domain, got 'ann'"),
        (wrong(from_=7), "from", "expected an address such as ann@example.com"),
        (wrong(from_="A\r\nBcc: x <ann@here.test>"), "from", "expected no control characters"),
        (wrong(from_="ann@here.test\r\n"), "from", "expected"),
        (wrong(from_="A <ann@here.test>, B <b@here.test>"), "from", "expected"),
        (wrong(from_={"address": "ann@here.test", "x": 1}), "from", "expected an address"),
        (wrong(from_={"address": "ann@here.test", "name": "\0"}), "from", "expected no control"),
        (wrong(from_=f"{'n' * 300} <ann@here.test>"), "from", "expected a name of at most 256"),
        (wrong("to"), "to", "expected a recipient in to, cc or bcc, found none"),
        (wrong(to=["bob@there.test", "b@d@"]), "to[1]", "expected"),
        (wrong(to=[["bob@there.test"]]), "to[0]", "expected an address"),
        (wrong("text"), "text", "expected text, html or attachments, found none"),
        (wrong(text="a\0"), "text", "expected no NUL"),
        (wrong(text=5), "text", "expected a text, got 5"),
        (wrong(subject="a\nBcc: x@y.test"), "subject", "expected no control characters"),
        (wrong(subject="a" * 999), "subject", "expected at most 998 characters, got 999"),
        (wrong(headers={"Bcc": "x@y.test"}), "headers.Bcc", "expected a field that is not"),
        (wrong(headers={"X-A": "a\r\nBcc: x@y.test"}), "headers.X-A", "expected no control"),
        (wrong(headers={"X-A\r\nBcc": "x"}), "headers.'X-A\\r\\nBcc'", "expected a field's name"),
        (wrong(headers={"X-A": 1}), "headers.X-A", "expected a text, got 1"),
        (wrong(headers=[]), "headers", "expected keys with values, got []"),
        (wrong(attachments=[{"content": "%"}]), "attachments[0].content", "expected base64"),
        (wrong(attachments=[{}]), "attachments[0].content", "expected a value, found none"),
        (
            wrong(attachments=[{"content": "", "content_type": "text/html\r\nX: y"}]),
            "attachments[0].content_type",
            "expected a type such as",
        ),
        (
            wrong(attachments=[{"content": "", "content_type": "message/rfc822"}]),
            "attachments[0].content_type",
            "expected a type such as",
        ),
        (
            wrong(attachments=[{"content": "", "content_id": "a>\r\nX: y"}]),
            "attachments[0].content_id",
            "expected a word",
        ),
        (
            wrong(attachments=[{"content": "", "filename": 'a"\r\nX: y'}]),
            "attachments[0].filename",
            "expected no control",
        ),
        (wrong(attachments=[{"content": ""}] * 101), "attachments", "expected at most 100, got"),
        (wrong(send_at="soon"), "send_at", "expected a date and time such as"),
        (wrong(send_at="2030-01-01T00:00:00"), "send_at", "expected a time with its zone"),
        (wrong(deadline=1), "deadline", "expected a date and time such as"),
        (wrong(send_at="2031-01-01T00:00:00Z"), "send_at", "expected a time within 720 hours"),
        (wrong(deadline="2029-01-01T00:00:00Z"), "deadline", "expected a time that is to come"),
        (
            wrong(send_at="2030-01-02T00:00:00Z", deadline="2030-01-01T00:00:00Z"),
            "deadline",
            "expected a time that is to come",
        ),
        (wrong(if_late="never"), "if_late", "expected drop or report, got"),
        (wrong(bulk="yes"), "bulk", "expected true or false, got"),
        (wrong(tags=["a"] * 21), "tags", "expected at most 20"),
        (wrong(metadata={"a": 1}), "metadata.a", "expected a text, got 1"),
        (wrong(strict="yes"), "strict", "expected true or false, got 'yes'"),
        (wrong(subjetc="x"), "subjetc", "expected a known key"),
    ],
)
def test_a_mistake_is_named_with_its_field(message: object, field: str, detail: str) -> None:
    async def scene() -> None:
        desk = FakeDesk()
        async with answering(desk) as caller:
            heard = await caller.ask("POST", "/v1/messages", message)

        assert heard.status == 422
        assert heard.headers["Content-Type"] == "application/problem+json"
        problem = heard.json
        assert (problem["title"], problem["status"]) == ("Unprocessable Entity", 422)
        assert [one["field"] for one in problem["errors"]] == [field]
        assert problem["errors"][0]["detail"].startswith(detail), problem
        assert desk.orders == []

    run(scene())


def test_all_mistakes_are_named_at_once() -> None:
    async def scene() -> None:
        message = wrong(from_="ann", to=["x", "bob@there.test", "y"], subject="\n")
        async with answering(FakeDesk()) as caller:
            heard = await caller.ask("POST", "/v1/messages", message)

        assert [one["field"] for one in heard.json["errors"]] == [
            "from",
            "to[0]",
            "to[2]",
            "subject",
        ]
        assert heard.json["detail"] == "from: expected local-part@domain, got 'ann' (and 3 more)"

    run(scene())


def test_each_message_of_a_batch_is_judged_for_itself() -> None:
    async def scene() -> None:
        desk = FakeDesk()
        messages = [MESSAGE, wrong("from"), wrong(to="notours@there.test"), MESSAGE]
        async with answering(desk) as caller:
            heard = await caller.ask(
                "POST", "/v1/messages/batch", {"messages": messages}, Idempotency_Key="k"
            )

        assert heard.status == 200
        results = heard.json["results"]
        assert [one["status"] for one in results] == [202, 422, 403, 202]
        assert [one.get("message", {}).get("id") for one in results] == ["m1", None, None, "m2"]
        assert results[1]["problem"]["errors"][0]["field"] == "messages[1].from"
        assert [order.key for order in desk.orders] == ["k#0", "k#3"]

    run(scene())


@pytest.mark.parametrize(
    "batch", [{}, [], {"messages": []}, {"messages": [MESSAGE] * 101}, {"messages": [], "x": 1}]
)
def test_a_batch_that_is_none_is_refused(batch: object) -> None:
    async def scene() -> None:
        async with answering(FakeDesk()) as caller:
            heard = await caller.ask("POST", "/v1/messages/batch", batch)

        assert heard.status == 422
        assert heard.json["errors"][0]["field"] == "messages"

    run(scene())


@pytest.mark.parametrize(
    ("recipient", "status", "retry"),
    [("notours", 403, None), ("full", 503, "7"), ("toomany", 429, "7"), ("odd", 422, None)],
)
def test_a_refusal_has_its_status(recipient: str, status: int, retry: str | None) -> None:
    async def scene() -> None:
        async with answering(FakeDesk()) as caller:
            heard = await caller.ask("POST", "/v1/messages", wrong(to=f"{recipient}@there.test"))

        assert heard.status == status
        assert heard.headers.get("Retry-After") == retry

    run(scene())


def test_a_key_goes_with_its_message() -> None:
    async def scene() -> None:
        desk = FakeDesk()
        async with answering(desk) as caller:
            first = await caller.ask("POST", "/v1/messages", MESSAGE, Idempotency_Key="a")
            other = wrong(subject="Another")
            second = await caller.ask("POST", "/v1/messages", other, Idempotency_Key="repeat")
            third = await caller.ask("POST", "/v1/messages", MESSAGE, Idempotency_Key="conflict")
            bad = await caller.ask("POST", "/v1/messages", MESSAGE, Idempotency_Key="a b")

        assert (first.status, first.headers.get("Idempotency-Replayed")) == (202, None)
        assert (second.status, second.headers.get("Idempotency-Replayed")) == (202, "true")
        assert (third.status, bad.status) == (409, 400)
        digests = [order.digest for order in desk.orders]
        assert len(set(digests)) == 2
        assert all(len(digest) == 32 for digest in digests)

    run(scene())


def test_the_order_of_keys_does_not_make_another_message() -> None:
    async def scene() -> None:
        desk = FakeDesk()
        async with answering(desk) as caller:
            for message in (MESSAGE, dict(reversed(MESSAGE.items()))):
                await caller.ask("POST", "/v1/messages", message, Idempotency_Key="a")

        assert desk.orders[0].digest == desk.orders[1].digest

    run(scene())


def test_what_became_of_a_message_is_told_to_its_user() -> None:
    async def scene() -> None:
        entry = Entry(MessageId("m1"), "ann", 1_800_000_000.0, "<m1@mail.test>")
        host = Host("mx.there.test", "192.0.2.1", 25)
        fates = (
            Fate(Address("a", "there.test"), at=1_800_000_000.0, next_at=1_800_000_060.0),
            Fate(
                Address("b", "there.test"),
                *(State.WAITING, 1_800_000_001.5, 1, 1_800_000_060.0),
                reply=Reply(451, "later", 7, 1),
            ),
            Fate(
                Address("c", "there.test"),
                *(State.DELIVERED, 1_800_000_001.5, 1, 0.0, Reply(250, "OK"), host),
                tls=TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", True, "pkix"),
            ),
            Fate(Address("d", "there.test"), State.FAILED, 1_800_000_001.5, 1),
        )
        desk = FakeDesk(traces={(MessageId("m1"), "ann"): Trace(entry, fates)})
        async with answering(desk) as caller:
            heard = await caller.ask("GET", "/v1/messages/m1")
            unknown = await caller.ask("GET", "/v1/messages/m2")
            broken = await caller.ask("GET", "/v1/messages/broken")
            stranger = await caller.ask("GET", "/v1/messages/m1", token=None)

        assert heard.status == 200
        told = heard.json
        assert (told["id"], told["settled_at"]) == ("m1", None)
        assert told["accepted_at"] == "2027-01-15T08:00:00.000+00:00"
        states = [one["state"] for one in told["recipients"]]
        assert states == ["queued", "deferred", "delivered", "failed"]
        assert told["recipients"][1]["next_at"] == "2027-01-15T08:01:00.000+00:00"
        assert told["recipients"][1]["reply"] == {"code": 451, "status": "4.7.1", "text": "later"}
        assert told["recipients"][2]["host"]["name"] == "mx.there.test"
        tls = told["recipients"][2]["tls"]
        assert (tls["verified"], tls["proof"]) == (True, "pkix")
        assert [one.status for one in (unknown, broken, stranger)] == [404, 503, 401]

    run(scene())


@pytest.mark.parametrize(
    "id",
    ["..", "../m1", "%2e%2e", "m1/", "m1%00", "M1", "m" * 65, "m1?", "m1;x", "m\u00e4", "batch"],
)
def test_an_id_that_is_none_is_not_looked_up(id: str) -> None:
    async def scene() -> None:
        async with answering(FakeDesk()) as caller:
            reader, writer = await caller.raw()
            line = f"GET /v1/messages/{id} HTTP/1.1\r\nHost: localhost\r\n"
            writer.write(f"{line}Authorization: Bearer t0ken\r\nConnection: close\r\n\r\n".encode())
            answer = await asyncio.wait_for(reader.read(), 10)
            writer.close()

        assert answer.split(b" ")[1] in (b"404", b"405", b"400")

    run(scene())


def test_health_is_told_to_everybody_on_the_machine() -> None:
    async def scene() -> None:
        desk = FakeDesk(queue_length=3)
        async with answering(desk) as caller:
            well = await caller.ask("GET", "/healthz", token=None)
            desk.closed_because = "the disk is nearly full"
            ill = await caller.ask("GET", "/healthz", token=None)
            refused = await caller.ask("POST", "/v1/messages", MESSAGE)

        assert (well.status, well.json) == (200, {"status": "ok", "queue": 3})
        assert (ill.status, ill.json["status"]) == (503, "the disk is nearly full")
        assert (refused.status, refused.headers["Retry-After"]) == (503, "30")

    run(scene())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/messages", 405),
        ("POST", "/healthz", 405),
        ("POST", "/v1/messages/", 404),
        ("GET", "//healthz", 404),
        ("GET", "/v1/../healthz", 404),
        ("GET", "/%68ealthz", 404),
        ("OPTIONS", "/v1/messages", 405),
    ],
)
def test_what_is_not_here_is_said(method: str, path: str, status: int) -> None:
    async def scene() -> None:
        async with answering(FakeDesk()) as caller:
            heard = await caller.ask(method, path)

        assert heard.status == status
        assert ("Allow" in heard.headers) == (status == 405)

    run(scene())


def test_limits_of_a_message_are_kept() -> None:
    async def scene() -> None:
        limits = ApiLimits(message_size=2000, recipients=2, line_length=1000)
        many = [f"b{n}@there.test" for n in range(3)]
        async with answering(FakeDesk(), limits=limits) as caller:
            large = await caller.ask("POST", "/v1/messages", wrong(text="x " * 1500))
            crowd = await caller.ask("POST", "/v1/messages", wrong(to=many))
            long = await caller.ask(
                "POST", f"/v1/messages{QUERY}", b"\n" + b"x" * 1001, Content_Type="message/rfc822"
            )
            nul = await caller.ask(
                "POST", f"/v1/messages{QUERY}", b"\na\0", Content_Type="message/rfc822"
            )

        assert [one.status for one in (large, crowd, long, nul)] == [413, 422, 422, 422]

    run(scene())


def test_requests_under_way_end_before_the_server_does() -> None:
    async def scene() -> None:
        desk = FakeDesk(gate=asyncio.Event())
        async with answering(desk) as caller:
            asked = asyncio.create_task(caller.ask("POST", "/v1/messages", MESSAGE))
            await asyncio.wait_for(desk.knocked.wait(), 10)
            assert desk.gate is not None
            asyncio.get_running_loop().call_later(0.1, desk.gate.set)

        assert (await asked).status == 202

    run(scene())
