"""The bench: how fast we are and what that costs, beside a Postfix on the same machine.

    workloads   the table: what is sent, in what way, and what the world at the other end is like
    load        smtp-source, and a client of our own that measures latency
    sinks       where mail ends: smtp-sink, and (in exchanger) a slow or unwilling exchanger
    servers     what a server of either side must be; ours and postfix are the two
    meter       CPU, memory and syncs of a tree of processes
    trial       one workload, one side, once
    report      medians, ratios, the table and the JSON
    machine     the line that says where it was measured
    session     a client of our own for many sessions at once
    __main__    the order of things: A B A B, and what cannot run here
    growth/     a room of its own: what a message costs as something grows
    soak/       a room of its own: hours of bad weather, and what must hold after them

`make bench` runs it; docs/performance.md says what is measured and why. All of it stays on
loopback, in a folder of its own that is removed at the end; nothing is installed.
"""
