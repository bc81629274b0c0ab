"""Finds the files of a folder of examples, where subfolders are classes."""

from pathlib import Path


def find_files(folder: Path, noun: str, endings: tuple[str, ...]) -> tuple[list[Path], bool]:
    """The files of a folder or, if it holds none, those of its subfolders, in order of their names.

    Hidden files and files of other kinds are left alone.

    Args:
        folder: an existing folder.
        noun: the word for such files, such as "recordings", for messages.
        endings: how their names end, in lower case.

    Returns:
        The files, and whether they are in subfolders.

    Raises:
        ValueError: if there are none, or both the folder and its subfolders hold some.
    """

    def files_in(place: Path) -> list[Path]:
        visible = (file for file in place.iterdir() if not file.name.startswith("."))
        return sorted(f for f in visible if f.suffix.lower() in endings and f.is_file())

    here = files_in(folder)
    subfolders = sorted(f for f in folder.iterdir() if f.is_dir() and files_in(f))
    if here and subfolders:
        raise ValueError(
            f"{noun[0].upper()}{noun[1:]} must be either in the folder itself or in subfolders "
            f"that name their class, but '{folder}' has both: '{here[0].name}' and "
            f"'{subfolders[0].name}/'. Move the {noun} into a subfolder for their class, or the "
            "subfolders elsewhere."
        )
    if not here and not subfolders:
        raise ValueError(
            f"'{folder}' holds no {noun}, nor do its subfolders: there are no files that end in "
            f"{' or '.join(endings)}. Put {noun} there, or convert those that are there."
        )
    return here or [file for f in subfolders for file in files_in(f)], not here
