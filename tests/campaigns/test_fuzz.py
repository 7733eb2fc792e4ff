"""Inputs that nobody would give: each is answered in one line, or works; nothing else happens.

MHPFL_INPUTS=3000 python -m pytest tests/campaigns/test_fuzz.py -s        the full form, `make fuzz`
"""

import io
import json
import math
import os
import shutil
import time
import warnings
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmark.cli.commands import main
from benchmark.data.unpickling import read_plain
from benchmark.errors import RequestError
from benchmark.plugins import registry
from benchmark.report.stored_run import StoredRun
from benchmark.storage.checkpoint import Checkpoint
from benchmark.storage.names import apart, clean_name, file_name, folded
from benchmark.storage.run_folder import RunFolder, digest, run_folders
from benchmark.storage.strict_json import loads
from benchmark.storage.verify import verify

INPUTS = int(os.environ.get("MHPFL_INPUTS", "150"))
KINDS = 13
FULL = "MHPFL_INPUTS" in os.environ
LONGEST_SECONDS = 20.0

fuzzed = settings(
    max_examples=-(-INPUTS // KINDS),
    derandomize=not FULL,
    database=None,
    deadline=None,
    phases=(Phase.generate, Phase.shrink) if FULL else (Phase.generate,),
    suppress_health_check=list(HealthCheck),
)

floats = partial(st.floats, allow_subnormal=False)
"""Engines flush subnormal numbers to 0, and hypothesis refuses to draw them then."""

texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", "nan", "inf", "-inf", "1e999", "-1", "0", "10**30", "9" * 400, "\0", "../..", "con", "a/b", "٣"]
    ),
    st.integers().map(str),
    floats().map(str),
    st.text(alphabet="a\u6570\u0301\udce9\u202e/:+=,.", max_size=300),
)


@pytest.fixture
def answered(tally):
    """Do something; it works, or is answered by a RequestError of one line, soon."""

    def attempt(kind, act):
        begun = time.monotonic()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                act()
        except RequestError as error:
            assert str(error).strip()
            outcome = "answered"
        except Exception:
            tally(kind, "wrong")
            raise
        else:
            outcome = "worked"
        if time.monotonic() - begun > LONGEST_SECONDS:
            tally(kind, "wrong")
            raise AssertionError("it took too long")
        tally(kind, outcome)

    return attempt


# Words of the command line: whatever follows is planned, and nothing of it is executed (a shard that is empty).

OPTIONS = ["methods", "datasets", "partition", "models", "clients", "participation", "seeds", "rounds", "local-epochs"]
OPTIONS += [
    "local-steps",
    "batch-size",
    "lr",
    "momentum",
    "weight-decay",
    "clip-norm",
    "lr-decay",
    "eval-every",
    "finetune",
]
OPTIONS += [
    "validation",
    "augmentation",
    "initial",
    "precision",
    "optimizer",
    "experiment",
    "preset",
    "device",
    "engine",
]
OPTIONS += ["threads", "jobs", "checkpoint-every", "image-size", "tuned", "ray-address", "target", "budget", "moment"]
PLANNED = [
    "run",
    "--datasets",
    "tiny.npz",
    "--methods",
    "standalone",
    "--clients",
    "2",
    "--partition",
    "iid",
    "--models",
]
PLANNED += ["cnn1", "--no-report", "--shard", "2/2"]
likely = st.one_of(
    texts, st.sampled_from(["fedmoe", "fml+lr=0.1", "iid", "dirichlet:0.5", "cnn5+width=8", "1", "0.5", "3,4"])
)
words = st.lists(st.tuples(st.sampled_from(OPTIONS), likely), min_size=1, max_size=3)


@pytest.fixture
def folder(tmp_path, monkeypatch, write_data, store):
    """A folder with data, an experiment of four runs, and a report of none."""
    write_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    for label in ("fedmoe", "standalone"):
        for seed in (0, 1):
            store(tmp_path / "results", label, [(4, 6), (7 - seed, 7), (8, 9)], seed=seed)
    return tmp_path


def says_one_line(capsys, arguments):
    """Run a command; if it refuses, it says why in one line."""
    capsys.readouterr()
    code = main(arguments)
    err = capsys.readouterr().err
    assert code in (0, 1, 2)
    if code == 2:
        assert err.splitlines()[-1].startswith("error: "), err
        raise RequestError(err)


def test_words_of_a_grid(folder, answered, capsys):
    @fuzzed
    @given(words)
    def tries(given_words):
        more = [part for name, value in given_words for part in (f"--{name}", value)]
        answered("words of run", lambda: says_one_line(capsys, [*PLANNED, *more]))

    tries()


COMMANDS = [["verify"], ["compare", "results", "results"], ["list"], ["partition", "show"], ["check"], ["frobnicate"]]


def test_words_of_other_commands(folder, answered, capsys):
    @fuzzed
    @given(
        st.sampled_from(COMMANDS),
        st.lists(texts, max_size=3),
        st.lists(st.tuples(st.sampled_from(OPTIONS), texts), max_size=2),
    )
    def tries(command, plain_words, given_words):
        more = [part for name, value in given_words for part in (f"--{name}", value)]
        answered("words of other commands", lambda: says_one_line(capsys, [*command, *plain_words, *more]))

    tries()


# Files: cut, flipped, overwritten, filled with noise.


@st.composite
def damages(draw):
    """A function from the bytes of a file to others."""
    kind, place, noise = draw(st.sampled_from("cfinz")), draw(floats(0, 1)), draw(st.binary(max_size=40))

    def damage(content):
        at = int(place * max(0, len(content) - 1))
        match kind:
            case "c":
                return content[:at]
            case "f":
                return (
                    content[:at] + bytes([content[at] ^ 1 << len(noise) % 8]) + content[at + 1 :] if content else noise
                )
            case "i":
                return content[:at] + noise + content[at:]
            case "n":
                return content[:at] + noise + content[at + len(noise) :]
        return noise

    return damage


def test_files_of_arrays(folder, answered):
    whole = (folder / "tiny.npz").read_bytes()
    packed = io.BytesIO()
    np.savez_compressed(packed, **np.load(folder / "tiny.npz"))

    @fuzzed
    @given(damages(), st.booleans())
    def tries(damage, deflated):
        (folder / "bad.npz").write_bytes(damage(packed.getvalue() if deflated else whole))
        answered(".npz files", lambda: registry.dataset("bad.npz", folder))

    tries()


ARRAYS = st.one_of(
    st.builds(np.zeros, st.lists(st.integers(0, 9), max_size=5), st.sampled_from([*"?bBhHiIqQefdgFD", "U3"])),
    st.builds(np.full, st.just(60), st.one_of(floats(), st.integers(-3, 300), st.text(max_size=3))),
)


def test_arrays_of_any_shape_and_type(folder, answered):
    parts = dict(np.load(folder / "tiny.npz"))

    @fuzzed
    @given(
        st.dictionaries(
            st.sampled_from([*parts, "classes", "owners_train", "train_images"]), ARRAYS, min_size=1, max_size=3
        )
    )
    def tries(others):
        try:
            np.savez(folder / "odd.npz", **{**parts, **others})
        except (ValueError, UnicodeError):
            return
        answered("arrays", lambda: registry.dataset("odd.npz", folder))

    tries()


def test_pictures(folder, answered):
    formats = [
        ("png", "L"),
        ("png", "I;16"),
        ("jpeg", "RGB"),
        ("gif", "P"),
        ("bmp", "RGB"),
        ("tiff", "F"),
        ("webp", "RGBA"),
    ]
    pictures = []
    for form, mode in formats:
        file = io.BytesIO()
        Image.new(mode, (20, 20)).save(file, form)
        pictures.append((form, file.getvalue()))
    for part in ("train", "test"):
        for name in "ab":
            (folder / "set" / part / name).mkdir(parents=True)
            for i in range(4):
                Image.new("L", (20, 20), 40 * i).save(folder / "set" / part / name / f"{i}.png")

    @fuzzed
    @given(damages(), st.sampled_from(pictures), st.sampled_from(["0.png", "x.jpg", "x.tif", "x.webp"]))
    def tries(damage, picture, name):
        path = folder / "set" / "train" / "a" / name
        path.write_bytes(damage(picture[1]))
        answered("pictures", lambda: registry.dataset("set", folder))
        if name == "0.png":
            shutil.copy(folder / "set" / "train" / "b" / "0.png", path)
        else:
            path.unlink()

    tries()


RAN = []


class Evil:
    """Runs something when it is unpickled."""

    def __reduce__(self):
        return RAN.append, (1,)


def test_pickles_run_nothing(answered):
    import pickle

    held = {"x": np.arange(6.0).reshape(2, 3), "y": [1, "a", None], "z": {"w": np.array(["a", "b"])}}
    kinds = [pickle.dumps(value, protocol) for protocol in range(5) for value in (held, [held, Evil()], Evil())]

    @fuzzed
    @given(damages(), st.sampled_from(kinds), st.booleans())
    def tries(damage, content, damaged):
        def read():
            try:
                read_plain(damage(content) if damaged else content)
            except Exception as error:  # whoever reads such files refuses them, whatever it is
                raise RequestError(type(error).__name__) from error

        answered("pickles", read)
        assert not RAN

    tries()


# Stored results: any value in the place of any other, with and without a digest that fits.

leaves = st.one_of(st.none(), st.booleans(), st.integers(), floats(), texts, st.just([]), st.just({}))
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)


@st.composite
def changes(draw):
    """A function that puts a value somewhere into a document, or removes what is there."""
    way, value, remove = draw(st.lists(st.integers(0, 60), min_size=1, max_size=5)), draw(values), draw(st.booleans())

    def change(document):
        place, key = document, None
        for step in way:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            holder, key = place, keys[step % len(keys)]
            place = holder[key]
            if not isinstance(place, dict | list):
                break
        if key is None:
            return
        if remove:
            del holder[key]
        else:
            holder[key] = value

    return change


def written(path, document, constants):
    """Write a document, with what JSON has no form for if a reader should have to deal with it."""
    try:
        path.write_text(json.dumps(document, allow_nan=constants), encoding="utf-8", errors="surrogatepass")
    except (ValueError, UnicodeError):
        return False
    return True


def reads_or_refuses(folder, run):
    """Read a run for a report, and check it: numbers that are taken are finite."""
    verify(folder / "results")
    taken = StoredRun.read(RunFolder(run))
    numbers = [value for value in taken.summary.values() if isinstance(value, float)]
    assert all(map(math.isfinite, numbers))


@pytest.mark.parametrize("honest", [True, False], ids=["sealed", "unsealed"])
def test_records_of_runs(folder, answered, honest):
    run = next(run_folders(folder / "results")).path
    before = (run / "run.json").read_text()

    @fuzzed
    @given(changes(), st.booleans())
    def tries(change, constants):
        document = json.loads(before)
        change(document)
        if honest:
            try:
                document["digest"] = digest(document)
            except (ValueError, RecursionError):
                return
        if written(run / "run.json", document, constants):
            answered("run.json, sealed" if honest else "run.json", lambda: reads_or_refuses(folder, run))

    tries()


def test_rounds_of_runs(folder, answered):
    import hashlib

    run = next(run_folders(folder / "results")).path
    record, rounds = json.loads((run / "run.json").read_text()), (run / "rounds.jsonl").read_text().splitlines()

    reads_or_refuses(folder, run)

    @fuzzed
    @given(changes(), damages(), st.integers(0, 2), st.booleans())
    def tries(change, damage, number, structured):
        lines = [json.loads(line) for line in rounds]
        change(lines[number])
        try:
            content = "".join(json.dumps(line) + "\n" for line in lines).encode()
        except (ValueError, UnicodeError):
            return
        content = content if structured else damage(content)
        (run / "rounds.jsonl").write_bytes(content)
        facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        document = {**record, "files": {"rounds.jsonl": facts}, "digest": ""}
        document["digest"] = digest(document)
        (run / "run.json").write_text(json.dumps(document))
        answered("rounds.jsonl", lambda: reads_or_refuses(folder, run))

    tries()


def test_checkpoints(tmp_path, answered):
    import torch

    from benchmark.storage.client_states import ClientStates

    states = ClientStates(torch.device("cpu"))
    state = {"w": {"a": torch.ones(3), "b": torch.zeros(2, 2)}, "p": torch.ones(4)}
    states[0] = states[1] = state
    Checkpoint(tmp_path).save(1, state, states, None)
    states.close()
    before = (tmp_path / "checkpoint.json").read_text()

    @fuzzed
    @given(changes(), damages(), st.sampled_from(["sealed", "unsealed", "bytes"]))
    def tries(change, damage, how):
        document = json.loads(before)
        change(document)
        if how == "sealed":
            try:
                document["digest"] = digest(document)
            except (ValueError, RecursionError):
                return
        if how == "bytes":
            (tmp_path / "checkpoint.json").write_bytes(damage(before.encode()))
        elif not written(tmp_path / "checkpoint.json", document, True):
            return

        def read():
            checkpoint = Checkpoint(tmp_path)
            manifest = checkpoint.manifest()
            if manifest is None or not checkpoint.whole(manifest):
                raise RequestError("it begins anew")

        answered("checkpoint.json", read)

    tries()


# Texts.


def test_json(answered):
    @fuzzed
    @given(
        st.one_of(
            st.binary(max_size=60),
            values.map(lambda value: json.dumps(value).encode()),
            st.integers(1, 10**5).map(lambda n: b"[" * n),
        )
    )
    def tries(content):
        def read():
            try:
                found = loads(content)
            except ValueError as error:
                raise RequestError(str(error) or "?") from error
            assert json.dumps(found, allow_nan=False) == json.dumps(json.loads(content), allow_nan=False)

        answered("JSON", read)

    tries()


def test_names(tmp_path, answered):
    @fuzzed
    @given(st.lists(st.text(max_size=150), min_size=1, max_size=4))
    def tries(names):
        def use():
            stems = apart(map(clean_name, names))
            assert len({folded(stem) for stem in stems}) == len(names)
            for stem in stems:
                assert not stem.startswith(("-", "."))
                (tmp_path / f"{stem}-differences-finetune.csv").write_text("")
            for name in names:
                (tmp_path / file_name("it", name)).mkdir(exist_ok=True)

        answered("names", use)
        for path in tmp_path.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    tries()


def test_partitions(folder, answered):
    from benchmark.partition import draw

    labels = np.arange(60) % 3
    form = st.one_of(
        texts,
        st.tuples(
            st.sampled_from(["iid", "dirichlet", "pathological", "quantity", "label-quantity", "natural", "given"]),
            st.lists(texts, max_size=3),
        ).map(lambda pair: ":".join([pair[0], *pair[1]])),
    )

    @fuzzed
    @given(form, st.integers(1, 70), floats(0, 0.99))
    def tries(text, clients, validation):
        def divide():
            division = registry.partition(text, 3)
            found = draw(
                division,
                dataset="d",
                labels=labels,
                owners=None,
                held_out=None,
                clients=clients,
                validation=validation,
                seed=0,
            )
            held = np.concatenate([part for splits in found.splits for part in splits])
            assert len(np.unique(held)) == len(held)

        answered("partitions", divide)

    tries()
