"""`mta serve`: the server, from its settings to its end."""

import argparse
import asyncio
import logging
import os
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter
from pathlib import Path

from mta.model.listener import Endpoint, Handed, Listener

from mta.edge.descriptors import raise_limit
from mta.edge.eventlog import Format, StreamEventLog
from mta.edge.submission import Given, place_of, reserve
from mta.edge.systemd import Notifier, handed_sockets

from mta.app import Server
from mta.cli.check import file_problems, surprises
from mta.cli.options import (
    DEFAULT_CONFIG,
    Commands,
    add_command,
    config_path,
    print_problems,
    with_settings,
)
from mta.cli.prose import start_log
from mta.config import ConfigError, Settings, load_settings
from mta.config.settings import EventStyle
from mta.processes.adoption import prepare_spools
from mta.processes.share import Share, process_count
from mta.processes.supervisor import StartError, Supervisor
from mta.processes.worker import Worker
from mta.wiring.fittings import (
    STARTUP_ERRORS,
    fittings_for,
    history_for,
    listeners_of,
    open_spool,
    trouble_at_close,
)

try:
    import uvloop
except ImportError:  # not on every platform; mail goes all the same
    new_event_loop = asyncio.new_event_loop
else:
    new_event_loop = uvloop.new_event_loop

# Seconds in which a second signal is the first one: make, timeout and shells send it to a process
# and to its whole group.
SAME_SIGNAL = 0.5

OTHER_DESCRIPTORS = 64  # files of the spool, names being looked up, what Python has

# What a reload leaves as it is.
FIXED = (
    "hostname",
    "spool",
    "maildrop",
    "listen",
    "bare_newlines",
    "limits.queue",
    "limits.disk_low",
    "limits.disk_high",
    "limits.inodes_low",
    "limits.inodes_high",
    "keep",
    "admin",
    "history.folder",
    "log",
    "shutdown",
    "processes",
)

log = logging.getLogger("mta")


def add_to(commands: Commands) -> None:
    """Add `mta serve`."""
    parser = add_command(
        commands,
        "serve",
        about="Run the server until SIGTERM or Ctrl-C; SIGHUP reloads the configuration.",
        example="  mta serve --config /etc/mta/config.yaml",
    )
    parser.add_argument("--share", type=Share.from_text, help=argparse.SUPPRESS)
    parser.set_defaults(run=with_settings(serve))


def serve(settings: Settings, arguments: argparse.Namespace) -> int:
    """Serve until told to stop; 1 if that could not begin."""
    share: Share | None = arguments.share
    start_log(f"[{share.number + 1}] " if share else "")
    os.umask(0o077)  # what we write is nobody else's; the spool can be entered, for the drop folder
    if sys.stdout is None:  # or the next file opened would take its place
        log.error("mta cannot start: standard output is closed; give it a file or /dev/null")
        return 1
    arguments.config = config_path(arguments)  # if it goes, a reload must not take the defaults
    if share is None:
        problems = tuple(file_problems(settings))
        if problems:
            print_problems(problems, is_json=arguments.json)
            return 2
        for warning in surprises(settings):
            log.warning(warning)
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(_work(settings, arguments))
    except STARTUP_ERRORS as error:
        log.error("mta cannot start: %s", error)
        return 1


async def _work(settings: Settings, arguments: argparse.Namespace) -> int:
    """Be what this process is to be: one of several, the first of several, or all there is."""
    share: Share | None = arguments.share
    given: Given = {}
    if share is None:
        count = process_count(settings.processes, len(os.sched_getaffinity(0)))
        _mind_descriptors(settings, count)
        given = _handed(settings)
        await prepare_spools(settings, count)
        if count > 1:
            return await _supervise(settings, arguments, count, given)
    events = StreamEventLog(sys.stdout, _format(settings, is_json=arguments.json))
    try:
        if share is not None:
            load = partial(load_settings, arguments.config, os.environ)
            return await Worker(settings, share, load).run(events)
        return await _serve(settings, arguments, events, given)
    finally:
        events.close()


def _mind_descriptors(settings: Settings, processes: int) -> None:
    """Take as many descriptors as there are, and warn where these are too few."""
    allowed = raise_limit()
    wanted = settings.limits.connections // processes + settings.delivery.concurrency
    if allowed < wanted + OTHER_DESCRIPTORS:
        log.warning(
            "limits.connections and delivery.concurrency: %d connections want %d descriptors, and "
            "a process may have %d; raise LimitNOFILE= of the unit, or ulimit -n",
            wanted,
            wanted + OTHER_DESCRIPTORS,
            allowed,
        )


def _handed(settings: Settings) -> dict[str, list[socket.socket]]:
    """The sockets that systemd opened for us, by the listener's address that names them."""
    given = {str(Handed(name)): sockets for name, sockets in handed_sockets().items()}
    for place in sorted(given.keys() - {str(listen.address) for listen in settings.listen}):
        log.warning(
            "%s: a socket from systemd that no listener takes: nobody is served there", place
        )
    return given


async def _supervise(
    settings: Settings, arguments: argparse.Namespace, count: int, given: Given
) -> int:
    """Have several processes serve."""
    fittings = fittings_for(settings)  # every mistake in it is found before a process starts
    listeners = listeners_of(settings)
    reserved = list(zip(listeners, await reserve(listeners, given), strict=True))
    places = [place_of(listener, sockets[0]) for listener, sockets in reserved]
    command = [sys.executable, "-m", "mta", "serve"]
    command += ["--config", str(arguments.config)] if arguments.config else []
    command += ["--json"] if arguments.json else []
    supervisor = Supervisor(
        fittings.room,
        count=count,
        ports=[_port_of(listener, sockets) for listener, sockets in reserved],
        command=[*command, "--share"],
        folder=settings.spool,
        sockets={
            str(listener.place): sockets
            for listener, sockets in reserved
            if not isinstance(listener.place, Endpoint)
        },
    )
    notifier = Notifier()

    def reload(settings: Settings) -> None:
        supervisor.reload(fittings_for(settings).room)

    def say_ready() -> None:
        _say_what_to_try(places, settings, arguments.config, count)
        notifier.say("READY=1")

    reload_all = partial(_reload, settings, reload, arguments, notifier)
    _on_signals(supervisor.stop, reload_all, notifier)
    heart = asyncio.create_task(_beat(notifier), name="watchdog")
    try:
        status = await supervisor.run(say_ready)
    except StartError as error:
        log.error("mta cannot start: %s", error)
        return 1
    heart.cancel()
    return _ended(status)


def _port_of(listener: Listener, sockets: Sequence[socket.socket]) -> int:
    return sockets[0].getsockname()[1] if isinstance(listener.place, Endpoint) else 0


def _format(settings: Settings, *, is_json: bool) -> Format:
    if settings.log.events is EventStyle.AUTO:
        return Format.PEOPLE if sys.stdout.isatty() and not is_json else Format.JSON
    return Format(settings.log.events)


async def _serve(
    settings: Settings, arguments: argparse.Namespace, events: StreamEventLog, given: Given
) -> int:
    """Serve in this process alone."""
    notifier = Notifier()
    stop = asyncio.Event()
    spool = open_spool(settings)
    try:
        history = history_for(settings)
        server = Server(settings, spool=spool, events=events, history=history, given=given)
        await server.start()
        reload = partial(_reload, settings, server.reload, arguments, notifier)
        _on_signals(stop.set, reload, notifier)
        _say_what_to_try(server.places, settings, arguments.config, 1)
        notifier.say("READY=1")
        heart = asyncio.create_task(_beat(notifier), name="watchdog")
        await server.run(stop)
        heart.cancel()
    finally:
        unsaved = await trouble_at_close(spool)
    if unsaved is not None:
        log.error("the last results are not on disk, and may be repeated: %s", unsaved)
    return _ended(0 if unsaved is None else 1)


def _ended(status: int) -> int:
    if status:
        log.error("stopped, but not in good order")
        return 1
    log.info("stopped in good order")
    return 0


def _on_signals(stop: Callable[[], None], reload: Callable[[], None], notifier: Notifier) -> None:
    loop = asyncio.get_running_loop()
    told_at: float | None = None

    def end() -> None:
        nonlocal told_at
        if told_at is not None:
            if loop.time() - told_at < SAME_SIGNAL:
                return
            log.warning("stopped at once; what was under way is in the spool")
            os._exit(1)
        log.info("stopping: no new mail, deliveries under way may end (once more: stop at once)")
        notifier.say("STOPPING=1")
        told_at = loop.time()
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGHUP, reload)


def _reload(
    first: Settings,
    apply: Callable[[Settings], None],
    arguments: argparse.Namespace,
    notifier: Notifier,
) -> None:
    """Put new settings in force, as far as can be; `first` are those of the start."""
    notifier.say("RELOADING=1")
    try:
        settings = load_settings(arguments.config, os.environ)
        apply(settings)
    except ConfigError as error:
        for problem in error.problems:
            log.error("not reloaded, the old settings stay in force: %s", problem)
    except STARTUP_ERRORS as error:
        log.error("not reloaded, the old settings stay in force: %s", error)
    else:
        for warning in surprises(settings):
            log.warning(warning)
        for path in FIXED:
            if attrgetter(path)(settings) != attrgetter(path)(first):
                log.warning("%s has changed: that needs a restart", path)
        log.info("reloaded")
    notifier.say("READY=1")


def _say_what_to_try(
    places: Sequence[str], settings: Settings, config: Path | None, processes: int
) -> None:
    many = f", {processes} processes" if processes > 1 else ""
    where = f"{settings.hostname} on {', '.join(places)}"
    log.info("ready: %s, spool %s%s", where, settings.spool, many)
    for place in [place for place in places if not place.startswith("unix:")][:1]:
        log.info("try: curl smtp://%s --mail-from ME --mail-rcpt YOU -T MESSAGE.eml", place)
    named = f" --config {shlex.quote(str(config))}" if config not in {None, DEFAULT_CONFIG} else ""
    log.info("see what waits: mta queue list%s; a world to try it in: mta sandbox", named)


async def _beat(notifier: Notifier) -> None:
    """Tell a watchdog that the event loop is alive."""
    while notifier.watchdog_interval is not None:
        notifier.say("WATCHDOG=1")
        await asyncio.sleep(notifier.watchdog_interval)
