"""The renderer as a process: its limits, hostile papers, and that nothing it does harms the server."""

from __future__ import annotations

import asyncio
import io
import os
import random  # noqa: TID251  # seeded test data, no secrets
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Final

import pypdfium2
import pytest
from PIL import Image
from tests.server.test_papers import a_pdf, a_png

from folkmoot_server.domain.papers import Type
from folkmoot_server.rendering import renderer
from folkmoot_server.web import paper_renderer
from folkmoot_server.web.paper_renderer import RefusedPaperError, render

SEED: Final = 20_261_122
BATCHES: Final = 10
PER_BATCH: Final = 30  # 300 mutations in all
# A PDF with text, lines and a picture, written by hand; the reference table is left to the reader's repair.
CONTENT: Final = (
    b"BT /F1 24 Tf 72 700 Td (Budget of the year) Tj ET 72 690 400 2 re f q 100 0 0 100 72 500 cm /I Do Q"
)
RICH: Final = b"\n".join(
    [
        b"%PDF-1.4",
        b"1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj",
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj",
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R>>/XObject<</I 6 0 R>>>>>>endobj",
        b"4 0 obj<</Length %d>>stream\n%s\nendstream endobj" % (len(CONTENT), CONTENT),
        b"5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj",
        b"6 0 obj<</Type/XObject/Subtype/Image/Width 2/Height 2/BitsPerComponent 8/ColorSpace/DeviceGray/Length 4>>"
        b"stream\n\x00\x7f\x80\xff\nendstream endobj",
        b"trailer<</Root 1 0 R/Size 7>>",
        b"%%EOF",
    ]
)


async def outcome(folder: Path, content: bytes, found: Type, wall_s: float = 60.0) -> str:
    """Render; return the refusal's code, or how many pages there are."""
    path = folder / "paper"
    path.write_bytes(content)
    try:
        return f"{len(await render(path, found, wall_s))} pages"
    except RefusedPaperError as error:
        return str(error)


def picture(kind: str, width: int = 300, height: int = 200, mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (width, height), 0).save(out, kind)
    return out.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A small PNG that says that it is enormous, and is."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    deflate = zlib.compressobj(9)
    rows = b"".join(deflate.compress(bytes(1 + width)) for _ in range(height)) + deflate.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def locked_pdf() -> bytes:
    """A PDF that asks for a password (its key is nonsense, so that none fits)."""
    lock = b"7 0 obj<</Filter/Standard/V 2/R 3/Length 128/P -44/O<%s>/U<%s>>>endobj" % (b"41" * 32, b"42" * 32)
    return RICH.replace(
        b"trailer<</Root 1 0 R/Size 7>>", lock + b"\ntrailer<</Root 1 0 R/Size 8/Encrypt 7 0 R/ID[<00><00>]>>"
    )


def many_pages(count: int) -> bytes:
    """A small PDF whose page tree names one page many times."""
    kids = b"3 0 R " * count
    return RICH.replace(b"/Kids[3 0 R]/Count 1", b"/Kids[%s]/Count %d" % (kids, count))


@pytest.mark.parametrize(
    ("name", "content", "found", "expected"),
    [
        ("rich", RICH, Type.PDF, "1 pages"),
        ("pages", a_pdf(3), Type.PDF, "3 pages"),
        ("truncated", a_pdf(3)[:150], Type.PDF, "paper.damaged"),
        ("no pdf", b"%PDF-1.7 and nothing more", Type.PDF, "paper.damaged"),
        ("locked", locked_pdf(), Type.PDF, "paper.encrypted"),
        ("100,000 pages", many_pages(100_000), Type.PDF, "paper.too-many-pages"),
        ("a page of a kilometre", a_pdf(1, 2_834_646, 2_834_646), Type.PDF, "paper.too-large"),
        ("a page of five metres", a_pdf(1, 14_400, 14_400), Type.PDF, "1 pages"),
        ("a ribbon", a_pdf(1, 2, 14_400), Type.PDF, "1 pages"),
        ("png", a_png(), Type.PNG, "1 pages"),
        ("transparent", picture("PNG", mode="RGBA"), Type.PNG, "1 pages"),
        ("palette", picture("PNG", mode="P"), Type.PNG, "1 pages"),
        ("cmyk", picture("JPEG", mode="CMYK"), Type.JPEG, "1 pages"),
        ("webp", picture("WEBP"), Type.WEBP, "1 pages"),
        ("bomb", bomb(30_000, 30_000), Type.PNG, "paper.too-large"),
        ("cut jpeg", picture("JPEG")[:300], Type.JPEG, "paper.damaged"),
        ("png in name only", b"\x89PNG\r\n\x1a\n" + bytes(100), Type.PNG, "paper.damaged"),
        ("gif as png", picture("GIF"), Type.PNG, "paper.damaged"),
        ("text", "Xin chào\n".encode() * 3, Type.TEXT, "1 pages"),
        ("long line", b"x" * 50_000, Type.TEXT, "9 pages"),
        ("endless text", b"x\n" * 20_000, Type.TEXT, "paper.too-many-pages"),
        ("latin-1", "Grüße".encode("latin-1"), Type.TEXT, "paper.damaged"),
        ("blank", b"\n \n", Type.TEXT, "paper.empty"),
    ],
)
async def test_papers_become_pages_or_are_refused(
    tmp_path: Path, name: str, content: bytes, found: Type, expected: str
) -> None:
    assert len(content) < 2 * 1024 * 1024
    assert await outcome(tmp_path, content, found) == expected


async def test_pages_are_upright_narrow_and_carry_nothing_of_the_file(tmp_path: Path) -> None:
    tall = Image.new("RGB", (3000, 1000), "white")
    tall.paste("red", (0, 0, 100, 1000))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010E] = "secret place"
    out = io.BytesIO()
    tall.save(out, "JPEG", exif=exif)
    (tmp_path / "paper").write_bytes(out.getvalue())
    (page,) = await render(tmp_path / "paper", Type.JPEG)
    shown = Image.open(io.BytesIO(page.data))
    assert shown.size[0] <= 1200
    assert shown.size[1] > shown.size[0]
    top = shown.convert("RGB").getpixel((shown.size[0] // 2, 3))
    assert isinstance(top, tuple)
    assert top[0] > 200
    assert top[1] < 60
    assert b"secret place" not in page.data + page.text
    assert b"secret place" in out.getvalue()  # control


def saying(words: bytes) -> bytes:
    """The rich PDF, saying something else."""
    content = CONTENT.replace(b"Budget of the year", words)
    return RICH.replace(b"/Length %d" % len(CONTENT), b"/Length %d" % len(content)).replace(CONTENT, content)


async def said(folder: Path, content: bytes, found: Type = Type.PDF) -> list[str]:
    (folder / "paper").write_bytes(content)
    return [page.text.decode() for page in await render(folder / "paper", found)]


async def test_a_page_of_a_pdf_says_what_is_on_it(tmp_path: Path) -> None:
    assert await said(tmp_path, RICH) == ["Budget of the year"]
    assert await said(tmp_path, a_pdf(2)) == ["", ""]  # two empty pages
    assert await said(tmp_path, a_png(), Type.PNG) == [""]
    assert await said(tmp_path, b"A text is its own text.", Type.TEXT) == [""]


async def test_what_a_page_says_is_cut_and_has_letters_only(tmp_path: Path) -> None:
    (long,) = await said(tmp_path, saying(b"abcdefghi " * 30_000))
    assert 15_000 < len(long) <= renderer.LAYER_MAX < 300_000
    (odd,) = await said(tmp_path, saying(b"a\\001b\\177c\\033[2Jd"))
    assert all(char.isprintable() or char in "\n\t" for char in odd)
    assert {"a", "b", "c", "d"} <= set(odd)
    assert renderer.readable("agree\x02\r\nment\r\n\x00\u202eabc\ud800\ufffe x\ue000\t1\n") == "agreement\nabcx\t1"


def test_a_page_whose_words_cannot_be_found_is_still_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def get_textpage(self) -> None:
            raise pypdfium2.PdfiumError("no text")

    assert renderer._layer(Broken()) == ""  # type: ignore[arg-type]
    assert len(list(renderer.pdf_pages(RICH))) == 2  # control: a picture, and its words


def confined(code: str) -> subprocess.CompletedProcess[str]:
    """Run a few lines in a process that has confined itself as the renderer does."""
    source = Path(renderer.__file__).read_text().split('if __name__ == "__main__":')[0]
    return subprocess.run(
        [sys.executable, "-I", "-c", f"{source}\nimport socket, os, time\nconfine()\n{code}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={"LANG": "C.UTF-8"},
    )


@pytest.mark.parametrize(
    ("code", "sign"),
    [
        ("x = bytearray(600 * 1024 * 1024)", "MemoryError"),
        ("os.write(os.memfd_create('x'), b'x')", "File too large"),
        ("fs = [os.dup(1) for _ in range(40)]", "Too many open files"),
        ("os.fork()", "BlockingIOError"),
        ("print(resource.getrlimit(resource.RLIMIT_CPU))", "(60, 60)"),
        ("print(resource.getrlimit(resource.RLIMIT_CORE))", "(0, 0)"),
    ],
)
def test_the_process_has_limits(code: str, sign: str) -> None:
    done = confined(code)
    assert sign in done.stdout + done.stderr


def test_the_process_has_no_network_where_the_system_allows_to_give_it_up() -> None:
    script = (
        "libc = ctypes.CDLL(None)\n"
        "print(sorted(name for _, name in socket.if_nameindex()))\n"
        "s = socket.socket(); s.settimeout(3)\n"
        "try: s.connect(('127.0.0.1', PORT)); print('reached')\n"
        "except OSError as error: print('unreachable')\n"
    )
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        script = script.replace("PORT", str(server.getsockname()[1]))
        done = confined(script)
        control = subprocess.run(
            [sys.executable, "-I", "-c", "import socket, ctypes\n" + script],
            capture_output=True,
            text=True,
            check=True,
        )
    assert "reached" in control.stdout
    may_give_up = subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode == 0
    assert ("unreachable" if may_give_up else "reached") in done.stdout


PICTURE: Final = "struct.pack('>IHH', 12, 9, 9) + b'RIFF1234WEBP'"
END: Final = "struct.pack('>IHH', 0, 0, 0)"


def impostor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str) -> None:
    """Put another program in the renderer's place."""
    script = tmp_path / "impostor.py"
    script.write_text(f"import sys, time, struct\nout = sys.stdout.buffer\n{code}\n")
    monkeypatch.setattr(paper_renderer, "SCRIPT", script)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("raise SystemExit(0)", "paper.damaged"),
        ("out.write(struct.pack('>IHH', 0, 0, 0))", "paper.damaged"),
        ("out.write(struct.pack('>IHH', 2**32 - 1, 9, 9))", "paper.damaged"),
        ("out.write(struct.pack('>IHH', 4, 9, 9) + b'<svg')", "paper.damaged"),
        ("out.write((struct.pack('>IHH', 12, 9, 9) + b'RIFF1234WEBP') * 400)", "paper.damaged"),
        ("out.write((struct.pack('>IHH', 12, 5000, 9) + b'RIFF1234WEBP'))", "paper.damaged"),
        ("sys.stderr.write('encrypted'); raise SystemExit(1)", "paper.encrypted"),
        ("sys.stderr.write('../../etc'); raise SystemExit(1)", "paper.damaged"),
        ("import os; os.kill(os.getpid(), 11)", "paper.damaged"),
        ("import os; os.kill(os.getpid(), 24)", "paper.too-slow"),
        ("time.sleep(60)", "paper.too-slow"),
        ("while True: out.write(bytes(65536))", "paper.too-slow"),
        ("while True: out.write(b'\\xff' * 65536)", "paper.too-slow"),
        ("import subprocess; subprocess.Popen(['sleep', '30']); raise SystemExit(1)", "paper.too-slow"),
        (f"out.write({PICTURE} + {END})", "paper.damaged"),
        (f"out.write({PICTURE} + {PICTURE} + {END})", "paper.damaged"),
        (f"out.write({PICTURE} + struct.pack('>IHH', 2, 0, 0) + b'\\xff\\xff' + {END})", "paper.damaged"),
        (f"out.write({PICTURE} + struct.pack('>IHH', 90_000, 0, 0) + b'x' * 90_000 + {END})", "paper.damaged"),
        (f"out.write({PICTURE} + struct.pack('>IHH', 80_001, 0, 0) + b'x' * 80_001 + {END})", "1 pages"),
        (f"out.write({PICTURE} + struct.pack('>IHH', 2, 0, 0) + b'x\\n' + {END})", "1 pages"),
    ],
)
async def test_a_renderer_that_was_taken_over_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, expected: str
) -> None:
    impostor(monkeypatch, tmp_path, code)
    begun = time.monotonic()
    assert await outcome(tmp_path, RICH, Type.PDF, wall_s=3.0 if "sleep" in code else 60.0) == expected
    assert time.monotonic() - begun < 50


async def test_no_process_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    impostor(
        monkeypatch,
        tmp_path,
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(__import__('os').getpid()))\ntime.sleep(60)",
    )
    assert await outcome(tmp_path, RICH, Type.PDF, wall_s=3.0) == "paper.too-slow"
    pid = await asyncio.to_thread((tmp_path / "pid").read_text)
    assert pid not in os.listdir("/proc")


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Spoil a paper: flipped, cut, doubled and foreign bytes, and numbers that are too large."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 12)):
        at, kind = rng.randrange(len(data)), rng.randrange(6)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at : at + rng.randint(1, 40)] = b""
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.randint(1, 40))
        elif kind == 3:
            data[at:at] = data[at : at + rng.randint(1, 200)]
        elif kind == 4:
            data[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"9999", b"-1 R"))
        else:
            del data[max(1, at) :]
        if not data:
            data = bytearray(b"%PDF-")
    return bytes(data)


SOURCES: Final = [
    (RICH, Type.PDF),
    (a_pdf(2), Type.PDF),
    (many_pages(20), Type.PDF),
    (a_png(), Type.PNG),
    (picture("JPEG"), Type.JPEG),
    (picture("WEBP"), Type.WEBP),
    ("Chào mọi người\n".encode() * 5, Type.TEXT),
]


@pytest.mark.parametrize("batch", range(BATCHES))
async def test_300_spoiled_papers_become_pages_or_are_refused(tmp_path: Path, batch: int) -> None:
    rng = random.Random(SEED + batch)
    gate = asyncio.Semaphore(2)

    async def one(number: int) -> str:
        content, found = SOURCES[number % len(SOURCES)]
        folder = tmp_path / str(number)
        folder.mkdir()
        spoiled = mutated(content, rng)
        async with gate:
            return await outcome(folder, spoiled, found)

    found = await asyncio.gather(*(one(number) for number in range(PER_BATCH)))
    assert len(found) == PER_BATCH
    assert all(one.endswith(" pages") or one.removeprefix("paper.") in renderer.WORDS for one in found), found
    assert any(one.startswith("paper.") for one in found)  # control: some of them are broken
    assert any(one.endswith(" pages") for one in found)


def test_control_the_mutations_do_spoil_and_the_whole_ones_render() -> None:
    rng = random.Random(SEED)
    assert sum(mutated(RICH, rng) != RICH for _ in range(50)) > 45
    assert len(pypdfium2.PdfDocument(RICH)) == 1
