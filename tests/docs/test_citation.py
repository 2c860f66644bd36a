"""CITATION.cff says what it must, and the version that visionkit has."""

from __future__ import annotations

from pathlib import Path

from sitegen.citation import bibtex, citing_page, read_citation

import visionkit

FILE = Path(__file__).resolve().parents[2] / "CITATION.cff"


def test_what_the_format_requires_is_there() -> None:
    citation = read_citation(FILE)
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    for entry in (citation, *citation["references"]):
        for person in entry["authors"]:
            assert set(person) in ({"name"}, {"family-names", "given-names"})
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= set(reference)


def test_version_and_licence_are_those_of_the_package() -> None:
    citation = read_citation(FILE)
    assert str(citation["version"]) == visionkit.__version__
    assert citation["license"] == "Apache-2.0"


def test_fastai_is_cited() -> None:
    assert "10.3390/info11020108" in {reference.get("doi") for reference in read_citation(FILE)["references"]}


def test_bibtex_has_what_the_file_says() -> None:
    citation = read_citation(FILE)
    own = bibtex("visionkit", "software", citation)
    assert own.startswith("@software{visionkit,")
    assert "author = {{The visionkit developers}}" in own
    (fastai,) = [each for each in citation["references"] if each.get("doi") == "10.3390/info11020108"]
    text = bibtex("howard2020", fastai["type"], fastai)
    assert "author = {Jeremy Howard and Sylvain Gugger}" in text
    assert "volume = {11}" in text


def test_the_page_names_the_data_sets() -> None:
    page = citing_page(FILE)
    for name in ("Oxford-IIIT Pet", "CamVid", "BIWI", "Open Images V4"):
        assert name in page
