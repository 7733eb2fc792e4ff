import importlib
import inspect

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.conformance.toy import make_task
from benchmark.data import Arrays, Source, checked, load_dataset, read_image_folder, read_npz
from benchmark.errors import RequestError
from benchmark.plugins import registry

RNG = np.random.default_rng(0)
GOOD = {
    "x_train": RNG.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8),
    "y_train": np.array([0, 1, 2, 0, 1, 2]),
    "x_test": RNG.integers(0, 256, (3, 8, 8, 3), dtype=np.uint8),
    "y_test": np.array([0, 1, 2]),
}

OWNED = {"owners_train": np.array([7, 7, 8, 8, 9, 9]), "owners_test": np.array([7, 9, -1])}


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
    assert (arrays.classes, arrays.left_out) == (("a", "b", "c"), ("d",))


def test_owners_are_read_kept_and_in_the_hash_where_there_are_any(tmp_path):
    plain, owned = read_npz(write(tmp_path)), read_npz(write(tmp_path, **OWNED))
    assert plain.owners is None
    assert owned.owners.tolist() == [7, 7, 8, 8, 9, 9, 7, 9, -1]
    swapped = read_npz(write(tmp_path, **OWNED | {"owners_test": np.array([9, 7, -1])}))
    assert len({plain.hash, owned.hash, swapped.hash}) == 3
    folder = tmp_path / "data"
    assert load_dataset("set", Source(lambda downloads: owned), folder).hash == owned.hash
    assert read_npz(folder / "set.npz").hash == owned.hash


def test_a_column_of_owners_is_taken_as_one(tmp_path):
    columns = {key: value[:, None].astype(np.int32) for key, value in OWNED.items()}
    assert read_npz(write(tmp_path, **columns)).hash == read_npz(write(tmp_path, **OWNED)).hash


def test_the_hash_of_data_without_owners_is_what_it_was(tmp_path):
    """Computed by the code from before there were owners: the keys of stored results rest on it."""
    x, y = np.arange(48, dtype=np.uint8).reshape(3, 4, 4, 1), np.array([0, 1, 2])
    assert checked("set", x, y, x, y).hash == "993ccf988facc215"


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
        ({"owners_train": GOOD["y_train"]}, "it has owners_train alone, which needs the other"),
        ({"owners_test": GOOD["y_test"]}, "it has owners_test alone"),
        (OWNED | {"owners_test": GOOD["y_train"]}, "owners_test has 6 owners and y_test 3 labels"),
        (OWNED | {"owners_train": OWNED["owners_train"] / 2}, "owners_train is float64 [6]"),
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


def test_a_constant_channel_is_left_at_zero():
    arrays = checked("set", **(GOOD | {"x_train": GOOD["x_train"] * 0 + 9}))
    assert arrays.statistics[1].tolist() == [1, 1, 1]


def test_a_batch_is_normalised():
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


def stand_in(monkeypatch, name, **attributes):
    """torchvision.datasets.<name> with a constructor that reads nothing; returns the keywords it was given."""
    import torchvision

    asked = []

    def constructor(self, root, **keywords):
        asked.append(keywords)
        for key, value in attributes.items():
            setattr(self, key, value)

    monkeypatch.setattr(getattr(torchvision.datasets, name), "__init__", constructor)
    return asked


def test_emnist_comes_upright(tmp_path, monkeypatch):
    """As torchvision has it, an image's first row is the letter's first column."""
    lying = torch.arange(47, dtype=torch.uint8)[:, None, None] + torch.tensor([[0, 10], [20, 30]], dtype=torch.uint8)
    classes = [chr(ord("0") + label) for label in range(47)]
    asked = stand_in(monkeypatch, "EMNIST", data=lying, targets=torch.arange(47), classes=classes)
    arrays = importlib.import_module("datasets.sources.emnist").SOURCE.load(tmp_path)
    assert [(k["split"], k["train"], k["download"]) for k in asked] == [("balanced", b, True) for b in (True, False)]
    assert arrays.x_train[3, :, :, 0].tolist() == arrays.x_test[3, :, :, 0].tolist() == [[3, 23], [13, 33]]
    assert arrays.classes == tuple(classes)
    assert arrays.owners is None


def test_qmnist_s_owners_are_its_writers(tmp_path, monkeypatch):
    """Columns of the extended labels: class, NIST's series, writer, and five that matter to nobody here."""
    targets = torch.zeros(10, 8, dtype=torch.int64)
    targets[:, 0], targets[:, 1], targets[:, 2] = torch.arange(10), 4, torch.arange(10) // 2 + 2100
    asked = stand_in(monkeypatch, "QMNIST", data=torch.zeros(10, 28, 28, dtype=torch.uint8), targets=targets)
    arrays = importlib.import_module("datasets.sources.qmnist").SOURCE.load(tmp_path)
    assert [(k["compat"], k["train"]) for k in asked] == [(False, True), (False, False)]
    assert arrays.y_test.tolist() == list(range(10))
    assert arrays.owners.tolist() == [2100, 2100, 2101, 2101, 2102, 2102, 2103, 2103, 2104, 2104] * 2
    assert len(arrays.classes) == 10


def test_torchvision_still_takes_what_the_sources_give():
    """The stand-ins above take any keyword; the real constructors have to have these."""
    from torchvision import datasets

    assert "split" in inspect.signature(datasets.EMNIST).parameters
    assert "balanced" in datasets.EMNIST.splits
    assert len(datasets.EMNIST.classes_split_dict["balanced"]) == 47
    assert {"compat", "train"} <= set(inspect.signature(datasets.QMNIST).parameters)


MINE = """
import numpy as np
from benchmark.api import Arrays, Source

def load(downloads):
    assert downloads.is_dir()
    print("fetching")
    y = np.arange(6) % 2
    x = np.zeros((6, 8, 8), dtype=np.uint8)
    return Arrays(x, y, x, y, ("a", "b"), owners_train=y + 5, owners_test=y + 7)

SOURCE = Source(load, target=75.0)
"""


def test_one_s_own_data_set_is_code_and_is_kept_nowhere(tmp_path, capsys):
    (tmp_path / "my_data.py").write_text(MINE)
    folder = tmp_path / "data"
    name, arrays, target = registry.dataset(str(tmp_path / "my_data.py"), folder)
    assert (name, target, arrays.classes) == ("my-data", 75.0, ("a", "b"))
    assert arrays.images.shape == (12, 8, 8, 1)  # checked and in canonical shape
    assert arrays.owners.tolist() == [5, 6] * 3 + [7, 8] * 3
    assert not folder.exists()
    assert capsys.readouterr().out == ""  # what a source says is no result
    (tmp_path / "my_data.py").write_text(MINE.replace("np.zeros", "np.ones"))
    assert registry.dataset(str(tmp_path / "my_data.py"), folder)[1].hash != arrays.hash


def test_one_s_own_data_set_from_an_installed_package(tmp_path, monkeypatch):
    (tmp_path / "a_package_of_data").mkdir()
    (tmp_path / "a_package_of_data" / "my_data.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    assert registry.dataset("a_package_of_data.my_data", tmp_path / "data")[0] == "my-data"


def test_a_path_to_a_source_that_is_here_is_that_data_set(tmp_path):
    path = registry.catalogue("datasets.sources")["digits"]
    assert (
        registry.dataset(str(path), tmp_path)[0] == registry.dataset("datasets.sources.digits", tmp_path)[0] == "digits"
    )
    assert (tmp_path / "digits.npz").exists()


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "there is no file"),
        ("x = 1", "mine.py has no SOURCE; it needs SOURCE = Source(load)"),
        ("SOURCE = 3", "mine.py has a SOURCE of type int"),
        ("1 / 0", "mine.py can't be imported: ZeroDivisionError: division by zero"),
        ("import nothing_at_all", "can't be imported: ModuleNotFoundError"),
        (MINE.replace("np.zeros((6", "np.zeros((5"), "mine.py: x_train has 5 images and y_train 6 labels"),
        (MINE.replace("dtype=np.uint8", "dtype=float"), "mine.py: x_train is float64 [6, 8, 8]"),
        (MINE.replace("return Arrays", "return dict(a=1) or Arrays"), "gives a dict, not Arrays of benchmark.api"),
        (MINE.replace("assert downloads.is_dir()", "raise KeyError('two\\nlines')"), "fails: KeyError"),
    ],
)
def test_a_file_that_is_no_data_set_is_named_in_one_line(tmp_path, content, message):
    if content is not None:
        (tmp_path / "mine.py").write_text(content)
    with pytest.raises(RequestError) as error:
        registry.dataset(str(tmp_path / "mine.py"), tmp_path / "data")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_one_s_own_data_set_takes_no_other_s_name(tmp_path):
    (tmp_path / "digits.py").write_text(MINE)
    with pytest.raises(RequestError, match="has the name of a data set that is here already"):
        registry.dataset(str(tmp_path / "digits.py"), tmp_path / "data")


def test_the_order_of_samples_makes_no_other_data_set():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (20, 4, 4, 1), np.uint8), np.arange(20) % 2
    order = rng.permutation(20)

    def arrays(x, y):
        return Arrays(x[:15], y[:15], x[15:], y[15:], ("a", "b"))

    found = Arrays(x, y, x, y, ("a", "b")).fingerprint
    assert Arrays(x[order], y[order], x, y, ("a", "b")).fingerprint == found
    assert Arrays(x[order], y, x, y, ("a", "b")).fingerprint != found
    assert arrays(x, y).fingerprint != arrays(x, 1 - y).fingerprint
    x[3, 0, 0, 0] ^= 1
    assert Arrays(x, y, x, y, ("a", "b")).fingerprint != found


def test_other_data_under_a_known_name_are_refused(tmp_path):
    x, y = np.zeros((4, 4, 4, 1), np.uint8), np.arange(4) % 2
    arrays = Arrays(x, y, x, y, ("0", "1"))
    known = Source(lambda downloads: arrays, fingerprint=arrays.fingerprint)
    assert load_dataset("known", known, tmp_path).hash == load_dataset("known", known, tmp_path).hash
    with pytest.raises(RequestError, match=r"known\.npz does not hold known: .* --datasets .*known\.npz"):
        load_dataset("known", Source(lambda downloads: arrays, fingerprint="0" * 32), tmp_path)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "digits"])
def test_the_data_sets_here_have_their_fingerprints(name, real_data, tmp_path):
    folder = tmp_path if name == "digits" else real_data(name)
    _, arrays, _ = registry.dataset(name, folder)
    assert arrays.fingerprint == importlib.import_module(f"datasets.sources.{name}").SOURCE.fingerprint
