"""The journal: segments that are only ever appended to, and the group commit.

`records` is what stands in a segment, `turns` what is written together, `segments` the files,
`lanes` the threads, `commit` who writes when and who hears of it.
"""
