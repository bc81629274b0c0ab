"""Files that strangers may send: each name has a function that writes one, and what reads it.

    python tests/hostile_files.py FOLDER

reads all of them in one process, and prints a line of JSON for each: its name, its error, seconds,
the most memory, and what was executed or written.
"""

import io
import json
import os
import pickle
import struct
import sys
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np


class Execute:
    """Writes a file when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch executed",)


def npy(array=None, header=None, content=b""):
    """An .npy file, of an array or with a header as given."""
    if header is None:
        out = io.BytesIO()
        np.save(out, array, allow_pickle=True)
        return out.getvalue()
    header = header.encode() if isinstance(header, str) else header
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(header)) + header + content


def stated(shape, kind="|u1"):
    return npy(header=f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n")


def npz(*members, compression=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def zeros(count):
    """A member that unpacks to that many zeros, a thousandth as large."""
    with_header = stated((count // 100, 10, 10))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("x_train.npy", "w", force_zip64=True) as file:
            file.write(with_header)
            for _ in range(count // 10_000_000):
                file.write(bytes(10_000_000))
    return out.getvalue()


IMAGES = npy(np.zeros((9, 2, 2), "uint8"))
NUMBERS = np.arange(9.0)


def encrypted(content):
    """Flags the first member as encrypted, in both places."""
    content = bytearray(content)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + place] |= 1
    return bytes(content)


def with_method(content, method):
    content = bytearray(content)
    for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.index(mark) + place] = method
    return bytes(content)


ARRAYS = {
    "a zip bomb": lambda: zeros(1_000_000_000),
    "a shape of 10^12": lambda: npz(("x_train.npy", stated((10**4, 10**4, 10**4)))),
    "a shape that overflows": lambda: npz(("x_train.npy", stated((2**40, 2**40)))),
    "a negative shape": lambda: npz(("x_train.npy", stated((-1, 5, 5)))),
    "an item of 2 GB": lambda: npz(("x_train.npy", stated((1,), "|V2000000000"))),
    "a pickle": lambda: npz(("x_train.npy", npy(np.array([Execute()], object)))),
    "a bare pickle": lambda: npz(("x_train.npy", pickle.dumps(Execute()))),
    "a header of code": lambda: npz(
        ("x_train.npy", npy(header="__import__('os').system('touch executed')\n"))
    ),
    "a deep header": lambda: npz(("x_train.npy", npy(header="(" * 9_000 + ")" * 9_000))),
    "a header of 4 GB": lambda: npz(("x_train.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff{")),
    "many members": lambda: npz(*((f"a{i}.npy", IMAGES) for i in range(1_500))),
    "a member twice": lambda: npz(("x_train.npy", IMAGES), ("x_train.npy", stated((10**10,)))),
    "a member up and out": lambda: npz(("../../x_train.npy", stated((10**10,)))),
    "an absolute member": lambda: npz(("/etc/x.npy", IMAGES), ("/etc/passwd", b"x")),
    "no array": lambda: npz(("x_train", b"text")),
    "an encrypted member": lambda: encrypted(npz(("x_train.npy", IMAGES))),
    "an unknown compression": lambda: with_method(npz(("x_train.npy", IMAGES)), 77),
    "a cut zip": lambda: npz(("x_train.npy", IMAGES))[:-30],
    "dates": lambda: npz(("x_train.npy", npy(np.zeros((9, 2, 2), "datetime64[s]")))),
}
SERIES = {
    "an array of NaN.npy": lambda: npy(np.r_[NUMBERS, np.nan]),
    "an array of objects.npy": lambda: npy(np.array([1, Execute()], object)),
    "a large shape.npy": lambda: stated((10**12,), "<f8"),
    "no array.npy": lambda: pickle.dumps(Execute()),
    "NULs.csv": lambda: b"a\n1\n\x002\x00\n3\n",
    "a million columns.csv": lambda: b"1," * 1_000_000 + b"1\n",
    "a million columns below.csv": lambda: b"1,2\n" + b"1," * 400_000 + b"1\n",
    "an endless quote.csv": lambda: b'a\n"' + b"1\n" * 5_000_000,
    "a long cell.csv": lambda: b"a\n" + b"1" * 900_000 + b"\n2\n",
    "beyond floats.csv": lambda: b"a\n1\n1e400\n2\n",
    "infinity.csv": lambda: b"a\n1\n-inf\n2\n",
    "NaN.csv": lambda: b"a\n1\nnan\n2\n",
    "digits of other scripts.csv": lambda: "a\n1\n２\n٣\n4\n5\n".encode(),
    "UTF-16.csv": lambda: "a\n1\n2\n".encode("utf-16"),
    "bytes.csv": lambda: bytes(range(256)) * 40,
    "a formula.csv": lambda: b"=cmd|'/c calc'!A1\n1\n2\n=1+1\n3\n",
    "colors\x1b[31m\n.csv": lambda: b"a\n1\nx\n3\n4\n",
    "blank lines.csv": lambda: b"a\n1\n" + b"\n" * 500_000 + b"2\n",
    "two decimal signs.csv": lambda: b"a;b\n1,5;2\n1.5;3\n",
}


def riff(*chunks, form=b"WAVE"):
    body = form + b"".join(name + struct.pack("<I", size) + data for name, size, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def fmt(channels=1, rate=8000, bits=16, kind=1):
    block = channels * bits // 8 % 65536
    data = struct.pack("<HHIIHH", kind, channels, rate, rate * block % 2**32, block, bits)
    return b"fmt ", 16, data


SOUND = b"data", 400, bytes(range(200)) * 2
SOUNDS = {
    "a size that lies": lambda: riff(fmt(), (b"data", 2_000_000_000, b"\0\1")),
    "a rate of 10^9": lambda: riff(fmt(rate=10**9), SOUND),
    "a rate of 0": lambda: riff(fmt(rate=0), SOUND),
    "65,535 channels": lambda: riff(fmt(channels=65535), SOUND),
    "0 bits": lambda: riff(fmt(bits=0), SOUND),
    "no format": lambda: riff(SOUND),
    "an unknown codec": lambda: riff(fmt(kind=0x1234), SOUND),
    "a chunk beyond the end": lambda: riff(fmt(), (b"LIST", 0xFFFFFFF0, b""), SOUND),
    "no sound": lambda: riff(fmt(), (b"data", 0, b"")),
    "NaN": lambda: riff(fmt(bits=32, kind=3), (b"data", 8, struct.pack("<2f", 0.5, np.nan))),
    "a FLAC of 10^10 samples": lambda: flac(10**10),
}


def flac(samples):
    info = struct.pack(">HH", 4096, 4096) + bytes(6)
    info += struct.pack(">Q", 8000 << 44 | 0 << 41 | 15 << 36 | samples) + bytes(16)
    return b"fLaC\x80" + struct.pack(">I", len(info))[1:] + info


def png(width, height, bits=8, color=0, rows=None, extra=b""):
    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    rows = bytes((width + 1) * height) if rows is None else rows
    packed = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + packed + chunk(b"IEND", b"")


PICTURES = {
    "a PNG bomb": lambda: png(20_000, 20_000, rows=bytes(20_000_000)),
    "a side of 2^31": lambda: png(2**31 - 1, 2**31 - 1, rows=b""),
    "no side": lambda: png(0, 5, rows=b""),
    "16 bits": lambda: png(2, 2, bits=16, rows=bytes(10)),
    "fewer rows than stated": lambda: png(9, 9, rows=b"\0\1"),
    "colors that the palette lacks": lambda: png(4, 4, color=3),
    "no PNG": lambda: b"GIF89a",
    "a damaged sum": lambda: png(4, 4)[:-20] + b"xxxx" + png(4, 4)[-16:],
}


def _in_folder(ending):
    def place(folder, name):
        inner = folder / name
        inner.mkdir()
        return inner, inner / f"one{ending}"

    return place


def _alone(ending):
    return lambda folder, name: (folder / f"{name}{ending}",) * 2


#: What reads each kind, its files, and where a file goes: what is read, and what is written.
KINDS = {
    "load_images": (ARRAYS, _alone(".npz")),
    "load_sequences": (ARRAYS, _alone(".npz")),
    "load_series": (SERIES, _alone("")),
    "load_audio": (SOUNDS, _in_folder(".wav")),
    "load_images of a folder": (PICTURES, _in_folder(".png")),
}
CASES = [(kind, name) for kind, (files, _) in KINDS.items() for name in files]


def write(kind, name, folder):
    """Writes a file. Returns what reads it, a call that raises what reading raises."""
    import kerasar

    files, place = KINDS[kind]
    folder = folder / kind.replace(" ", "_")
    folder.mkdir(exist_ok=True)
    target, file = place(folder, name)
    file.write_bytes(files[name]())
    return lambda: getattr(kerasar.data, kind.split()[0])(target)


def main(folder):
    from test_loading import write_all

    import kerasar

    events = []
    watching = False

    def watch(event, arguments):
        runs = event in ("os.system", "subprocess.Popen", "os.exec", "pickle.find_class", "os.fork")
        written = event == "open" and any(sign in str(arguments[1]) for sign in "wax+")
        if watching and (runs or written or event.startswith("socket.connect")):
            events.append(f"{event} {arguments[0]}")

    sys.addaudithook(watch)
    work = [(f"{kind}: {name}", write(kind, name, folder)) for kind, name in CASES]
    work += [(f"load: {n}", lambda p=path: kerasar.load(p)) for n, path in write_all(folder)]
    kerasar.data.load_images("digits")  # what is imported once is no file's doing
    for name, call in work:
        Path("/proc/self/clear_refs").write_text("5")  # the peak from here on
        began, error = time.monotonic(), None
        watching = True
        try:
            call()
        except Exception as caught:
            error = [type(caught).__name__, str(caught)]
        watching = False
        status = Path("/proc/self/status").read_text()
        peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
        own = [event for event in events if str(folder) not in event]
        line = [name, error, time.monotonic() - began, peak, own]
        print(json.dumps(line), flush=True)
        events.clear()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
