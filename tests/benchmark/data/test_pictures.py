"""Pictures are decoded by what they are: values worked out by hand, from files of every kind."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from benchmark.data.levels import as_bytes, scale_of
from benchmark.data.pictures import read_pictures, resize_arrays
from benchmark.errors import RequestError, telling

RAMP = np.linspace(0, 1, 256).reshape(16, 16)
"""Every level of 8 bits, once."""


def save(folder, picture, name="p.png", **keywords):
    Image.fromarray(picture).save(folder / name, **keywords) if isinstance(picture, np.ndarray) else picture.save(
        folder / name, **keywords
    )
    return folder / name


def read(*files, side=None):
    """The pictures, and the one line that says what was done."""
    told = []
    with telling(told.append):
        found = read_pictures("set", files, side)
    (line,) = told
    assert line.startswith(f"set: {len(files)} ")
    return found, line


@pytest.mark.parametrize(
    "pixels, suffix, words",
    [
        ((RAMP * 255).round().astype(np.uint8), "png", "16 x 16 as they are"),
        ((RAMP * 65535).round().astype(np.uint16), "png", "1 with 16-bit pixels up to 65535: taken as 16 bits"),
        ((RAMP * 65535).round().astype(np.uint16), "tif", "taken as 16 bits, scaled to 8"),
        ((RAMP * 4095).round().astype(np.uint16), "tif", "16-bit pixels up to 4095: taken as 12 bits"),
        ((RAMP * 1023).round().astype(np.uint16), "png", "up to 1023: taken as 10 bits"),
        ((RAMP * 65535).round().astype(np.int32), "tif", "32-bit integer pixels up to 65535: taken as 16 bits"),
        ((RAMP * 255).round().astype(np.int32), "tif", "32-bit integer pixels up to 255: taken as 8 bits"),
        (RAMP.astype(np.float32), "tif", "float pixels between 0 and 1: scaled to 8 bits"),
        ((RAMP * 255).astype(np.float32), "tif", "float pixels between 0 and 255: rounded to 8 bits"),
        ((RAMP * 2 - 1).astype(np.float32), "tif", "float pixels between -1 and 1: scaled to 8 bits"),
    ],
)
def test_every_depth_gives_the_same_picture(tmp_path, pixels, suffix, words):
    found, line = read(save(tmp_path, pixels, f"p.{suffix}"))
    assert found.shape == (1, 16, 16, 1)
    assert np.abs(found[0, :, :, 0].astype(int) - (RAMP * 255).round()).max() <= 1
    assert words in line


def test_the_scale_is_that_of_all_pictures_not_of_each(tmp_path):
    dark = save(tmp_path, np.full((16, 16), 6553, np.uint16), "dark.png")
    bright = save(tmp_path, np.full((16, 16), 65535, np.uint16), "bright.png")
    found, _ = read(dark, bright)
    assert (found[0] == round(6553 / 257)).all()
    assert (found[1] == 255).all()


@pytest.mark.parametrize(
    "pixels, message",
    [
        (
            np.full((16, 16), 70000, np.int32),
            "32-bit integer pixels from 70000 to 70000; .* are read within 0 ... 65535",
        ),
        (np.full((16, 16), -1, np.int32), "32-bit integer pixels from -1 to -1"),
        (np.full((16, 16), -1024, np.float32), "float pixels from -1024 to -1024; .* within 0 ... 1, -1 ... 1 or 0"),
        (np.full((16, 16), 300, np.float32), "float pixels from 300 to 300"),
        (np.full((16, 16), np.nan, np.float32), "float pixels that are not finite"),
        (np.full((16, 16), np.inf, np.float32), "float pixels that are not finite"),
    ],
)
def test_depths_whose_scale_would_be_a_guess_are_refused_by_name(tmp_path, pixels, message):
    with pytest.raises(RequestError, match=message):
        read_pictures("set", [save(tmp_path, pixels, "p.tif")])


def test_deep_pictures_keep_their_range_when_they_are_resized(tmp_path):
    """Bicubic resizing of a checkerboard overshoots both of its levels."""
    board = (np.indices((64, 64)).sum(0) // 8 % 2 * 60000 + 5000).astype(np.uint16)
    found, _ = read(save(tmp_path, board), side=24)
    assert found.shape == (1, 24, 24, 1)
    assert (found.min(), found.max()) == (round(5000 / 257), round(65000 / 257))


RED, CLEAR = (255, 0, 0), (0, 0, 0, 0)


@pytest.mark.parametrize(
    "mode, colour, expected",
    [
        ("RGBA", CLEAR, [255, 255, 255]),  # black that nobody sees
        ("RGBA", (255, 0, 0, 255), [255, 0, 0]),
        ("RGBA", (0, 0, 0, 128), [127, 127, 127]),
        ("LA", (0, 0), [255]),
        ("LA", (10, 255), [10]),
        ("L", 10, [10]),
        ("1", 1, [255]),
        ("RGB", RED, [255, 0, 0]),
    ],
)
def test_alpha_lies_on_white_and_grey_stays_grey(tmp_path, mode, colour, expected):
    found, line = read(save(tmp_path, Image.new(mode, (16, 16), colour)))
    assert found[0, 3, 3].tolist() == expected
    assert ("1 with transparency, laid on white" in line) == (mode in ("RGBA", "LA") and colour[-1] < 255)


def test_palettes_are_looked_up(tmp_path):
    coloured = Image.new("RGB", (16, 16), RED)
    coloured.putpixel((0, 0), (0, 255, 0))
    found, _ = read(save(tmp_path, coloured.quantize(4), "p.png"))
    assert (found[0, 0, 0].tolist(), found[0, 5, 5].tolist()) == ([0, 255, 0], [255, 0, 0])
    grey = Image.new("RGB", (16, 16), (7, 7, 7)).quantize(4)
    assert read(save(tmp_path, grey, "q.png"))[0].shape == (1, 16, 16, 1)


def test_a_palette_with_a_transparent_colour_lies_on_white(tmp_path):
    picture = Image.new("P", (16, 16), 1)
    picture.putpalette([9, 9, 9, 200, 0, 0])
    found, line = read(save(tmp_path, picture, "p.gif", transparency=1))
    assert found[0, 2, 2].tolist() in ([255, 255, 255], [255])
    assert "laid on white" in line


def test_cmyk_is_converted(tmp_path):
    found, line = read(save(tmp_path, Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "p.tif"))
    assert found[0, 2, 2].tolist() == [255, 0, 0]
    assert "1 of mode CMYK, converted" in line


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_as_their_camera_was_held(tmp_path, orientation):
    """One bright corner, and where it is once the picture is upright (EXIF 2.3, tag 274)."""
    pixels = np.zeros((20, 30), np.uint8)
    pixels[:10, :10] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    found, line = read(save(tmp_path, pixels, exif=exif))
    lying = orientation >= 5
    assert found.shape == ((1, 30, 20, 1) if lying else (1, 20, 30, 1))
    corners = {(a, b): found[0, a, b, 0] for a in (0, -1) for b in (0, -1)}
    bright = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
    assert [corner for corner, value in corners.items() if value == 255] == [bright[orientation]]
    assert ("turned as their EXIF data say" in line) == (orientation > 1)


def test_grey_and_coloured_pictures_together_are_coloured(tmp_path):
    files = [
        save(tmp_path, Image.new("L", (16, 16), 9), "a.png"),
        save(tmp_path, Image.new("RGB", (16, 16), RED), "b.png"),
    ]
    found, line = read(*files)
    assert found[:, 0, 0].tolist() == [[9, 9, 9], [255, 0, 0]]
    assert "2 colour pictures" in line
    assert "1 grey, given three equal channels" in line


@pytest.mark.parametrize(
    "sizes, side, expected, words",
    [
        ([(28, 28)] * 2, None, (28, 28), "28 x 28 as they are"),
        ([(40, 20)] * 2, None, (20, 40), "20 x 40 as they are"),
        ([(28, 28), (40, 20)], None, (32, 32), "resized from 20 to 40 pixels a side to 32 x 32; --image-size N"),
        ([(8, 8)] * 2, None, (32, 32), "resized from 8x8 to 32 x 32; --image-size N chooses another size"),
        ([(600, 400)] * 2, None, (32, 32), "resized from 400x600 to 32 x 32"),
        ([(28, 28), (40, 20)], 64, (64, 64), "resized from 20 to 40 pixels a side to 64 x 64"),
        ([(600, 400)] * 2, 300, (300, 300), "to 300 x 300"),
        ([(28, 28)] * 2, 28, (28, 28), "28 x 28 as they are"),
    ],
)
def test_one_size_is_kept_and_others_are_resized_and_told_of(tmp_path, sizes, side, expected, words):
    files = [save(tmp_path, Image.new("L", size, 9), f"{i}.png") for i, size in enumerate(sizes)]
    found, line = read(*files, side=side)
    assert found.shape == (2, *expected, 1)
    assert words in line


def test_of_several_frames_the_first_is_used(tmp_path):
    frames = [Image.new("L", (16, 16), level) for level in (9, 200)]
    for name in ("a.gif", "b.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        found, line = read(tmp_path / name)
        assert (found == 9).all()
        assert "1 with several frames, the first is used" in line


def png(width, height, data=b"", depth=1, colour=0):
    """A .png that declares a size, whatever it holds."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "width, height", [(14000, 14000), (9000, 9000), (2**31 - 1, 2**31 - 1), (10**6, 200), (1, 2**28)]
)
def test_huge_declared_sizes_are_one_line(tmp_path, width, height, capfd):
    (tmp_path / "bomb.png").write_bytes(png(width, height))
    with pytest.raises(RequestError) as error:
        read_pictures("set", [tmp_path / "bomb.png"])
    assert "bomb.png" in str(error.value)
    assert "\n" not in str(error.value)
    assert "Warning" not in capfd.readouterr().err


FORMATS = {
    "a.png": {},
    "a.jpg": {},
    "a.bmp": {},
    "a.webp": {},
    "a.gif": {},
    "a.ppm": {},
    "a.tif": {"compression": "tiff_lzw"},
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("damage", ["cut off", "cut short", "header", "noise", "empty", "text"])
def test_damaged_files_of_every_format_are_one_line_or_read(tmp_path, name, damage):
    noisy = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    file = save(tmp_path, noisy, name, **FORMATS[name])
    data = bytearray(file.read_bytes())
    match damage:
        case "cut off":
            del data[len(data) // 2 :]
        case "cut short":
            del data[40:]
        case "header":
            data[4:20] = b"\xff" * 16
        case "noise":
            data[30:-10] = np.random.default_rng(1).bytes(len(data) - 40)
        case "empty":
            data.clear()
        case "text":
            data[:] = b"not a picture"
    file.write_bytes(data)
    try:
        found = read_pictures("set", [file])
    except RequestError as error:
        assert f"{name} " in str(error)
        assert "\n" not in str(error)
    else:
        assert damage in ("noise", "header", "cut off")  # formats without a checksum can't tell
        assert found.dtype == np.uint8


def test_a_file_is_what_it_holds_but_only_of_the_formats_that_are_read(tmp_path):
    save(tmp_path, Image.new("L", (16, 16), 9), "p.png").rename(tmp_path / "p.jpg")
    assert (read(tmp_path / "p.jpg")[0] == 9).all()
    (tmp_path / "p.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n")
    (tmp_path / "p.eps").rename(tmp_path / "q.png")
    with pytest.raises(RequestError, match=r"q.png is no image that can be read"):
        read_pictures("set", [tmp_path / "q.png"])


def test_pipes_and_folders_with_a_picture_s_name_do_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    for name in ("pipe.png", "folder.png"):
        with pytest.raises(RequestError, match=f"{name} is no image that can be read"):
            read_pictures("set", [tmp_path / name])


def test_what_decoders_complain_of_is_the_one_line_alone(tmp_path, caplog):
    """A .tif of 239 samples per pixel (tag 277), which Pillow reports to its log as well."""
    file = save(tmp_path, np.zeros((16, 16, 3), np.uint8), "p.tif")
    data = file.read_bytes()
    entry = struct.pack("<HHI", 277, 3, 1)
    assert data.count(entry) == 1
    file.write_bytes(data.replace(entry + b"\x03", entry + b"\xef"))
    with pytest.raises(RequestError, match=r"p\.tif is no image that can be read"):
        read_pictures("set", [file])
    assert caplog.text == ""


def test_other_modes_are_converted_and_told_of(tmp_path):
    _, line = read(save(tmp_path, Image.new("LAB", (16, 16), (255, 128, 128)), "p.tif"))
    assert "1 of mode LAB, converted" in line
    found, line = read(save(tmp_path, Image.new("YCbCr", (16, 16), (76, 85, 255)), "q.jpg"))
    assert found.shape == (1, 16, 16, 3)


def test_arrays_are_resized_channel_by_channel():
    x = np.stack([np.full((3, 8, 8), level, np.uint8) for level in (1, 100, 200, 7, 9)], -1)
    told = []
    with telling(told.append):
        assert resize_arrays("set", x, 8) is x
        found = resize_arrays("set", x, 20)
    assert found.shape == (3, 20, 20, 5)
    assert found[1, 7, 7].tolist() == [1, 100, 200, 7, 9]
    assert told == ["set: 3 pictures resized from 8 x 8 to 20 x 20"]
    assert resize_arrays("set", x[:0], 20).shape == (0, 20, 20, 5)


@pytest.mark.parametrize(
    "low, high, whole, pixel, expected",
    [
        (0, 255, True, 128, 128),
        (0, 256, True, 256, 64),  # ten bits
        (0, 1023, True, 1023, 255),
        (0, 65535, True, 257, 1),
        (0, 1, False, 0.5, 128),
        (-1, 1, False, 0.0, 128),
        (-1, 1, False, -1.0, 0),
        (0, 1.5, False, 1.5, 2),
    ],
)
def test_scales_by_hand(low, high, whole, pixel, expected):
    assert scale_of("set", "pixels", low, high, whole).applied(np.array([pixel])).tolist() == [expected]


def test_every_byte_survives_the_way_to_floats_and_back():
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    for floats in (every / np.float32(255), every.astype(np.float32) / 127.5 - 1, every.astype(np.float64)):
        assert np.array_equal(as_bytes("set", "pixels", [floats])[0][0], every)
    assert as_bytes("set", "pixels", [every])[1] is None
