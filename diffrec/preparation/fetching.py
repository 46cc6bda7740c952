"""Public datasets of `fetch`: addresses, checksums, unpacking.

No data is bundled: GroupLens does not allow redistribution, and the DiffRec repository states
no licence for its lists.
"""

import lzma
import resource
import shutil
import struct
import subprocess
import zipfile
import zlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from diffrec.errors import UserError, did_you_mean
from diffrec.files import atomic_write, check_output_folder, existing, is_full_disk
from diffrec.preparation.downloading import Progress, check_address, download
from diffrec.preparation.manifest import sha256

_MEMBER_LIMIT = 4 * 2**30
"""Bytes of an unpacked file at most: ratings of the largest archive have 0.7 GB."""

_RATIO_LIMIT, _RATIO_BYTES = 100, 2**26
"""Times what it takes in the archive that a file of more bytes may have; ratings have five."""

_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    KeyError,
    NotImplementedError,
    OverflowError,
    ValueError,
)
"""Errors that `zipfile` raises for an archive that it cannot read."""

_GROUPLENS = "https://files.grouplens.org/datasets/movielens"
_RELEASE = (
    "https://raw.githubusercontent.com/YiyanXu/DiffRec/"
    "d503f1703d8a950a484bfe3d5e67bff6b5ae5fd1/datasets"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Download of one dataset."""

    url: str
    checksum: str | None
    """Checksum of the archive, as published; None if there is none."""

    members: tuple[str, ...]
    """Files to take out of the archive."""

    sha256: dict[str, str] = field(default_factory=dict)
    """SHA-256 of members, by file name."""

    next_step: str
    """Next command, with `{folder}` for the download's folder."""


def _ratings(name: str, md5: str, member: str) -> Source:
    return Source(
        url=f"{_GROUPLENS}/{name}.zip",
        checksum=f"md5:{md5}",
        members=(f"{name}/{member}",),
        next_step=f"python -m diffrec prepare {{folder}}/{member} --out data/{name}-own",
    )


def _released(name: str, train: str, valid: str, test: str, embeddings: str) -> Source:
    files = ("train_list.npy", "valid_list.npy", "test_list.npy", "item_emb.npy")
    return Source(
        url=f"{_RELEASE}/{name}.rar",
        checksum=None,
        members=files,
        sha256=dict(zip(files, (train, valid, test, embeddings), strict=True)),
        next_step="python -m diffrec check {folder}",
    )


SOURCES: dict[str, Source] = {
    "ml-100k": _ratings("ml-100k", "0e33842e24a9c977be4e0107933c0723", "u.data"),
    "ml-1m": _ratings("ml-1m", "c4d9eecfca2ab87c1945afe126590906", "ratings.dat"),
    "ml-25m": _ratings("ml-25m", "6b51fb2759a8657d3bfcbfc42b592ada", "ratings.csv"),
    "ml-1m_clean": _released(
        "ml-1m_clean",
        "b39010ebf49c1159c71b5a44a2a45081f01c3f653f4221027fef2721cc0b0523",
        "93f795d0a8439bb07e644d7e69679a2c1799684bf4b19d10bd415d80a05681b2",
        "645010f80c5a4e7b35f154587acacb596cdf3b2502531a7c71e3a8ae020c06c9",
        "51cdab37eb5de0fcbb057e7616e19498328398633a4805471cd5078b4e3e2c77",
    ),
    "ml-1m_noisy": _released(
        "ml-1m_noisy",
        "fd19bd8593815306dc43ab8d9c8c856c3b3fa11cad0aef0c13ecface801e2dfb",
        "0b56d7cb7d0d057b2d5eea388a33d5c9fef4c89730712aa35d5d0a5ff0e3e1d0",
        "ba638f755595545bbd5255d06685e2427c2d2502806e7ccca07fc3d76aa4e9c6",
        "6eb214c203bee7020f6d5703093075c892058a8e2bc77cae7693e62d1ae8251d",
    ),
}


def fetch(
    name: str, data_dir: Path, *, url: str | None = None, progress: Progress | None = None
) -> tuple[Path, str]:
    """Download and unpack `name` into `data_dir/name`; return the folder and the next command.

    Raises:
        UserError: the name is unknown, or the download or the archive is at fault.
    """
    if name not in SOURCES:
        raise UserError(
            f"Nothing named {name!r} can be fetched{did_you_mean(name, SOURCES)}; known: "
            f"{', '.join(SOURCES)}."
        )
    source = SOURCES[name]
    folder = data_dir / name
    check_output_folder(folder, "--data-dir")
    address = source.url if url is None else url
    check_address(address)
    archive = folder / (Path(urlsplit(address).path).name or "download")
    existed = archive.exists()
    with existing(folder):
        download(address, archive, checksum=source.checksum, progress=progress)
        try:
            unpack(archive, folder, source.members)
        except (UserError, OSError) as error:
            if not existed and (archive.suffix != ".rar" or is_full_disk(error)):
                archive.unlink()  # a rar is kept: its program may be missing
            raise
    for file, expected in source.sha256.items():
        if (digest := sha256(folder / file)) != expected:
            raise UserError(
                f"{folder / file} must have the SHA-256 {expected}, but has {digest}; the release "
                "has changed or the download was corrupted, so remove the folder and fetch again."
            )
    return folder, source.next_step.format(folder=folder)


def unpack(archive: Path, folder: Path, members: tuple[str, ...]) -> None:
    """Take `members` out of a zip or rar archive, into `folder` itself, whatever their folder.

    Raises:
        UserError: the archive is broken, lacks a member, or there is no program to open a rar.
    """
    if archive.suffix == ".rar":
        _unpack_rar(archive, folder, members)
        return
    try:
        with zipfile.ZipFile(archive) as zip_file:
            for member in members:
                _check_member(archive, zip_file.getinfo(member))
            for member in members:
                with zip_file.open(member) as file:
                    atomic_write(folder / Path(member).name, partial(shutil.copyfileobj, file))
    except UserError:
        raise
    except (*_BROKEN, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the disk, not of bzip2
            raise
        raise UserError(
            f"{archive} must be a zip archive with {', '.join(members)}, but is not ({error}); "
            "remove it if it is there, and fetch again."
        ) from error


def _check_member(archive: Path, member: zipfile.ZipInfo) -> None:
    """Refuse an encrypted or too large file before anything is written."""
    if member.flag_bits & 1:
        raise UserError(
            f"{archive} must not be encrypted, but `{member.filename}` needs a password; unpack it "
            "by hand, or give another address with --url."
        )
    bomb = member.file_size > max(_RATIO_BYTES, _RATIO_LIMIT * member.compress_size)
    if bomb or member.file_size > _MEMBER_LIMIT:
        raise UserError(
            f"{archive} must hold files of at most {_MEMBER_LIMIT // 2**30} GiB and {_RATIO_LIMIT} "
            f"times what they take in it, but `{member.filename}` has {member.file_size:,} bytes "
            f"in {member.compress_size:,}; check its address."
        )


def _unpack_rar(archive: Path, folder: Path, members: tuple[str, ...]) -> None:
    """Unpack with an installed program into a temporary folder, and move `members` from there."""
    with TemporaryDirectory(dir=folder, prefix=".unpacked-") as temporary:
        commands = {
            "bsdtar": ["-xf", str(archive), "--strip-components", "1", "-C", temporary],
            "unrar": ["e", "-o+", "-inul", str(archive), f"{temporary}/", "-p-"],
            "7z": ["e", "-y", "-bd", f"-o{temporary}", str(archive)],
        }
        program = next((name for name in commands if shutil.which(name)), None)
        if program is None:
            raise UserError(
                f"{archive} is a rar archive, and none of {', '.join(commands)} is installed; "
                "install one and run this again."
            )
        result = subprocess.run(
            [program, *commands[program]],
            stdin=subprocess.DEVNULL,  # an encrypted archive must not prompt for its password
            capture_output=True,
            text=True,
            preexec_fn=_limit_files,
        )
        if result.returncode:
            reason = (result.stderr or result.stdout).strip().splitlines()[-1:]
            raise UserError(
                f"{program} cannot unpack {archive} ({' '.join(reason)}); remove it, fetch again."
            )
        for member in members:
            path = Path(temporary) / member
            if path.is_symlink() or not path.is_file():
                raise UserError(f"{archive} must hold {member}, but does not; unpack it by hand.")
        for member in members:
            (Path(temporary) / member).replace(folder / member)


def _limit_files() -> None:
    """Limit the size of the files that the unpacking program writes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MEMBER_LIMIT, _MEMBER_LIMIT))
