"""PLACEHOLDER"""

if __name__ != "kerasar.training":
    raise ImportError(
        "This folder is the package kerasar.training; the 'training' at the top of the repository is only a "
        "door to it. Write 'import kerasar.training' instead."
    )
