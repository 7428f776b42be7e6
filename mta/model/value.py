"""How the values that are made for every message are declared."""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def value(kind: type[T]) -> type[T]:
    """A slotted dataclass that is frozen for the type checker alone; equal and hashed by fields.

    A dozen are made for each message, and a dataclass that Python itself freezes takes four
    times as long to make (0.7 instead of 0.2 microseconds with seven fields).
    """
    return dataclass(slots=True, unsafe_hash=True)(kind)
