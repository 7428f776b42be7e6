"""Growth: what a message costs as something grows, to see what is worse than linear.

    curves   points, columns and the table, with ratios from each point to the next
    lengths  with so many messages queued: start, memory, throughput, the next due one
    shapes   with so many recipients a message, and of such a size
    domains  to so many domains, each with its own MX
    fill     makes a spool with many messages that wait, quickly

`make bench ARGS="--growth"` runs it, on our side alone.
"""
