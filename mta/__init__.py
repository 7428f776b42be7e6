"""The mail server that an application's own host needs.

The map:

    model    what things are: addresses, envelopes, outcomes, events. Standard library only.
    rules    what to decide: pure functions of values. No I/O, no clock, no chance.
    flow     how a message moves: intake, dispatcher, courier, settlement. Asks the world
             through the Protocols of `flow.ports`.
    edge     where the world begins: SMTP in and out, DNS, signatures, the disk. The only
             room that imports third-party libraries.
    app      builds every object; starts, reloads and stops it.
    wiring   settings turned into objects, and the chores of a server that runs.
    processes several of them as one server: the supervisor, its workers, what they share.
    config   config.yaml and the environment, checked whole and frozen.
    cli      the commands that a person types.
    sandbox  a small Internet on loopback, for trying things out and for tests.

A message goes `edge.submission` -> `flow.submission.intake` -> the spool ->
`flow.delivery.dispatcher` -> `.courier` -> `.settlement`, and comes back only as a report
through the same door.
"""

__version__ = "0.1.0"
