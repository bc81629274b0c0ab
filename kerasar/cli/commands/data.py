"""`kerasar data`."""

import typer

from kerasar.cli.support.outputs import print_table


def data() -> None:
    """List what --data can be: data sets by name, and your own files.

        kerasar data
        kerasar train shifted-pixelcnn --data my-images.npz
        kerasar train wavenet --data recordings/

    Which of the tables applies depends on MODEL. Images must be integers; the number of their
    levels follows from their values, or from --levels.
    """
    from kerasar.data.catalog import DATASETS, SEQUENCES, VECTORS

    print_table(("DATA for images", "what it is"), list(DATASETS.items()))
    typer.echo()
    print_table(("DATA for sequences", "what it is"), list(SEQUENCES.items()))
    typer.echo()
    print_table(("DATA for flows", "what it is"), list(VECTORS.items()))
    typer.echo(
        "\nWords in capitals are placeholders. Data sets of tensorflow_datasets are searched in\n"
        "--data-dir, else $TFDS_DATA_DIR, else ~/tensorflow_datasets, and downloaded if need be."
    )
