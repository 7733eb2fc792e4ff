"""Hashes of code."""

from benchmark.measure import code


def test_the_harness_has_one_hash_and_each_method_its_own():
    from methods.fedavg import FedAvg
    from methods.standalone import Standalone

    one, other = code.code_hashes(FedAvg), code.code_hashes(Standalone)
    assert one["harness"] == other["harness"]
    assert one["method"] != other["method"]
    assert all(len(text) == 16 for text in (*one.values(), *other.values()))


def test_it_changes_with_names_contents_and_order_and_not_with_the_ends_of_lines(tmp_path):
    def hash_of(folder, **files):
        (tmp_path / folder).mkdir()
        for name, content in files.items():
            (tmp_path / folder / name).write_bytes(content)
        return code._hash_of_files(tuple(sorted((tmp_path / folder).iterdir())))

    first = hash_of("a", x=b"1\n2\n", y=b"")
    assert hash_of("b", x=b"1\r\n2\r\n", y=b"") == first
    others = [hash_of("c", x=b"1\n2", y=b""), hash_of("d", x=b"1\n2\n", z=b""), hash_of("e", x=b"", y=b"1\n2\n")]
    assert len({first, *others}) == 4


def test_code_that_no_run_imports_does_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(code, "_ROOT", tmp_path)
    hashes = []
    for name in ("engine", "report", "storage"):
        (tmp_path / "benchmark" / name).mkdir(parents=True)
        (tmp_path / "benchmark" / name / "x.py").write_text(name)
        hashes.append(code._harness_hash.__wrapped__())
    assert hashes[0] == hashes[1] != hashes[2]
