"""Single-operator test models, one module per family; `all_cases()` lists them."""

from . import activation, arithmetic, conv, dense, layout, pool, quantised, reduce, resize
from .case import Case

FAMILIES = (conv, dense, pool, arithmetic, activation, layout, resize, reduce, quantised)


def all_cases() -> list[Case]:
    """Every case of every family; names are unique."""
    cases = [case for family in FAMILIES for case in family.CASES]
    names = [case.name for case in cases]
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        raise ValueError(f"case names used twice: {', '.join(sorted(doubled))}")
    return cases
