"""Integers of any size as bytes."""


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first, as protocol buffers have it."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
