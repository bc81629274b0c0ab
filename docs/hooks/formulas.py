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


def _mathml(found: re.Match[str]) -> str:
    tex = html.unescape(found["tex"]).strip()
    display = "block" if found["tag"] == "div" else "inline"
    formula = convert(tex, display=display)
    # A wide formula scrolls by itself, also by the keyboard.
    focus = ' tabindex="0"' if display == "block" else ""
    return f'<{found["tag"]} class="formula"{focus}>{formula}</{found["tag"]}>'


def on_page_content(content: str, **_: object) -> str:
    return _FORMULA.sub(_mathml, content)
