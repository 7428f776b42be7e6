"""Run the week twice, print what came of it, and draw it: `python -m tests.simulation`."""

import argparse
from pathlib import Path

from tests.simulation.plot import svg
from tests.simulation.time import run
from tests.simulation.week import Report, Week

PICTURE = Path(__file__).parent.parent.parent / "docs" / "pacing.svg"
DRAWN = ("gmail.test", "outlook.test", "yahoo.test")


async def week(days: float, *, heeds: bool, scale: float) -> Report:
    """One run."""
    return await Week(heeds=heeds, scale=scale).run(days)


def table(report: Report) -> str:
    """What became of the mail for each receiver, in Markdown."""
    lines = [
        "| receiver | messages | delivered | returned | waiting | deferrals and refusals | blocks "
        "| half within | all within |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for domain, fate in report.fates.items():
        waiting = fate.sent - fate.delivered - fate.failed
        lines.append(
            f"| {domain} | {fate.sent} | {fate.delivered} | {fate.failed} | {waiting} "
            f"| {fate.refusals} | {fate.blocks} | {_span(fate.wait(0.5))} | {_span(fate.wait(1))} |"
        )
    return "\n".join(lines)


def _span(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def main() -> None:
    """Both runs."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--days", type=float, default=7.0)
    parser.add_argument("--scale", type=float, default=1.0, help="of the traffic")
    parser.add_argument("--picture", type=Path, default=PICTURE)
    arguments = parser.parse_args()
    panels = []
    for title, heeds in (("Heeding what receivers answer", True), ("Deaf to it", False)):
        report = run(week(arguments.days, heeds=heeds, scale=arguments.scale))
        print(f"{title}: {report.blocks} blocks earned\n\n{table(report)}\n")
        panels.append((f"{title}: messages that wait", report))
    arguments.picture.write_text(svg(panels, DRAWN))


if __name__ == "__main__":
    main()
