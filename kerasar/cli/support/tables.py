"""A table on the terminal, or plain lines where the output is not one."""

from collections.abc import Sequence


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints rows under a header."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(header):
        table.add_column(name, no_wrap=i == 0, style="bold" if i == 0 else None)
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
