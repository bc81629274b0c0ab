"""Models by which nothing can be compressed: they say so, and what to take instead."""

from typing import Any, NoReturn


class NotCoded:
    """A model without an order of discrete values, by which they could be coded."""

    name: str
    discrete: bool

    def compress(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises: there is no code by this model."""
        raise ValueError(
            f"Model '{self.name}' is a {type(self).__name__}, which gives "
            f"{self._what_it_gives()}, so it cannot compress. Train an AutoregressiveModel "
            "(PixelCNN for images, WaveNet for sequences, NADE for vectors), or a PixelVAE."
        )

    decompress = compress

    def _what_it_gives(self) -> str:
        """What it has instead of the probability of each value given those before it."""
        if not self.discrete:
            return "densities of real numbers, of which a code would need infinitely many digits"
        return "no probability of each value given those before it"
