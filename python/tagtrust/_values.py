"""What settings have in common, and what pickles call."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    # At run time it would take longer than all the rest of this package.
    from typing import Any, Iterable


class Settings:
    """Frozen, and equal to others of its class with the same values. `__slots__` are in the order of `__init__`."""

    __slots__: tuple[str, ...] = ()

    def _set(self, *values: object) -> None:
        for name, value in zip(self.__slots__, values):
            object.__setattr__(self, name, value)

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        values = zip(self.__slots__, self._values())
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in values)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._values()


class FrozenDict(dict):  # type: ignore[type-arg]
    """A mapping that nobody changes, so that it has a hash."""

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> Any:
        raise TypeError("this mapping cannot be changed")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)


def names(value: Iterable[str], of: str) -> tuple[str, ...]:
    """A name alone is a sequence, too, but of letters."""
    if isinstance(value, str):
        raise TypeError(f"{of} is a sequence of names, not a name")
    return tuple(value)


def restore(cls: Any, attributes: tuple[object, ...]) -> object:
    """An answer from a pickle."""
    return cls._restore(attributes)
