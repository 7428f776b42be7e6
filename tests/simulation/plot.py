"""The queue over the week, as a drawing in SVG: small, and without a library."""

from collections.abc import Iterator, Sequence

from tests.simulation.week import Report

WIDTH, HEIGHT, LEFT, TOP, GAP = 720, 150, 60, 34, 62
COLOURS = ("#1f77b4", "#d62728", "#9467bd")


def svg(panels: Sequence[tuple[str, Report]], domains: Sequence[str]) -> str:
    """One panel below the other, with the same axes."""
    most = max(max(report.queue[domain]) for _, report in panels for domain in domains) or 1
    height = TOP + len(panels) * (HEIGHT + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 20} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="{height}" fill="white"/>',
    ]
    for place, (title, report) in enumerate(panels):
        parts += _panel(title, report, domains, TOP + place * (HEIGHT + GAP), most)
    return "\n".join([*parts, "</svg>", ""])


def _panel(title: str, report: Report, domains: Sequence[str], top: int, most: int) -> list[str]:
    count = len(report.queue[domains[0]])
    days = count * report.step / 86_400
    parts = [
        f'<text x="{LEFT}" y="{top - 8}" font-weight="bold">{title}</text>',
        f'<path d="M{LEFT},{top}V{top + HEIGHT}H{LEFT + WIDTH}" fill="none" stroke="#888"/>',
        f'<text x="{LEFT - 6}" y="{top + 10}" text-anchor="end">{most}</text>',
        f'<text x="{LEFT - 6}" y="{top + HEIGHT}" text-anchor="end">0</text>',
    ]
    for day in range(int(days)):
        x = LEFT + WIDTH * day / days
        parts.append(f'<text x="{x:.0f}" y="{top + HEIGHT + 16}">day {day + 1}</text>')
    for colour, domain in zip(COLOURS, domains, strict=False):
        points = " ".join(
            f"{LEFT + WIDTH * place / count:.1f},{top + HEIGHT - HEIGHT * waiting / most:.1f}"
            for place, waiting in _bends(report.queue[domain])
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
    for place, (colour, domain) in enumerate(zip(COLOURS, domains, strict=False)):
        x = LEFT + WIDTH - 330 + 110 * place
        parts.append(f'<text x="{x}" y="{top - 8}" fill="{colour}">{domain}</text>')
    return parts


def _bends(counts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where a line bends, and how high it is there."""
    last = len(counts) - 1
    for place, count in enumerate(counts):
        if place in (0, last) or not counts[place - 1] == count == counts[place + 1]:
            yield place, count
