"""The catalog: what is built, found by model, length and subset, without a look at the data."""

import pickle
import re
from pathlib import Path
from typing import Any

import pytest

import seq_assets
from seq_assets.errors import NotInCatalogError, NotPublishedError
from seq_assets.warehouse.local.warehouse import LocalWarehouse


@pytest.mark.usefixtures("bundled_home")
def test_brackets_lead_to_the_newest_handles() -> None:
    built = seq_assets.catalog()
    for subset in ("train", "validation"):
        assert built["dkt"][100][subset] == seq_assets.load("dkt", sequence_length=100, subset=subset)
    assert built["dkt"].observations == seq_assets.load_observations("dkt")
    assert built["irt"].observations == seq_assets.load_observations("irt")
    assert built["dkt"][50]["train"].to_numpy()["correct_sequence"].shape == (1080, 50)


@pytest.mark.usefixtures("home_with_history")
def test_of_several_versions_the_newest_is_in_it() -> None:
    newest, older = seq_assets.versions("plain", sequence_length=4)
    assert seq_assets.catalog()["plain"][4]["train"].version == newest.id
    assert str(older.id) not in repr(seq_assets.catalog())


@pytest.mark.usefixtures("bundled_home")
def test_parts_iterate_count_and_complete_in_the_order_of_their_table() -> None:
    built = seq_assets.catalog()
    parts: list[tuple[Any, list[Any]]] = [
        (built, ["dkt", "irt"]),
        (built["dkt"], [50, 100]),
        (built["dkt"][100], ["train", "validation"]),
        (built["irt"], []),
    ]
    for part, keys in parts:
        assert list(part) == part._ipython_key_completions_() == keys
        assert len(part) == len(keys)
        assert all(key in part for key in keys)
        assert "nothing" not in part
        assert part.get("nothing") is None
        assert set(dir(part)) <= {"get", "items", "keys", "values", "observations"}, "nothing private"
    assert [subset for subset, _ in built["dkt"][50].items()] == ["train", "validation"]


@pytest.mark.usefixtures("bundled_home")
def test_the_repr_is_a_table_of_what_is_built() -> None:
    built = seq_assets.catalog()
    names, *lines = repr(built).splitlines()
    assert names.split("  ")[0] == "model"
    assert re.split(" {2,}", names) == ["model", "length", "subset", "version", "rows", "pad ratio", "when"]
    cells = [re.split(" {2,}", line) for line in lines]
    ds = built["dkt"][100]["train"]
    moment = f"{ds.metadata['committed_at']:%Y-%m-%d %H:%M} UTC"
    assert cells[3] == ["dkt", "100", "train", str(ds.version), "677", "0.3600", moment]
    assert [(row[0], row[1], row[2]) for row in cells] == [
        ("dkt", "-", "-"),
        *(("dkt", length, subset) for length in ("50", "100") for subset in ("train", "validation")),
        ("irt", "-", "-"),
    ]
    assert [re.split(" {2,}", line) for line in repr(built["dkt"][100]).splitlines()[1:]] == cells[3:5]
    shown = built._repr_html_()
    assert f"<td>{ds.version}</td><td>677</td><td>0.3600</td>" in shown
    assert shown.count("<tr>") == 1 + 6


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda built: built["dktt"], "catalog(): nothing of a model 'dktt' is built; built: dkt, irt; did you mean 'dkt'?"),
        (lambda built: built[7], "catalog(): nothing of a model 7 is built; built: dkt, irt"),
        (lambda built: built["dkt"][90], "catalog()['dkt']: no length 90 is built; built: 50, 100; did you mean 100?"),
        (lambda built: built["dkt"]["100"], "catalog()['dkt']: no length '100' is built; built: 50, 100; did you mean 100?"),
        (lambda built: built["irt"][50], "catalog()['irt']: no length 50 is built; built: none"),
        (
            lambda built: built["dkt"][100]["valid"],
            "catalog()['dkt'][100]: no subset 'valid' is built; built: train, validation; did you mean 'validation'?",
        ),
    ],
)
@pytest.mark.usefixtures("bundled_home")
def test_a_key_that_is_none_names_the_nearest_and_what_there_is(ask: Any, message: str) -> None:
    with pytest.raises(NotInCatalogError) as told:
        ask(seq_assets.catalog())
    assert str(told.value).replace(" (seq-assets materialize builds what a model file declares)", "") == message
    assert isinstance(told.value, KeyError)


def test_where_nothing_is_built_it_says_so() -> None:
    built = seq_assets.catalog()
    assert repr(built) == built._repr_html_() == "Nothing is built; seq-assets materialize builds what a model file declares."
    assert len(built) == 0
    with pytest.raises(NotPublishedError, match=r"nothing of a model 'dkt' is built .*; built: none$"):
        built["dkt"]


@pytest.mark.usefixtures("bundled_home")
def test_no_data_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object, file: str) -> None:
        raise AssertionError(f"{file} was opened")

    monkeypatch.setattr(LocalWarehouse, "open_input", refuse)
    built = seq_assets.catalog()
    assert "dkt" in repr(built)
    assert len(built["dkt"][100]["train"]) == 677
    assert "677 sequences" in repr(built["dkt"][100]["train"])


def test_a_catalog_that_was_pickled_is_the_same(bundled_home: Path) -> None:
    built = seq_assets.catalog()
    found = pickle.loads(pickle.dumps(built))
    assert repr(found) == repr(built)
    assert found["dkt"][100] == built["dkt"][100]
