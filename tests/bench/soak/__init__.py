"""The soak: `mta serve` for a long time in bad weather, and what must hold at the end.

    course      the order of things: calm, trouble, calm, …; what happens in each spell
    mood        how the exchanger behaves in a spell
    exchanger   a mail exchanger with moods, as a program; it writes down what it took
    ledger      reads that: what came, and what is still owed
    crowd       clients at a steady rate, with some that have no manners
    house       the server and the exchanger as processes that come and go, and their DNS
    samples     memory, descriptors, threads and files, read while it runs
    verdict     what speaks against the server; empty lists are good news
    run         all of it, once

`make soak` runs it; `python -m tests.bench.soak --help` says more. What is accepted is compared
with what arrives as in tests/e2e/crash, with the same evidence.
"""
