"""Several processes that are one server: for machines with more cores than one process can use.

    share       what one process has of the settings: its folder, its part of the limits
    words       slots, asked for and granted across processes
    worker      one process: a whole server, but for its slots
    supervisor  starts the workers, keeps the slots, starts again what ended

Each worker takes mail on the same ports (SO_REUSEPORT), and has a spool of its own: what it
accepted it delivers. So a message never crosses from one process to another; only the slots, by
which the limits of connections hold for all together, are kept in one place.
"""
