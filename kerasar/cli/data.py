"""`kerasar data`."""

import typer

from kerasar.cli.tables import print_table


def data() -> None:
    """List what --data can be: data sets by name, and your own files.

        kerasar data
        kerasar train shifted-pixelcnn --data my-images.npz

    Images must be whole numbers; how many levels they have goes by their values, or --levels.
    """
    from kerasar.data.catalog import DATASETS

    print_table(("DATA", "what it is"), list(DATASETS.items()))
    typer.echo(
        "\nWords in capitals stand for yours. Data sets of tensorflow_datasets are looked for in\n"
        "--data-dir, else $TFDS_DATA_DIR, else ~/tensorflow_datasets, and downloaded if need be."
    )
