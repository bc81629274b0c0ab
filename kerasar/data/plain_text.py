"""A user's text, such as the name of a file, made harmless for a terminal and a spreadsheet."""

import unicodedata

#: What begins a formula in a spreadsheet (OWASP, CSV Injection), the wide forms included.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
#: Control, format (which turn the direction of text), surrogate, line and paragraph separators.
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


def plain_text(text: object, keep: str = "") -> str:
    """Text with escapes, such as `\\x1b`, in place of what a terminal would obey or hide.

    >>> plain_text("a\\x1b[31m b")
    'a\\\\x1b[31m b'
    """
    return "".join(
        sign
        if sign in keep or unicodedata.category(sign) not in _HIDDEN
        else sign.encode("unicode_escape", "surrogatepass").decode()
        for sign in str(text)
    )


def picture_text(text: object) -> str:
    """Plain text for matplotlib, which would read what stands between two dollars as mathematics.

    >>> picture_text("$a$")
    '\\\\$a\\\\$'
    """
    return plain_text(text).replace("$", r"\$")


def csv_cell(text: str) -> str:
    """A cell that no spreadsheet runs: a quote before what would begin a formula, not a number.

    >>> csv_cell("=1+1"), csv_cell("-1.5"), csv_cell("flow")
    ("'=1+1", '-1.5', 'flow')
    """
    if not text.startswith(_FORMULA):
        return plain_text(text)
    try:
        float(text)
    except ValueError:
        return "'" + plain_text(text)
    return text.strip()
