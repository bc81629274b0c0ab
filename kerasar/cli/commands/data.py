"""`kerasar data`."""

import typer

from kerasar.cli.support.tables import print_table


def data() -> None:
    """List what --data can be: data sets by name, and your own files.

        kerasar data
        kerasar train shifted-pixelcnn --data my-images.npz
        kerasar train wavenet --data recordings/

    Which of the tables holds depends on MODEL. Images must be whole numbers; how many levels
    they have goes by their values, or --levels.
    """
    from kerasar.data.catalog import DATASETS, SEQUENCES, VECTORS

    print_table(("DATA for images", "what it is"), list(DATASETS.items()))
    typer.echo()
    print_table(("DATA for sequences", "what it is"), list(SEQUENCES.items()))
    typer.echo()
    print_table(("DATA for flows", "what it is"), list(VECTORS.items()))
    typer.echo(
        "\nWords in capitals stand for yours. Data sets of tensorflow_datasets are looked for in\n"
        "--data-dir, else $TFDS_DATA_DIR, else ~/tensorflow_datasets, and downloaded if need be."
    )
