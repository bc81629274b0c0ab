r"""Formulas without scripts: TeX becomes MathML, which browsers draw.

`pymdownx.arithmatex` finds the formulas and leaves `\(…\)` and `\[…\]`; latex2mathml does the
rest.
"""

import html
import re

from latex2mathml.converter import convert

_FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<tex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)


#: The name of a function in front of a variable, between which TeX leaves a thin space.
_FUNCTION = re.compile(r"(<mi>[A-Za-z]{2,}</mi>)(?=<m(?:i|sub|sup|subsup|row)>)")


def _mathml(found: re.Match[str]) -> str:
    tex = html.unescape(found["tex"]).strip()
    display = "block" if found["tag"] == "div" else "inline"
    formula = _FUNCTION.sub(r'\1<mspace width="0.17em"/>', convert(tex, display=display))
    # A wide formula scrolls by itself, also by the keyboard.
    focus = ' tabindex="0"' if display == "block" else ""
    return f'<{found["tag"]} class="formula"{focus}>{formula}</{found["tag"]}>'


def on_page_content(content: str, **_: object) -> str:
    return _FORMULA.sub(_mathml, content)
