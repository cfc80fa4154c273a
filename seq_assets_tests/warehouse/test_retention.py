"""Which versions stay, against a slow statement of the rules: whatever is needed stays, and of the rest nothing that may go."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from seq_assets.sequencing.plans import Dataset
from seq_assets.sequencing.schemas import REJECTED_SCHEMA
from seq_assets.warehouse.interface import Version
from seq_assets.warehouse.retention import expired, in_order_of_expiry

RAW, REJECTED, VOCABULARY = Dataset.raw("m"), Dataset.rejected("m"), Dataset.vocabulary("m")
SEQUENCED = [Dataset.sequenced("m", "train", 4), Dataset.sequenced("m", "validation", 4)]
BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
NAMED = {"raw_version": RAW, "rejected_version": REJECTED, "vocabulary_version": VOCABULARY}


def version(dataset: Dataset, number: int, minute: int, names: Mapping[str, int] = {}, tag: bool = False) -> Version:
    return Version(
        dataset, number, BEGINNING + timedelta(minutes=minute), 0, REJECTED_SCHEMA, (), names, tags=("kept",) if tag else ()
    )


@st.composite
def histories(draw: st.DrawFn) -> dict[Dataset, list[Version]]:
    """Tables as publications leave them: raw names what was published with it, sequences any raw version until then."""
    tables: dict[Dataset, list[Version]] = {dataset: [] for dataset in (RAW, REJECTED, VOCABULARY, *SEQUENCED)}
    for minute in range(draw(st.integers(1, 12))):
        number, dataset, tag = minute * 10, draw(st.sampled_from([RAW, *SEQUENCED])), draw(st.integers(0, 5)) == 0
        if dataset == RAW:
            tables[REJECTED].insert(0, version(REJECTED, number + 1, minute))
            tables[VOCABULARY].insert(0, version(VOCABULARY, number + 2, minute))
            # A run may be killed before it publishes raw observations.
            if draw(st.booleans()):
                names = {"rejected_version": number + 1, "vocabulary_version": number + 2}
                tables[RAW].insert(0, version(RAW, number, minute, names, tag))
        elif tables[RAW]:
            raw = draw(st.sampled_from(tables[RAW]))
            names = {"raw_version": raw.id, "vocabulary_version": raw.metadata["vocabulary_version"]}
            tables[dataset].insert(0, version(dataset, number, minute, names, tag))
    return tables


def reasons_to_stay(
    tables: Mapping[Dataset, Sequence[Version]], of: Version, keep: int, replaced_before: datetime, stays: set[int]
) -> bool:
    """Whether a version has to stay, given which others do."""
    versions = list(tables[of.dataset])
    place = [one.id for one in versions].index(of.id)
    is_named = any(
        one.id in stays and one.metadata.get(name) == of.id
        for found in tables.values()
        for one in found
        for name, dataset in NAMED.items()
        if dataset == of.dataset
    )
    is_continued = of.dataset == VOCABULARY and place > 0 and versions[place - 1].id in stays
    was_replaced = place > 0 and versions[place - 1].committed_at < replaced_before
    return place < keep or bool(of.tags) or not was_replaced or is_named or is_continued


@given(histories(), st.integers(1, 3), st.integers(0, 12))
def test_what_stays_is_what_has_a_reason_to(tables: dict[Dataset, list[Version]], keep: int, minutes: int) -> None:
    before = BEGINNING + timedelta(minutes=minutes)
    gone = {one.id for found in expired(tables, keep, before).values() for one in found}
    everything = [one for found in tables.values() for one in found]
    stays = {one.id for one in everything} - gone
    for one in everything:
        # A vocabulary that only another continues needs none of its own.
        if one.dataset != VOCABULARY:
            assert (one.id in stays) == reasons_to_stay(tables, one, keep, before, stays)
        elif one.id in stays:
            assert reasons_to_stay(tables, one, keep, before, stays)
    named = {one.metadata[name] for one in everything if one.id in stays for name in NAMED if name in one.metadata}
    assert named <= stays
    for newer, older in zip(tables[VOCABULARY], tables[VOCABULARY][1:], strict=False):
        assert newer.id not in named or older.id in stays, "its ids come from there"


@given(histories())
def test_without_a_number_all_stay(tables: dict[Dataset, list[Version]]) -> None:
    assert expired(tables, None, BEGINNING + timedelta(days=1)) == {}


def test_who_names_others_goes_before_them() -> None:
    assert in_order_of_expiry([VOCABULARY, REJECTED, RAW, *SEQUENCED]) == [*SEQUENCED, RAW, REJECTED, VOCABULARY]
