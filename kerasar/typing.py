"""The few type names that signatures here share. Keras and TensorFlow ship none."""

from typing import Any, TypeAlias

#: A Keras or TensorFlow tensor, symbolic or not, or anything that converts to one.
Tensor: TypeAlias = Any
#: A static shape; `None` where a size is open.
Shape: TypeAlias = tuple[int | None, ...]
#: What `get_config` returns.
Config: TypeAlias = dict[str, Any]
