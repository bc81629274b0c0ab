"""PLACEHOLDER"""

if __name__ != "kerasar.layers":
    raise ImportError(
        "This folder is the package kerasar.layers; the 'layers' at the top of the repository is only a "
        "door to it. Write 'import kerasar.layers' instead."
    )
