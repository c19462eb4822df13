"""Turns one paper into pages, in a process of its own: bytes on standard input, pages on standard output.

Started as `python -I renderer.py <pdf|image|text>`. Each page is a frame: four bytes with its length, two with its
width and two with its height in pixels (big-endian; 0 and 0 for text), then WebP or UTF-8. After each picture of a
PDF's page comes a frame with what the page says, at least a line feed. A frame of length 0 ends the output. A paper
that is refused ends with a word on standard error (`WORDS`) and status 1; whatever else happens means the same to the
parent. The process has no network, few files, and limits of memory and processor time.
"""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import io
import os
import re
import resource
import struct
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    import pypdfium2

MEMORY: Final = 512 * 1024 * 1024
CPU_S: Final = 60
FILES: Final = 16
PAGES_MAX: Final = 300
WIDTH: Final = 1200
HEIGHT: Final = 12_000
PIXELS_MAX: Final = 40_000_000
POINTS_MAX: Final = 200 * 72  # a PDF page's side; the format's own limit is 14,400 points
QUALITY: Final = 80
EFFORT: Final = 1  # of the WebP encoder, 0 to 6
LINES: Final = 60  # of text on a page
COLUMNS: Final = 100
LAYER_MAX: Final = 20_000  # characters of what a PDF's page says
FRAME: Final = struct.Struct(">IHH")
WORDS: Final = frozenset({"damaged", "encrypted", "empty", "too-many-pages", "too-large"})
_NEW_USER, _NEW_NET, _NO_NEW_PRIVILEGES = 0x10000000, 0x40000000, 38
_CREATE_RULES, _ADD_RULE, _RESTRICT_SELF, _BENEATH = 444, 445, 446, 1  # Landlock's system calls
_EVERY_USE: Final = (1 << 13) - 1  # of files and folders, as Landlock's first version counts them
_READ: Final = 1 << 2 | 1 << 3
FONTS: Final = ("/usr/share/fonts", "/usr/share/X11/fonts", "/usr/local/share/fonts")  # for PDFs that bring none
NOBODY: Final = 65534
_HYPHEN: Final = re.compile("[\x02\ufffe]\\s*")  # as the library marks a word that goes on in the next line
# Controls, halves of a letter, places that stand for none, and what turns the order of letters around.
_UNREADABLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ue000-\uf8ff\ufff0-\uffff]"
)


class RefusedError(Exception):
    """The paper cannot become pages; the argument is one of `WORDS`."""


def confine() -> None:
    """Give up the network, files, new rights and most of the machine; what the system does not offer is left out."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        if libc.unshare(_NEW_NET) != 0:
            libc.unshare(_NEW_USER | _NEW_NET)
        _close_files(libc)
    for kind, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, FILES),
        (resource.RLIMIT_NPROC, 0),
    ):
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    os.nice(10)
    if os.geteuid() == 0:  # the limit of processes does not hold for root
        with contextlib.suppress(OSError):
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)


def _close_files(libc: ctypes.CDLL) -> None:
    """Open no file and no folder from now on, fonts excepted."""
    every = struct.pack("=Q", _EVERY_USE)
    rules = libc.syscall(_CREATE_RULES, every, len(every), 0)
    if rules < 0:
        return
    for place in FONTS:
        with contextlib.suppress(OSError):
            folder = os.open(place, os.O_PATH | os.O_CLOEXEC)
            libc.syscall(_ADD_RULE, rules, _BENEATH, struct.pack("=Qi", _READ, folder), 0)
            os.close(folder)
    libc.syscall(_RESTRICT_SELF, rules, 0)
    os.close(rules)


def pdf_pages(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield each page of a PDF as WebP with its width and height, and then what it says."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        raise RefusedError("encrypted" if "password" in str(error).lower() else "damaged") from None
    count = len(document)
    if count > PAGES_MAX:
        raise RefusedError("too-many-pages")
    if count < 1:
        raise RefusedError("empty")
    for number in range(count):
        try:
            page = document[number]
            width, height = page.get_size()
            if not (1 <= width <= POINTS_MAX and 1 <= height <= POINTS_MAX):
                raise RefusedError("too-large")
            scale = min(WIDTH / width, HEIGHT / height)
            picture = page.render(scale=scale, may_draw_forms=False).to_pil().convert("RGB")
        except pypdfium2.PdfiumError:
            raise RefusedError("damaged") from None
        picture.thumbnail((WIDTH, HEIGHT))  # rounding may add a pixel
        yield _webp(picture)
        yield _text([_layer(page)])
        page.close()


def _layer(page: pypdfium2.PdfPage) -> str:
    """Return what a page says; nothing when that cannot be found out, for the picture is there."""
    try:
        layer = page.get_textpage()
        said = layer.get_text_range(0, min(layer.count_chars(), LAYER_MAX))
        layer.close()
    except Exception:  # the library raises what it likes
        return ""
    return readable(said[:LAYER_MAX])


def readable(said: str) -> str:
    """Return a page's text without what nobody reads: hyphens at the end of lines, and what stands for no letter."""
    said = _HYPHEN.sub("", said).replace("\r\n", "\n").replace("\r", "\n")
    return _UNREADABLE.sub("", said).strip()


def image_pages(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the one page of a picture, upright and on white, without anything else that the file carried."""
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = None  # checked here, before anything is decoded
    try:
        picture: Image.Image = Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "WEBP"))
        if picture.width * picture.height > PIXELS_MAX:
            raise RefusedError("too-large")
        picture.draft("RGB", (WIDTH * 2, HEIGHT))
        picture.load()
        picture = ImageOps.exif_transpose(picture)
        picture.thumbnail((WIDTH, HEIGHT))
        if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
            layer = picture.convert("RGBA")
            picture = Image.new("RGB", layer.size, "white")
            picture.paste(layer, mask=layer.getchannel("A"))
        picture = picture.convert("RGB")
    except RefusedError:
        raise
    except (MemoryError, Image.DecompressionBombError):
        raise RefusedError("too-large") from None
    except Exception:  # the decoders raise what they like
        raise RefusedError("damaged") from None
    yield _webp(picture)


def _webp(picture: object) -> tuple[bytes, int, int]:
    from PIL import Image

    if not isinstance(picture, Image.Image):
        raise TypeError
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=QUALITY, method=EFFORT)
    return out.getvalue(), picture.width, picture.height


def text_pages(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield a text in pages of 60 lines of 100 characters; pages stay text, which everybody can read."""
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise RefusedError("damaged") from None
    if not text.strip():
        raise RefusedError("empty")
    page: list[str] = []
    used = pages = 0
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        for part in _parts(line):
            rows = -(-len(part) // COLUMNS) or 1
            if page and used + rows > LINES:
                yield _text(page)
                pages, page, used = pages + 1, [], 0
                if pages >= PAGES_MAX:
                    raise RefusedError("too-many-pages")
            page.append(part)
            used += rows
    yield _text(page)


def _parts(line: str) -> list[str]:
    whole = LINES * COLUMNS
    return [line[start : start + whole] for start in range(0, len(line), whole)] or [""]


def _text(lines: list[str]) -> tuple[bytes, int, int]:
    return ("\n".join(lines) + "\n").encode("utf-8"), 0, 0


KINDS: Final = {"pdf": pdf_pages, "image": image_pages, "text": text_pages}


def render(kind: str, content: bytes, out: BinaryIO) -> None:
    """Write the pages of a paper as frames.

    Raises:
        RefusedError: it cannot become pages.
    """
    for data, width, height in KINDS[kind](content):
        out.write(FRAME.pack(len(data), width, height) + data)
    out.write(FRAME.pack(0, 0, 0))
    out.flush()


def main() -> None:
    """Confine the process, then read, render and write."""
    kind = sys.argv[1]
    if kind != "text":
        # Whatever the libraries load later, they load now, while files may still be opened.
        import pypdfium2
        from PIL import Image, ImageChops, ImageOps, ImageSequence, MpoImagePlugin, TiffImagePlugin, WebPImagePlugin

        Image.preinit()
        codecs.lookup("utf-16-le")  # in which words come out of a PDF
        del pypdfium2, Image, ImageChops, ImageOps, ImageSequence, MpoImagePlugin, TiffImagePlugin, WebPImagePlugin
    confine()
    try:
        render(kind, sys.stdin.buffer.read(), sys.stdout.buffer)
    except RefusedError as error:
        sys.stderr.write(str(error))
        raise SystemExit(1) from None
    except MemoryError:
        sys.stderr.write("too-large")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
