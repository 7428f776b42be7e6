"""What a request may say: the models that its JSON becomes, and OpenAPI is made from."""

from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from mta.model.address import Address
from mta.model.draft import Attachment, Draft

from mta.rules.message.compose import objection_to_field

from mta.edge.api.fields import (
    MAX_NAME,
    Body,
    ContentId,
    ContentType,
    Mailboxes,
    MailboxField,
    Moment,
    Octets,
    Tag,
    Text,
    Value,
)
from mta.edge.api.problems import shown

MAX_FIELDS = 50
MAX_ATTACHMENTS = 100
MAX_TAGS = 20
MAX_METADATA = 50


def _refuse(mistakes: list[tuple[str, str]]) -> None:
    """Raise mistakes in what stands below the key that is being read, if there are any."""
    if mistakes:
        raise PydanticCustomError("below", "several mistakes", {"mistakes": mistakes})


class Form(BaseModel):
    """Some keys of a request."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AttachmentForm(Form):
    """A file. With a `content_id` it is shown where the HTML says `cid:` and that word."""

    content: Octets
    content_type: ContentType = "application/octet-stream"
    filename: Annotated[Text, Field(max_length=MAX_NAME)] = ""
    content_id: ContentId | None = None


class MessageForm(Form):
    """A message."""

    from_: Annotated[MailboxField, Field(alias="from")]
    to: Mailboxes = ()
    cc: Mailboxes = ()
    bcc: Annotated[Mailboxes, Field(description="Named in no header")] = ()
    reply_to: Mailboxes = ()
    subject: Annotated[Text, Field(max_length=998)] = ""
    text: Body | None = None
    html: Body | None = None
    attachments: Annotated[tuple[AttachmentForm, ...], Field(max_length=MAX_ATTACHMENTS)] = ()
    headers: Annotated[
        dict[str, str],
        Field(max_length=MAX_FIELDS, description="Further header fields, such as List-Unsubscribe"),
    ] = {}
    send_at: Annotated[Moment | None, Field(description="Not to be sent before")] = None
    deadline: Annotated[Moment | None, Field(description="To be given up after")] = None
    if_late: Annotated[
        Literal["drop", "report"], Field(description="What becomes of it after its deadline")
    ] = "drop"
    bulk: Annotated[
        StrictBool, Field(description="One of many: it may wait for mail that somebody waits for")
    ] = False
    tags: Annotated[tuple[Tag, ...], Field(max_length=MAX_TAGS)] = ()
    metadata: Annotated[dict[Tag, Value], Field(max_length=MAX_METADATA)] = {}
    strict: Annotated[
        StrictBool, Field(description="Refuse the message where there are warnings")
    ] = False

    @field_validator("headers")
    @classmethod
    def harmless(cls, headers: dict[str, str]) -> dict[str, str]:
        """Refuse what is no field, or one that is made from something else."""
        objections = [
            (name, objection_to_field(name, text), text) for name, text in headers.items()
        ]
        _refuse([(name, f"{text}, got {shown(found)}") for name, text, found in objections if text])
        return headers

    @model_validator(mode="after")
    def whole(self) -> Self:
        """Refuse a message to nobody, and one with nothing in it."""
        missing = []
        if not (self.to or self.cc or self.bcc):
            missing.append(("to", "expected a recipient in to, cc or bcc, found none"))
        if self.text is None and self.html is None and not self.attachments:
            missing.append(("text", "expected text, html or attachments, found none"))
        _refuse(missing)
        return self

    @property
    def draft(self) -> Draft:
        """What goes into the message."""
        return Draft(
            sender=self.from_,
            to=self.to,
            cc=self.cc,
            reply_to=self.reply_to,
            subject=self.subject,
            text=self.text,
            html=self.html,
            attachments=tuple(
                Attachment(one.content, one.content_type, one.filename, one.content_id or "")
                for one in self.attachments
            ),
            headers=tuple(self.headers.items()),
        )

    @property
    def recipients(self) -> tuple[Address, ...]:
        """Everybody who is to have it, once."""
        named = (one.address for one in (*self.to, *self.cc, *self.bcc))
        return tuple(dict.fromkeys(named))


class BatchForm(Form):
    """Several messages, each taken or refused for itself."""

    messages: Annotated[tuple[MessageForm, ...], Field(min_length=1)]
