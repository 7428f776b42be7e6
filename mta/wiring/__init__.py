"""The wiring: settings turned into objects, and the chores of a server that runs."""
