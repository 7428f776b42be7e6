"""A week of mail to receivers with the characters of the large ones, in seconds.

`python -m tests.simulation` runs it with and without heed of what they answer, prints what came
of it, and draws docs/pacing.svg.
"""
