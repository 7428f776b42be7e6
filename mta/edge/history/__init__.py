"""The ledger in SQLite: who handed in what, under which key, and what became of it.

`book` is the face, `pen` the thread that reads and writes, `pages` the SQL.
"""

from mta.edge.history.book import History, Terms

__all__ = ["History", "Terms"]
