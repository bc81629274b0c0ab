"""The colors of all pictures.

Blue and orange differ for the color-blind too. In gray they are close, so where both are in one
picture a mark tells them apart as well: dots on a line, dashes, hatching, a number in a box.
"""

INK, FAINT = "#202020", "#606060"
BLUE, ORANGE = "#4c78a8", "#d9720b"
#: Blue where orange lines lie upon it.
DEEP = "#1f4e79"
