"""What is found when delivery is examined, and the cure for it: pure judgements."""

from collections.abc import Iterable, Sequence

from mta.model.diagnosis import Diagnosis, Grade
from mta.model.domain import Answer, Finding, Tlsa, TlsFacts
from mta.model.outcome import Outcome, Stage
from mta.model.text import printable

from mta.rules.delivery.families import Ipv6, Papers, Standing
from mta.rules.message.spf import SpfResult

OK, WARNING, ERROR = Grade.OK, Grade.WARNING, Grade.ERROR
MIB = 1 << 20
_MAX_TEXT = 300  # characters of what strangers say


def diagnosis(subject: str, grade: Grade, text: str, cure: str = "") -> Diagnosis:
    """A diagnosis in which strangers' words are bounded and escaped."""
    return Diagnosis(subject, grade, printable(text)[:_MAX_TEXT], cure)


def of_resolver(answer: Answer[str], *, is_validating: bool) -> Diagnosis:
    """By the answer to a question for a name that everybody knows, and whether it was proven."""
    if answer.finding is Finding.UNKNOWN:
        cure = "mend /etc/resolv.conf, or set dns.nameservers"
        return diagnosis("DNS", ERROR, f"no answer: {answer.text}", cure)
    if not is_validating:
        cure = "for DANE, run a resolver that validates on this machine (docs/tls.md)"
        return Diagnosis("DNS", OK, "it answers, and does not validate: there is no DANE", cure)
    return diagnosis("DNS", OK, "it answers, and validates")


def of_hostname(hostname: str, answer: Answer[str]) -> Diagnosis:
    """By the addresses of our own name."""
    subject = "our name"
    if "." not in hostname:
        cure = "set hostname to the name that our address resolves to"
        return diagnosis(subject, ERROR, f"{hostname} has no dot: others refuse it", cure)
    if answer.finding is Finding.UNKNOWN:
        return diagnosis(subject, WARNING, f"{hostname} cannot be looked up now: {answer.text}")
    if not answer.records:
        cure = f"publish an address for {hostname}, the one that mail goes out from"
        return diagnosis(subject, WARNING, f"{hostname} has no address in the DNS", cure)
    return diagnosis(subject, OK, f"{hostname} is {', '.join(answer.records[:5])}")


def of_papers(papers: Papers, hostname: str, ipv6: Ipv6) -> Diagnosis:
    """By what the DNS says of an address that mail goes out from; `hostname` is our name there."""
    subject = f"IPv{papers.version}"
    match papers.standing:
        case Standing.CONFIRMED if hostname in papers.names:
            return diagnosis(subject, OK, papers.text)
        case Standing.CONFIRMED:
            cure = f"call it {papers.names[0]} (hostname, or hostname in delivery.sources)"
            text = f"{papers.text}, and calls itself {hostname}"
            return diagnosis(subject, WARNING, text, cure)
        case Standing.ABSENT if papers.version == 6:
            return diagnosis(subject, OK, papers.text)
        case Standing.ABSENT:
            return diagnosis(subject, WARNING, papers.text, "most hosts have IPv4 alone")
        case Standing.PRIVATE:
            cure = f"see that its reverse name is {hostname}, and leads back to it"
            return diagnosis(subject, WARNING, papers.text, cure)
        case Standing.UNKNOWN:
            return diagnosis(subject, WARNING, papers.text)
    if papers.version == 6 and ipv6 is not Ipv6.ALWAYS:
        text = f"{papers.text}: mail to hosts with IPv4 goes over IPv4"
        return diagnosis(subject, WARNING, text, _name_it(papers.address, hostname))
    return diagnosis(subject, ERROR, papers.text, _name_it(papers.address, hostname))


def _name_it(address: str, hostname: str) -> str:
    return (
        f"have whoever gave you {address} set its reverse name to {hostname}, and publish "
        f"{address} for {hostname}"
    )


def of_absence(address: str) -> Diagnosis:
    """Of a source in the settings that this machine does not have."""
    cure = "give it to an interface, or take it out of delivery.sources"
    return diagnosis("delivery.sources", ERROR, f"this machine does not have {address}", cure)


def of_road(domain: str, port: int, found: Sequence[TlsFacts | Outcome | None]) -> Diagnosis:
    """By what came of connecting to some of a domain's hosts: TLS, None in clear, or a refusal."""
    subject = f"port {port}"
    for reached in found:
        if not isinstance(reached, Outcome):
            how = f"over {reached.version}" if reached else "in clear"
            return diagnosis(subject, OK, f"a host of {domain} greets us, {how}")
    outcomes = [one for one in found if isinstance(one, Outcome)]
    if not outcomes:
        return diagnosis(subject, WARNING, f"{domain} has no host to try")
    last = outcomes[-1]
    if last.stage is Stage.LOOKUP:
        return diagnosis(subject, WARNING, f"{domain} cannot be tried: {last.reply.text}")
    text = f"no host of {domain} can be talked with: {last.host}: {last.reply.text}"
    if all(one.stage is Stage.CONNECT for one in outcomes):
        cure = (
            f"port {port} outwards is likely shut, as at most clouds: ask for it to be opened, or "
            "send by a smarthost (delivery.mode: smarthost or fallback)"
        )
        return diagnosis(subject, ERROR, text, cure)
    if last.stage is Stage.TLS:
        cure = "none of ours: what the settings and its domain ask for decides whether mail goes"
        return diagnosis(subject, WARNING, text, cure)
    cure = "see what it says of us; a smarthost helps meanwhile (delivery.mode: fallback)"
    return diagnosis(subject, ERROR, text, cure)


def of_spf(domain: str, address: str, result: SpfResult, text: str) -> Diagnosis:
    """By what a domain of ours says of an address of ours."""
    subject = f"SPF of {domain}"
    kind = "ip6" if ":" in address else "ip4"
    allow = f"add {kind}:{address} to the record"
    match result:
        case SpfResult.PASS:
            return diagnosis(subject, OK, f"lets {address} send")
        case SpfResult.NONE:
            cure = f'publish for {domain} the TXT record "v=spf1 {kind}:{address} -all"'
            return diagnosis(subject, ERROR, "there is no record", cure)
        case SpfResult.NEUTRAL:
            return diagnosis(subject, WARNING, f"says nothing of {address}", allow)
        case SpfResult.PERMERROR:
            return diagnosis(subject, ERROR, text, "mend the record: receivers take it for none")
        case SpfResult.TEMPERROR | SpfResult.MACROS:
            return diagnosis(subject, WARNING, f"cannot be told: {text}")
    return diagnosis(subject, ERROR, f"does not let {address} send ({result})", allow)


def of_dkim(name: str, objection: str | None) -> Diagnosis:
    """By what receivers find where a key of ours should be."""
    if objection is None:
        return diagnosis(f"DKIM {name}", OK, "receivers find our key")
    cure = "publish the record that `mta dkim show` prints"
    return diagnosis(f"DKIM {name}", ERROR, objection, cure)


def of_unsigned(domain: str) -> Diagnosis:
    """Of a domain that sends, without a key."""
    return diagnosis(f"DKIM of {domain}", ERROR, "there is no key", f"mta dkim new {domain}")


def of_dmarc(domain: str, policy: str | None, unknown: str = "") -> Diagnosis:
    """By the policy that holds for a domain of ours, "" where it has none that is known."""
    subject = f"DMARC of {domain}"
    if unknown:
        return diagnosis(subject, WARNING, f"cannot be looked up now: {unknown}")
    cure = f'publish for _dmarc.{domain} the TXT record "v=DMARC1; p=none"'
    if policy is None:
        return diagnosis(subject, ERROR, "large receivers want a record, and there is none", cure)
    if not policy:
        return diagnosis(subject, ERROR, "the record has no policy (p=) that is known", cure)
    return diagnosis(subject, OK, f"p={policy}")


def of_policies(domain: str, sts: str | None, tlsa: Answer[Tlsa] | None = None) -> Diagnosis:
    """By what a domain publishes of the TLS that its hosts want; `sts` is its policy's id."""
    found = [f"MTA-STS (id {sts})"] if sts else []
    if tlsa is not None and tlsa.records:
        found.append(
            "TLSA" + (", signed" if tlsa.is_secure else ", which our resolver finds unsigned")
        )
    return diagnosis(f"TLS of {domain}", OK, "publishes " + (" and ".join(found) or "nothing"))


def of_clock(is_synchronised: bool | None) -> Diagnosis:
    """By what the kernel says of the clock."""
    if is_synchronised is False:
        cure = "run chrony or systemd-timesyncd, unless the host of this container does"
        text = "the kernel knows of nobody who keeps it right"
        return diagnosis("clock", WARNING, text, cure)
    return diagnosis("clock", OK, "kept right" if is_synchronised else "the kernel does not say")


def of_disk(free: int, inodes: int | None, *, least: int, least_inodes: int) -> Diagnosis:
    """By what the spool's disk has free, in octets, and the marks below which the door closes."""
    text = f"{free // MIB} MiB are free" + ("" if inodes is None else f", and {inodes} inodes")
    cure = "make room: below limits.disk_low and inodes_low no mail is taken"
    if free < least or (inodes is not None and inodes < least_inodes):
        return diagnosis("disk", ERROR, text, cure)
    if free < 2 * least:
        return diagnosis("disk", WARNING, text, cure)
    return diagnosis("disk", OK, text)


def is_healthy(found: Iterable[Diagnosis]) -> bool:
    """Whether mail can go as it should."""
    return all(one.grade is not ERROR for one in found)
