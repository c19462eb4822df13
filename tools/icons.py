"""Draws the icons in ``web_client/public`` from ``icon.svg`` with Chromium: ``python tools/icons.py``."""

import base64
import io
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
PUBLIC = ROOT / "web_client" / "public"
GROUND = "#0b4f6c"
DRAWN_PX = 1024
# File name: size, how much of it the drawing takes, and whether the ground reaches the edge. What a launcher cuts to
# its own shape keeps a margin; 0.8 of the width is what every shape leaves.
ICONS = {
    "icon-192.png": (192, 1.0, False),
    "icon-512.png": (512, 1.0, False),
    "icon-maskable-512.png": (512, 0.8, True),
    "icon-apple-180.png": (180, 0.9, True),
}
_DEADLINE_S = 120
_FRAME_PX = 200  # a headless window may count its frame
_COLOURS = 64


def page(svg: bytes, part: float, full: bool) -> str:
    """Return a page that shows the drawing in the middle, on the ground or on nothing."""
    shown = base64.b64encode(svg).decode()
    side = round(DRAWN_PX * part)
    margin = (DRAWN_PX - side) // 2
    ground = GROUND if full else "transparent"
    style = f"html,body{{margin:0;background:{ground}}}img{{position:absolute;left:{margin}px;top:{margin}px}}"
    return f'<style>{style}</style><img width={side} height={side} src="data:image/svg+xml;base64,{shown}">'


def draw(chromium: str, name: str) -> Image.Image:
    """Return one icon as Chromium draws it; raises ``subprocess`` errors when it does not."""
    size, part, full = ICONS[name]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "icon.html", Path(folder) / "icon.png"
        source.write_text(page((PUBLIC / "icon.svg").read_bytes(), part, full))
        words = [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
        ]
        words += [f"--user-data-dir={folder}/profile", "--default-background-color=00000000"]
        words += [
            f"--window-size={DRAWN_PX + _FRAME_PX},{DRAWN_PX + _FRAME_PX}",
            f"--screenshot={target}",
            source.as_uri(),
        ]
        subprocess.run(words, check=True, capture_output=True, timeout=_DEADLINE_S)
        drawn = Image.open(io.BytesIO(target.read_bytes())).convert("RGBA").crop((0, 0, DRAWN_PX, DRAWN_PX))
    small = drawn.resize((size, size), Image.Resampling.LANCZOS)
    return small.quantize(_COLOURS, method=Image.Quantize.FASTOCTREE)


def main() -> int:
    """Write every icon anew."""
    from tools.house import find_chromium

    chromium = find_chromium()
    if chromium is None:
        print("no Chromium: install the package chromium or set CHROME_BIN", file=sys.stderr)
        return 1
    for name in ICONS:
        draw(chromium, name).save(PUBLIC / name, optimize=True)
        print(name, (PUBLIC / name).stat().st_size)
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
