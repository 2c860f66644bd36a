"""Tables that grow a row at a time: what they hold after any cut, and what they refuse."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionkit.errors import VisionkitError
from visionkit.inference import growing_files
from visionkit.inference.growing_files import CsvFile, JsonLinesFile, ParquetFolder, csv_record, csv_records
from visionkit.inference.rows import Column

COLUMNS = [Column("image", "text"), Column("tags", "texts"), Column("p_a")]
TEXTS = st.text(max_size=6, alphabet=st.sampled_from('ab",\r\n ;é=\t\x85\u2028'))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(TEXTS, min_size=2, max_size=2), max_size=5), st.floats(0, 1))
def test_records_after_any_cut(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], part: float
) -> None:
    file = tmp_path_factory.mktemp("cut") / "a.csv"
    records = [csv_record(row) for row in rows]
    content = b"".join(records)
    length = round(part * len(content))
    file.write_bytes(content[:length])
    ends = [sum(map(len, records[: place + 1])) for place in range(len(records))]
    whole = sum(end <= length for end in ends)
    assert list(csv_records(file)) == list(zip(rows[:whole], ends[:whole]))
    text = io.StringIO(content.decode(), newline="")
    assert list(csv.reader(text)) == rows  # as others read it


@pytest.mark.parametrize("kind", [CsvFile, JsonLinesFile, ParquetFolder])
def test_rows_of_two_calls(tmp_path: Path, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing_files, "VALUES_OF_A_PART", 6)  # parts of two rows
    path = tmp_path / "table"
    for start, there in ((0, 0), (5, 5)):
        table = JsonLinesFile(path) if kind is JsonLinesFile else kind(path, COLUMNS)
        assert [list(row) for row in table.begin()] == [[f"{n}.png"] for n in range(there)]
        for number in range(start, start + 5):
            said = {"image": f"{number}.png", "tags": ["a", "b"]}
            table.add([f"{number}.png", ["a", "b"], 0.25], said)
        table.close()
    if kind is CsvFile:
        assert path.read_text().splitlines()[:2] == ["image,tags,p_a", "0.png,a b,0.25"]
        assert len(path.read_text().splitlines()) == 11
    elif kind is ParquetFolder:
        found = pyarrow.parquet.read_table(path).to_pydict()
        assert found["image"] == [f"{n}.png" for n in range(10)] and found["tags"][3] == ["a", "b"]
        assert len(list(path.iterdir())) == 6


def test_a_killed_part_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = ParquetFolder(path, COLUMNS)
    list(table.begin())
    table.add(["0.png", [], 0.5], {})
    table.close()
    (path / ".part-000001.parquet.7.part").write_bytes(b"PAR1 half")
    again = ParquetFolder(path, COLUMNS)
    assert [list(row) for row in again.begin()] == [["0.png"]]
    assert [each.name for each in path.iterdir()] == ["part-000000.parquet"]
    (path / "part-000001.parquet").write_bytes(b"PAR1 damaged")
    with pytest.raises(VisionkitError, match=r"part-000001\.parquet: cannot be read .* Delete this part"):
        list(ParquetFolder(path, COLUMNS).begin())
    (path / "part-000001.parquet").unlink()
    with pytest.raises(VisionkitError, match=r"part-000000\.parquet: the table is not as visionkit wrote it"):
        list(ParquetFolder(path, COLUMNS[:2]).begin())


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("name,tags,p_a\n0.png,a,1\n", "row 1"),
        ("image,tags,p_a\n0.png,a\n", "row 2"),
        ('image,tags,p_a\n0.png,a,1\n1.png,"a"b,1\n', "row 3"),
        ("image,tags,p_a\n0.png,\udcff,1\n", "row 2"),
    ],
)
def test_changed_tables_are_left_alone(tmp_path: Path, content: str, place: str) -> None:
    file = tmp_path / "a.csv"
    before = content.encode(errors="surrogateescape")
    file.write_bytes(before)
    with pytest.raises(VisionkitError, match=f"{place} is not as visionkit wrote it"):
        list(CsvFile(file, COLUMNS).begin())
    assert file.read_bytes() == before
    file.write_text('{"image": "0.png"}\n[1]\n')
    with pytest.raises(VisionkitError, match="line 2 is not"):
        list(JsonLinesFile(file).begin())
