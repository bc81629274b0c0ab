"""Products that sum over axes, as letters: one for each axis of the operands and of the result."""

import string
from collections.abc import Sequence


def letters_of(equation: str, ranks: Sequence[int]) -> tuple[list[str], str] | None:
    """The letters of an equation of einsum, with `...` spelled out.

    Args:
        equation: such as `"...t,ts->...s"`.
        ranks: of the operands.

    Returns:
        The letters of each operand, and of the result; None if the ranks do not fit.
    """
    operands, arrow, result = equation.replace(" ", "").partition("->")
    terms = operands.split(",")
    if len(terms) != len(ranks):
        return None
    spare = [name for name in string.ascii_letters if name not in equation]
    counts = [rank - len(term.replace("...", "")) for term, rank in zip(terms, ranks, strict=True)]
    spread = [count if "..." in term else 0 for term, count in zip(terms, counts, strict=True)]
    if counts != spread or min(counts) < 0:
        return None
    most = max(counts)
    names = "".join(spare[:most])
    letters = [
        term.replace("...", names[most - count :])
        for term, count in zip(terms, counts, strict=True)
    ]
    if not arrow:  # einsum's own rule: what occurs once, in alphabetical order
        plain = operands.replace(",", "").replace("...", "")
        result = "..." + "".join(sorted(name for name in plain if plain.count(name) == 1))
    return letters, result.replace("...", names)


def matmul_letters(ranks: Sequence[int]) -> tuple[list[str], str] | None:
    """The same of a matrix product, whose leading axes are broadcast; None for vectors."""
    if len(ranks) != 2 or min(ranks) < 2:
        return None
    shared = string.ascii_uppercase[: max(ranks) - 2]
    heads = [shared[len(shared) - (rank - 2) :] for rank in ranks]
    return [f"{heads[0]}xy", f"{heads[1]}yz"], f"{shared}xz"
