"""Where the files shipped beside the code are: inside the wheel, or at the top of a checkout."""

from pathlib import Path


def shipped(folder: str) -> Path:
    """The path of a shipped folder (`schemas`, `systemd`).

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    for place in (package / folder, package.parent / folder):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"{folder}/ is missing beside feedd; reinstall the package")
