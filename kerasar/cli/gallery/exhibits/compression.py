"""The model as a codec.

What is likely takes few bits. The bytes are those of `model.compress`, which `model.decompress`
turns into the same images again, beside general coders that get all images in one file.
"""

import bz2
import lzma
import zlib

from kerasar.cli.gallery.studio import Studio


def draw(studio: Studio) -> None:
    data = studio.images
    model = studio.pixelcnn(data.train)
    images = data.test[:200]
    plain = images.astype("uint8").tobytes()
    packed = model.compress(images)
    sizes = {
        "as they are": plain,
        "zlib": zlib.compress(plain, 9),
        "bzip2": bz2.compress(plain, 9),
        "xz": lzma.compress(plain, preset=9),
        "PixelCNN": packed,
    }
    rows = [["coder", "bytes an image"]]
    rows += [[name, f"{len(content) / len(images):.1f}"] for name, content in sizes.items()]
    same = (model.decompress(packed) == images).all()
    caption = (
        f"{len(images)} test images; decompressed they are {'the same' if same else 'others'}. "
        "The model itself is not counted."
    )
    studio.tabulate(rows, caption)
