import numpy as np
import pytest
from PIL import Image

from benchmark import registry
from benchmark.data import Arrays, Source, checked, load_dataset, read_image_folder, read_npz
from benchmark.errors import RequestError

RNG = np.random.default_rng(0)
GOOD = {
    "x_train": RNG.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8),
    "y_train": np.array([0, 1, 2, 0, 1, 2]),
    "x_test": RNG.integers(0, 256, (3, 8, 8, 3), dtype=np.uint8),
    "y_test": np.array([0, 1, 2]),
}


def write(folder, **changes):
    np.savez(folder / "set.npz", **{k: v for k, v in (GOOD | changes).items() if v is not None})
    return folder / "set.npz"


def test_a_file_in_the_keras_layout(tmp_path):
    arrays = read_npz(write(tmp_path))
    assert arrays.x_train.shape == (6, 8, 8, 3)
    assert arrays.classes == ("0", "1", "2")
    assert np.array_equal(arrays.labels, [0, 1, 2, 0, 1, 2, 0, 1, 2])
    assert np.array_equal(arrays.images[6:], GOOD["x_test"])


def test_column_labels_grey_images_and_class_names(tmp_path):
    path = write(
        tmp_path,
        y_train=GOOD["y_train"][:, None],
        x_train=GOOD["x_train"][..., 0],
        x_test=GOOD["x_test"][..., 0],
        classes=np.array(["a", "b", "c", "d"]),
    )
    arrays = read_npz(path)
    assert arrays.x_train.shape == (6, 8, 8, 1)
    assert arrays.y_train.shape == (6,)
    assert arrays.classes == ("a", "b", "c", "d")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"y_test": None}, "has no y_test, it has x_train, y_train, x_test"),
        ({"x_train": GOOD["x_train"].astype(float)}, "x_train is float64 [6, 8, 8, 3]"),
        ({"x_train": GOOD["x_train"][0]}, "x_train has 8 images and y_train 6 labels"),
        ({"x_test": GOOD["x_test"][:, :4]}, "x_train is [6, 8, 8, 3] and x_test [3, 4, 8, 3]"),
        ({"y_train": GOOD["y_train"][:5]}, "x_train has 6 images and y_train 5 labels"),
        ({"y_train": GOOD["y_train"] / 2}, "y_train is float64 [6]"),
        ({"y_train": GOOD["y_train"] - 1}, "labels run from -1 to 2"),
        ({"y_train": GOOD["y_train"] * 7}, "labels run from 0 to 14, with 5 classes"),
        ({"classes": np.array([["a", "b", "c"]])}, "classes is [1, 3], not a list of names"),
        ({"classes": np.array("abc")}, "classes is [], not a list of names"),
        ({"classes": np.array(["a", "b"])}, "labels run from 0 to 2, with 2 classes"),
        ({"y_train": GOOD["y_train"] * 0, "y_test": GOOD["y_test"] * 0}, "there is only one class"),
        ({"x_train": np.array([{"a": 1}], dtype=object)}, "it holds an object array"),
        ({"x_train": GOOD["x_train"][:0], "y_train": GOOD["y_train"][:0]}, "x_train is empty"),
    ],
)
def test_what_is_not_the_layout_is_named_in_one_line(tmp_path, changes, message):
    with pytest.raises(RequestError) as error:
        read_npz(write(tmp_path, **changes))
    assert message in str(error.value)
    assert "expected keys x_train" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "set.npz").write_bytes(content)
    with pytest.raises(RequestError, match="it is damaged"):
        read_npz(tmp_path / "set.npz")


def test_an_array_alone_is_refused(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    with pytest.raises(RequestError, match="it is damaged"):
        read_npz(tmp_path / "one.npz")


def test_a_source_is_asked_once_and_its_arrays_are_kept(tmp_path):
    asked = []

    def load(downloads):
        asked.append(downloads)
        return checked("set", **GOOD)

    folder = tmp_path / "new" / "data"
    first = load_dataset("set", Source(load), folder)
    second = load_dataset("set", Source(load), folder)
    assert len(asked) == 1
    assert not asked[0].exists()
    assert first.hash == second.hash
    assert [p.name for p in folder.iterdir()] == ["set.npz"]


def test_a_source_that_fails_says_where_to_put_the_file(tmp_path):
    def load(downloads):
        raise OSError("no route to host")

    with pytest.raises(RequestError, match=r"set can't be fetched \(no route to host\); put it at .*set.npz"):
        load_dataset("set", Source(load), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_hash_tells_apart_images_labels_and_splits():
    def variant(**changes):
        return checked("set", **(GOOD | changes)).hash

    flipped = GOOD["x_test"].copy()
    flipped[0, 0, 0, 0] ^= 1
    assert len({variant(), variant(x_test=flipped), variant(y_test=np.array([0, 2, 1]))}) == 3
    assert variant() == checked("other", **GOOD).hash


def test_statistics_are_those_of_the_training_images():
    mean, std = checked("set", **GOOD).statistics
    np.testing.assert_allclose(mean, GOOD["x_train"].reshape(-1, 3).mean(0))
    np.testing.assert_allclose(std, GOOD["x_train"].reshape(-1, 3).std(0))


def test_a_constant_channel_is_left_at_zero(make_task):
    arrays = checked("set", **(GOOD | {"x_train": GOOD["x_train"] * 0 + 9}))
    assert arrays.statistics[1].tolist() == [1, 1, 1]


def test_a_batch_is_normalised(make_task):
    task = make_task()
    indices = task.clients[0].train[:3]
    x, y = task.batch(indices)
    expected = (task.images[indices].permute(0, 3, 1, 2).float() - 127.5) / 74
    assert x.shape == (3, 2, 5, 5)
    np.testing.assert_allclose(x.numpy(), expected.numpy(), atol=1e-6)
    assert y.tolist() == task.labels[indices].tolist()


def image(path, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (10, 12), colour).save(path)


def test_an_image_folder(tmp_path):
    image(tmp_path / "cat" / "1.png", (255, 0, 0))
    image(tmp_path / "dog" / "1.jpg", (0, 0, 255))
    image(tmp_path / "dog" / "2.png", (0, 0, 255))
    (tmp_path / "dog" / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden").mkdir()
    arrays = read_image_folder(tmp_path)
    assert arrays.classes == ("cat", "dog")
    assert arrays.y_train.tolist() == [0, 1, 1]
    assert arrays.x_train.shape == (3, 32, 32, 3)
    assert arrays.x_train[0, 16, 16].tolist() == [255, 0, 0]
    assert len(arrays.x_test) == 0


def test_an_image_folder_with_train_and_test(tmp_path):
    for split, name in (("train", "a"), ("train", "b"), ("test", "b")):
        image(tmp_path / split / name / "1.png", (1, 2, 3))
    arrays = read_image_folder(tmp_path)
    assert (arrays.y_train.tolist(), arrays.y_test.tolist()) == ([0, 1], [1])


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(RequestError, match="has no images"):
        read_image_folder(tmp_path)


def test_digits_are_inside_scikit_learn(tmp_path):
    name, arrays, target = registry.dataset("digits", tmp_path)
    assert (name, target) == ("digits", 90.0)
    assert arrays.images.shape == (1797, 32, 32, 1)
    assert (arrays.images.min(), arrays.images.max()) == (0, 255)
    assert isinstance(arrays, Arrays)
    assert (tmp_path / "digits.npz").exists()


@pytest.mark.parametrize("name, mean", [("cifar10", [0.4914, 0.4822, 0.4465]), ("cifar100", [0.5071, 0.4865, 0.4409])])
def test_the_real_sets_have_the_means_everybody_uses(name, mean, real_data):
    _, arrays, _ = registry.dataset(name, real_data(name))
    np.testing.assert_allclose(arrays.statistics[0] / 255, mean, atol=1e-4)
    assert len(arrays.images) == 60_000


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "cifar100", "svhn"])
def test_named_sets_come_through_torchvision(name, tmp_path, monkeypatch):
    """The constructor is torchvision's, the files are not: what it would read is put in its place."""
    import importlib

    import torchvision

    source = importlib.import_module("datasets.sources." + name.replace("-", "_")).SOURCE
    dataset = getattr(torchvision.datasets, *source.load.args)
    shape = {"svhn": (20, 3, 32, 32), "mnist": (20, 28, 28), "fashion-mnist": (20, 28, 28)}.get(name, (20, 32, 32, 3))

    def fill(self):
        self.data = np.zeros(shape, dtype=np.uint8)
        setattr(self, "labels" if name == "svhn" else "targets", list(range(10)) * 2)

    def with_train(self, root, train, download):
        assert train in (True, False)
        fill(self)

    def with_split(self, root, split, download):
        assert split in ("train", "test")
        fill(self)

    monkeypatch.setattr(dataset, "__init__", with_split if name == "svhn" else with_train)
    arrays = source.load(tmp_path)
    assert arrays.x_train.shape[1:] in ((32, 32, 3), (28, 28, 1))
    assert len(arrays.labels) == 40
