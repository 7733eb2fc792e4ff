"""Pictures as arrays: decoded by what they are, all of one size, grey or in colour; one line says what was done."""

import logging
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.data.files import regular_file
from benchmark.data.levels import as_bytes
from benchmark.errors import RequestError, tell

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".gif", ".tif", ".tiff"}
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "PPM", "GIF", "TIFF")
"""Decoders that are asked, whatever a file's name says: no other gets to see a stranger's file."""
DEEP = {"I;16": "16-bit pixels", "I;16B": "16-bit pixels", "I;16L": "16-bit pixels", "I;16N": "16-bit pixels"}
DEEP |= {"I": "32-bit integer pixels", "F": "float pixels"}
GREY = {"1", "L", "LA", "La", *DEEP}
ORIENTATION = 0x0112
"""The EXIF tag that says how a camera was held: 1 upright, 2 ... 8 not."""
TURNED, LYING = range(2, 9), range(5, 9)
MOST_PIXELS = 2**26
"""Pixels of one picture: a larger one is most likely a scanned slide, or a small file that fills the memory."""
PICTURE_BYTES = 2**30
KEPT_SIDES = range(16, 257)
"""Sides that are kept where all pictures have one size: line-ups need 16, and beyond 256 nothing here is trained."""
RESIZED_SIDE = 32


@dataclass
class Decoded:
    """Pictures of one data set: uint8, or as deep as they were, [h, w] or [h, w, 3]; how many were treated how."""

    pictures: list[np.ndarray]
    treated: Counter[str] = field(default_factory=Counter)


def read_pictures(name: str, files: Sequence[Path], side: int | None = None) -> np.ndarray:
    """Read pictures as uint8 [n, h, w, c], c = 1 if all are grey, else 3, and tell what was done.

    side: what they are resized to, side x side; None: one size of all is kept if both sides are in KEPT_SIDES, else
    they become 32 x 32. Deep pixels are scaled by one rule for all (see `levels`), transparent ones laid on white, and
    pictures turned as their EXIF data say. Raises RequestError, naming the file, if one can't be read.
    """
    with _decoders():
        shapes = {_shape(file) for file in files}
        height, width = _target(shapes, side)
        decoded = Decoded([])
        for file in files:
            decoded.pictures.append(_decode(file, (height, width), decoded.treated))
    treated = [f"{number} {how}" for how, number in sorted(decoded.treated.items())]
    pictures = _equally_deep(name, decoded.pictures, treated)
    if colour := any(picture.ndim == 3 for picture in pictures):
        if greys := sum(picture.ndim == 2 for picture in pictures):
            treated.append(f"{greys} grey, given three equal channels")
        pictures = [np.stack([p] * 3, -1) if p.ndim == 2 else p for p in pictures]
    channels = 3 if colour else 1
    tell(f"{name}: {len(files)} {'colour' if colour else 'grey'} pictures, " + _sized(shapes, (height, width), treated))
    return np.array(pictures, dtype=np.uint8).reshape(-1, height, width, channels)


def _target(shapes: set[tuple[int, int]], side: int | None) -> tuple[int, int]:
    """Return the (height, width) that pictures of these shapes get."""
    if side is not None:
        return side, side
    (shape,) = shapes if len(shapes) == 1 else [(RESIZED_SIDE, RESIZED_SIDE)]
    return shape if all(s in KEPT_SIDES for s in shape) else (RESIZED_SIDE, RESIZED_SIDE)


def _sized(shapes: set[tuple[int, int]], shape: tuple[int, int], treated: Sequence[str]) -> str:
    """Return the end of the line that says what was done."""
    height, width = shape
    if shapes == {shape}:
        words = f"{height} x {width} as they are"
    else:
        sides = sorted(side for found in shapes for side in found)
        were = "x".join(map(str, *shapes)) if len(shapes) == 1 else f"{sides[0]} to {sides[-1]} pixels a side"
        words = f"resized from {were} to {height} x {width}; --image-size N chooses another size"
    return "; ".join([words, *treated])


@contextmanager
def _decoders() -> Iterator[None]:
    """Keep Pillow's warnings and complaints to itself: what matters of them is an error of one line."""
    from PIL import Image

    Image.init()  # knows only some of the formats before
    complaints = logging.getLogger("PIL")
    level = complaints.level
    complaints.setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            yield
        finally:
            complaints.setLevel(level)


@contextmanager
def _opened(path: Path) -> Iterator["Picture"]:
    """Open a picture. Raises RequestError, naming the file, for whatever is wrong with it, then or in the block."""
    from PIL import Image

    try:
        with regular_file(path) as file:
            if path.stat().st_size > PICTURE_BYTES:
                raise RequestError(f"{path} has more than {PICTURE_BYTES >> 20} MiB; make it smaller")
            with Image.open(file, formats=FORMATS) as picture:
                width, height = picture.size
                if width * height > MOST_PIXELS:
                    raise _too_large(path, f"{width} x {height} pixels")
                yield picture
    except RequestError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        declared = re.search(r"\d+ pixels", str(error))
        raise _too_large(path, declared[0] if declared else "too many pixels") from error
    except Exception as error:  # decoders raise what they like
        said = " ".join(str(error).split())
        detail = "" if "cannot identify" in said or not said else f": {said[:120]}"
        raise RequestError(f"{path} is no image that can be read{detail}; repair it, or take it out") from error


def _too_large(path: Path, what: str) -> RequestError:
    return RequestError(
        f"{path} declares {what}; pictures of up to {MOST_PIXELS / 1e6:.0f} million are read: make it smaller"
    )


def _shape(path: Path) -> tuple[int, int]:
    """Return (height, width) as the picture is to be seen, from its header alone."""
    with _opened(path) as picture:
        width, height = picture.size
        return (width, height) if picture.getexif().get(ORIENTATION, 1) in LYING else (height, width)


def _decode(path: Path, shape: tuple[int, int], treated: Counter[str]) -> np.ndarray:
    """Return a picture of this shape, [h, w] if it is grey, [h, w, 3] if not; deep pixels stay deep."""
    from PIL import ImageOps

    with _opened(path) as picture:
        if getattr(picture, "n_frames", 1) > 1:
            treated["with several frames, the first is used"] += 1
        if picture.getexif().get(ORIENTATION, 1) in TURNED:
            treated["turned as their EXIF data say"] += 1
        upright = ImageOps.exif_transpose(picture)
        if upright.mode in DEEP:
            return _resized_deep(upright, shape, path)
        flat, (height, width) = _flat(upright, treated), shape
        return np.asarray(flat if flat.size == (width, height) else flat.resize((width, height)))


def _flat(picture: "Picture", treated: Counter[str]) -> "Picture":
    """Return a picture of 8-bit modes as L, if it is grey, or as RGB: transparent pixels lie on white."""
    from PIL import Image

    grey = picture.mode in GREY
    if picture.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        if layer.getextrema()[-1] != (255, 255):
            treated["with transparency, laid on white"] += 1
        flat = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    else:
        flat = picture.convert("L" if grey else "RGB")
    if picture.mode not in ("1", "L", "LA", "RGB", "RGBA", "P", "PA"):
        treated[f"of mode {picture.mode}, converted"] += 1
    return flat.convert("L") if grey or (picture.mode in ("P", "PA") and _is_grey(flat)) else flat


def _is_grey(picture: "Picture") -> bool:
    pixels = np.asarray(picture)
    return bool((pixels == pixels[..., :1]).all())


def _resized_deep(picture: "Picture", shape: tuple[int, int], path: Path) -> np.ndarray:
    """Return pixels as deep as they are, [h, w]; resized, they stay within what they were."""
    from PIL import Image

    if "transparency" in picture.info:
        raise RequestError(f"{path} has {DEEP[picture.mode]} and transparency, which is not read; take one of them out")
    pixels = np.asarray(picture)
    if not np.isfinite(pixels).all():
        raise RequestError(f"{path} has {DEEP[picture.mode]} that are not finite; replace those")
    if pixels.shape == shape:
        return pixels
    height, width = shape
    resized = np.asarray(Image.fromarray(pixels.astype(np.float32)).resize((width, height)))
    within = resized.clip(pixels.min(), pixels.max())
    return within if pixels.dtype.kind == "f" else np.rint(within).astype(pixels.dtype)


def _equally_deep(name: str, pictures: Sequence[np.ndarray], treated: list[str]) -> list[np.ndarray]:
    """Return pictures as bytes: those of one depth by one scale."""
    result = list(pictures)
    for dtype in sorted({p.dtype.newbyteorder("=") for p in pictures} - {np.dtype(np.uint8)}, key=str):
        places = [i for i, p in enumerate(pictures) if p.dtype.newbyteorder("=") == dtype]
        kind = {"u": "16-bit pixels", "i": "32-bit integer pixels"}.get(dtype.kind, "float pixels")
        scaled, words = as_bytes(name, kind, [pictures[i] for i in places])
        for i, picture in zip(places, scaled, strict=True):
            result[i] = picture
        treated.append(f"{len(places)} with {words}")
    return result


def resize_arrays(name: str, images: np.ndarray, side: int) -> np.ndarray:
    """Return images uint8 [n, h, w, c] as [n, side, side, c], each channel by itself."""
    from PIL import Image

    n, height, width, channels = images.shape
    if (height, width) == (side, side):
        return images
    found = np.empty((n, side, side, channels), dtype=np.uint8)
    for i, image in enumerate(images):
        for c in range(channels):
            found[i, :, :, c] = np.asarray(Image.fromarray(np.ascontiguousarray(image[..., c])).resize((side, side)))
    if n:
        tell(f"{name}: {n} pictures resized from {height} x {width} to {side} x {side}")
    return found
