"""Whatever bytes stand in a file of data: it is read, or refused in one line; the generator's seed is fixed."""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from PIL import Image

from benchmark.data.folders import read_folder
from benchmark.data.npz import read_npz
from benchmark.data.unpickling import read_plain
from benchmark.errors import RequestError

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (12, 16, 16), dtype=np.uint8)


def saved(save, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def picture(mode, form):
    file = io.BytesIO()
    Image.fromarray(X[0]).convert(mode).save(file, form)
    return file.getvalue()


USERS = {u: {"x": X[:3].reshape(3, -1).tolist(), "y": [0, 1, 2]} for u in "uv"}
CLIENT = saved(np.savez, data={"x": X[:6, None] / 255, "y": np.arange(6) % 3})
FILES = {
    "set.npz": saved(np.savez_compressed, x_train=X, y_train=np.arange(12) % 3, x_test=X[:3], y_test=np.arange(3)),
    "folder/train/0.npz": CLIENT,
    "folder/train/u.json": json.dumps({"users": ["u", "v"], "user_data": USERS}).encode(),
    "folder/labels.csv": b"file,label,patient\n1.png,a,p\n2.png,b,q\n",
    "folder/a/1.png": picture("RGBA", "PNG"),
    "folder/a/1.jpg": picture("L", "JPEG"),
    "folder/a/1.gif": picture("P", "GIF"),
    "folder/a/1.tif": picture("F", "TIFF"),
    "folder/a/1.webp": picture("RGB", "WEBP"),
    "folder/a/1.bmp": picture("RGB", "BMP"),
}
EDITS = st.lists(
    st.tuples(st.floats(0, 1, allow_subnormal=False), st.integers(0, 60), st.binary(max_size=40)),
    min_size=1,
    max_size=6,
)
"""(place as a share of the file, bytes that go, bytes that come)"""


def edited(content, edits):
    for place, gone, new in edits:
        at = int(place * len(content))
        content = content[:at] + new + content[at + gone :]
    return content


def repacked(content):
    """A client's file with these bytes as its member, whole as a zip, so that what comes later sees them."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data.npy", content)
    return file.getvalue()


@seed(16)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("name", [*FILES, "folder/train/0.npz repacked"])
@given(edits=EDITS)
def test_a_file_is_read_or_refused_in_one_line(tmp_path, name, edits):
    path = tmp_path / name.removesuffix(" repacked")
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith("repacked"):
        member = zipfile.ZipFile(io.BytesIO(CLIENT)).read("data.npy")
        path.write_bytes(repacked(edited(member, edits)))
    else:
        path.write_bytes(edited(FILES[name], edits))
    if "/a/" in name or name.endswith(".csv"):
        for other in ("1.png", "2.png", "b/2.png"):
            (tmp_path / "folder" / other).parent.mkdir(exist_ok=True)
            Image.new("L", (16, 16)).save(tmp_path / "folder" / other)
    try:
        found = read_npz(path) if name == "set.npz" else read_folder(tmp_path / "folder")
    except RequestError as error:
        assert "\n" not in str(error)
    else:
        assert found.x_train.dtype == np.uint8
        assert found.labels.max() == len(found.classes) - 1


@seed(16)
@settings(max_examples=300, deadline=None)
@given(edits=EDITS, protocol=st.integers(3, 4))
def test_a_pickle_gives_plain_content_or_an_error(edits, protocol):
    value = {"x": X[:2], "y": [1, 2.5, "a", np.int64(3)], "z": np.array(["a"], dtype=object), "n": None}

    def plain(found):
        if isinstance(found, dict | list):
            return all(map(plain, [*found.values(), *found] if isinstance(found, dict) else found))
        return found is None or isinstance(found, np.ndarray | str | bytes | int | float)

    try:
        found = read_plain(edited(pickle.dumps(value, protocol=protocol), edits))
    except Exception:  # whichever error the damage is
        return
    assert plain(found)
