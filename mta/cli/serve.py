"""`mta serve`: the server, from its settings to its end."""

import argparse
import asyncio
import logging
import os
import signal
import sys

from mta.model.trouble import SpoolError

from mta.edge.eventlog import Format, StreamEventLog
from mta.edge.spool.files import FileSpool
from mta.edge.systemd import Notifier

from mta.app import Server
from mta.cli.check import file_problems
from mta.cli.options import (
    Commands,
    add_command,
    config_path,
    print_problems,
    with_settings,
)
from mta.config import ConfigError, Settings, load_settings, warnings
from mta.config.settings import EventStyle
from mta.fittings import STARTUP_ERRORS, open_spool

try:
    import uvloop
except ImportError:  # not on every platform; mail goes all the same
    new_event_loop = asyncio.new_event_loop
else:
    new_event_loop = uvloop.new_event_loop

# Seconds in which a second signal is the first one: make, timeout and shells send it to a process
# and to its whole group.
SAME_SIGNAL = 0.5

log = logging.getLogger("mta")


def add_to(commands: Commands) -> None:
    """Add `mta serve`."""
    parser = add_command(
        commands,
        "serve",
        about="Run the server until SIGTERM or Ctrl-C; SIGHUP reloads the configuration.",
        example="  mta serve --config /etc/mta/config.yaml",
    )
    parser.set_defaults(run=with_settings(serve))


def serve(settings: Settings, arguments: argparse.Namespace) -> int:
    """Serve until told to stop; 1 if that could not begin."""
    logging.basicConfig(
        level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr, force=True
    )
    if sys.stdout is None:  # or the next file opened would take its place
        log.error("mta cannot start: standard output is closed; give it a file or /dev/null")
        return 1
    problems = tuple(file_problems(settings))
    if problems:
        print_problems(problems, is_json=arguments.json)
        return 2
    for warning in warnings(settings):
        log.warning(warning)
    arguments.config = config_path(arguments)  # if it goes, a reload must not take the defaults
    events = StreamEventLog(sys.stdout, _format(settings, is_json=arguments.json))
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(_serve(settings, arguments, events))
    except STARTUP_ERRORS as error:
        log.error("mta cannot start: %s", error)
        return 1
    finally:
        events.close()


def _format(settings: Settings, *, is_json: bool) -> Format:
    if settings.log.events is EventStyle.AUTO:
        return Format.PEOPLE if sys.stdout.isatty() and not is_json else Format.JSON
    return Format(settings.log.events)


async def _serve(settings: Settings, arguments: argparse.Namespace, events: StreamEventLog) -> int:
    notifier = Notifier()
    stop = asyncio.Event()
    spool = open_spool(settings)
    try:
        server = Server(settings, spool=spool, events=events)
        await server.start()
        _on_signals(server, stop, arguments, notifier)
        _say_what_to_try(server, settings)
        notifier.say("READY=1")
        heart = asyncio.create_task(_beat(notifier), name="watchdog")
        await server.run(stop)
        heart.cancel()
    finally:
        unsaved = await _trouble_at_close(spool)
    if unsaved is not None:
        log.error("stopped, but the last results are not on disk, and may be repeated: %s", unsaved)
        return 1
    log.info("stopped in good order")
    return 0


async def _trouble_at_close(spool: FileSpool) -> SpoolError | None:
    try:
        await spool.close()
    except SpoolError as error:
        return error
    return None


def _on_signals(
    server: Server, stop: asyncio.Event, arguments: argparse.Namespace, notifier: Notifier
) -> None:
    loop = asyncio.get_running_loop()
    told_at = 0.0

    def end() -> None:
        nonlocal told_at
        if stop.is_set():
            if loop.time() - told_at < SAME_SIGNAL:
                return
            log.warning("stopped at once; what was under way is in the spool")
            os._exit(1)
        log.info("stopping: no new mail, deliveries under way may end (once more: stop at once)")
        notifier.say("STOPPING=1")
        told_at = loop.time()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGHUP, lambda: _reload(server, arguments, notifier))


def _reload(server: Server, arguments: argparse.Namespace, notifier: Notifier) -> None:
    notifier.say("RELOADING=1")
    try:
        settings = load_settings(config_path(arguments), os.environ)
        server.reload(settings)
    except ConfigError as error:
        for problem in error.problems:
            log.error("not reloaded, the old settings stay in force: %s", problem)
    except STARTUP_ERRORS as error:
        log.error("not reloaded, the old settings stay in force: %s", error)
    else:
        for warning in warnings(settings):
            log.warning(warning)
        log.info("reloaded")
    notifier.say("READY=1")


def _say_what_to_try(server: Server, settings: Settings) -> None:
    places = [
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in server.addresses
    ]
    log.info("ready: %s on %s, spool %s", settings.hostname, ", ".join(places), settings.spool)
    for place in places[:1]:
        log.info("try: curl smtp://%s --mail-from ME --mail-rcpt YOU -T MESSAGE.eml", place)
    log.info("see what waits: mta queue list; a world to try it in: mta sandbox")


async def _beat(notifier: Notifier) -> None:
    """Tell a watchdog that the event loop is alive."""
    while notifier.watchdog_interval is not None:
        notifier.say("WATCHDOG=1")
        await asyncio.sleep(notifier.watchdog_interval)
