"""Tables that grow a row at a time, and that are gone on with after a kill: CSV, JSON lines and Parquet."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from visionkit.atomic import atomic_file
from visionkit.csv_rows import csv_row
from visionkit.errors import UsageError, VisionkitError

if TYPE_CHECKING:
    import pyarrow

    from visionkit.inference.rows import Column, Value

SECONDS_BETWEEN_SYNCS = 5.0
SECONDS_OF_A_PART = 30.0
VALUES_OF_A_PART = 1_000_000


class GrowingFile(Protocol):
    """A table on the disk that rows are added to."""

    def begin(self) -> Iterator[Sequence[str]]:
        """Cut away a row that a kill left half-written, and give what names the others: their first values.

        To be read to its end before rows are added. A file that is not there is begun.

        Raises:
            VisionkitError: the file is damaged, or not one of this kind.
        """

    def add(self, values: list[Value], said: dict[str, Any]) -> None:
        """Add a row: its values, column by column, or the object that says the same."""

    def close(self) -> None:
        """All rows are on the disk."""


class _Lines:
    """A file of records that are appended whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: io.FileIO | None = None
        self._synced = time.monotonic()

    def append(self, record: bytes) -> None:
        if self._file is None:
            self._file = self.path.open("ab", buffering=0)
        left = memoryview(record)
        while left:
            left = left[self._file.write(left) :]
        if time.monotonic() - self._synced > SECONDS_BETWEEN_SYNCS:
            self._sync()

    def close(self) -> None:
        if self._file is not None:
            self._sync()
            self._file.close()
            self._file = None

    def _sync(self) -> None:
        assert self._file is not None
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def cut(self, length: int) -> None:
        """Keep the first `length` bytes, if there are more."""
        if self.path.stat().st_size > length:
            with self.path.open("r+b") as file:
                file.truncate(length)
                os.fsync(file.fileno())


class CsvFile(_Lines):
    """Comma-separated values in UTF-8 under a header; texts of a list are joined by `delimiter`.

    Args:
        path: the file.
        columns: its columns.
        delimiter: between the texts of a list.
        naming: how many of the columns name a row.
    """

    def __init__(self, path: Path, columns: Sequence[Column], delimiter: str = " ", naming: int = 1) -> None:
        super().__init__(path)
        self.columns, self.delimiter, self.naming = columns, delimiter, naming

    def begin(self) -> Iterator[Sequence[str]]:
        header = [column.name for column in self.columns]
        whole = 0
        for number, (row, end) in enumerate(csv_records(self.path), start=1):
            if len(row) != len(header) or (number == 1 and row != header):
                raise _not_ours(self.path, f"row {number}")
            if number > 1:
                yield row[: self.naming]
            whole = end
        if os.path.lexists(self.path):
            self.cut(whole)
        if whole == 0:
            self.append(csv_record(header))

    def add(self, values: list[Value], said: dict[str, Any]) -> None:
        self.append(csv_record([self._text(value) for value in values]))

    def _text(self, value: Value) -> str:
        if isinstance(value, list):
            return self.delimiter.join(value)
        return value if isinstance(value, str) else f"{value:.7g}"


class JsonLinesFile(_Lines):
    """One object a line, in plain ASCII."""

    def begin(self) -> Iterator[Sequence[str]]:
        if not os.path.lexists(self.path):
            self.append(b"")
            return
        whole = 0
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    break
                try:
                    name = json.loads(line)["image"]
                except (ValueError, KeyError, TypeError):
                    name = None
                if not isinstance(name, str):
                    raise _not_ours(self.path, f"line {number}")
                yield [name]
                whole += len(line)
        self.cut(whole)

    def add(self, values: list[Value], said: dict[str, Any]) -> None:
        self.append(json.dumps(said).encode() + b"\n")


class ParquetFolder:
    """A folder of Parquet files, which pandas, pyarrow, DuckDB and Spark read as one table.

    Args:
        path: the folder.
        columns: of the table.

    Raises:
        UsageError: pyarrow is not installed.
    """

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise UsageError(f"--out {path}: Parquet needs pyarrow: pip install pyarrow.") from None
        self.path = path
        types = {
            "text": pyarrow.string(),
            "texts": pyarrow.list_(pyarrow.string()),
            "number": pyarrow.float64(),
        }
        self.schema: pyarrow.Schema = pyarrow.schema([(each.name, types[each.kind]) for each in columns])
        self._rows: list[list[Value]] = []
        self._most = max(1, min(20_000, VALUES_OF_A_PART // len(columns)))
        self._begun = time.monotonic()
        self._next = 0

    def begin(self) -> Iterator[Sequence[str]]:
        from pyarrow import ArrowException, parquet

        self.path.mkdir(exist_ok=True)
        for left in self.path.glob(".part-*"):
            left.unlink()
        for part in sorted(self.path.glob("part-*.parquet")):
            try:
                with parquet.ParquetFile(part) as file:
                    if not file.schema_arrow.equals(self.schema):
                        raise _not_ours(part, "the table")
                    for batch in file.iter_batches(columns=["image"]):
                        yield from ([name] for name in batch.column(0).to_pylist())
            except (ArrowException, OSError) as error:
                reason = " ".join(str(error).split())
                raise VisionkitError(
                    f"{part}: cannot be read ({reason}). Delete this part, and its images are done again."
                ) from error
            self._next = int(part.stem.removeprefix("part-")) + 1
        self._begun = time.monotonic()

    def add(self, values: list[Value], said: dict[str, Any]) -> None:
        self._rows.append(values)
        if len(self._rows) >= self._most or time.monotonic() - self._begun > SECONDS_OF_A_PART:
            self._write()

    def close(self) -> None:
        if self._rows or not self._next:  # a table without rows has its columns, too
            self._write()

    def _write(self) -> None:
        import pyarrow
        from pyarrow import parquet

        columns = list(zip(*self._rows)) if self._rows else [()] * len(self.schema)
        arrays = [pyarrow.array(list(values), field.type) for values, field in zip(columns, self.schema)]
        with atomic_file(self.path / f"part-{self._next:06}.parquet") as file:
            parquet.write_table(pyarrow.Table.from_arrays(arrays, schema=self.schema), file)
        self._rows, self._begun = [], time.monotonic()
        self._next += 1


def csv_record(values: Sequence[str]) -> bytes:
    """One row."""
    return csv_row(values).encode()


def csv_records(path: Path) -> Iterator[tuple[list[str], int]]:
    """The whole rows of a file that `csv_record` wrote, with the place where each ends, in bytes.

    Where the last one is half-written, it is left out. A file that is not there has none.

    Raises:
        VisionkitError: there is something else in it.
    """
    if not os.path.lexists(path):
        return
    record, end, number = b"", 0, 1
    with path.open("rb") as file:
        for line in file:
            record += line
            if record.count(b'"') % 2 or not line.endswith(b"\n"):
                continue  # within quotes, or half a line
            end += len(record)
            try:
                rows = list(csv.reader([record.decode().removesuffix("\n")], strict=True))
            except (ValueError, csv.Error):
                rows = []
            if len(rows) != 1:
                raise _not_ours(path, f"row {number}")
            yield rows[0], end
            record, number = b"", number + 1


def _not_ours(path: Path, what: str) -> VisionkitError:
    return VisionkitError(
        f"{path}: {what} is not as visionkit wrote it, so it cannot be gone on with. Name another file; "
        "nothing was touched."
    )
