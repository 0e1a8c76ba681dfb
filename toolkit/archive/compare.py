"""Comparing two published reports: what each was made of by its manifest, its rows and its figures."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.archive.changes import ABS_TOLERANCE, REL_TOLERANCE, Tolerance
from toolkit.archive.comparison import Comparison, Difference, Figure, Part, Side, compare_rows, pair_up
from toolkit.archive.versions import AS_OF, FIGURES, Reference, find_report, list_reports, load_manifest, load_results
from toolkit.checks import check_at_least
from toolkit.errors import ArgumentError
from toolkit.workspace import Workspace

_SOURCE_FIELDS = ("table", "columns", "start", "end", "as_of", "rows", "fingerprint", "method", "nan_as_missing")


@dataclass(frozen=True)
class Version:
    """A report to be compared: its name, and what its manifest and `results.json` hold."""

    name: str
    manifest: Mapping[str, Any]
    results: Mapping[str, Any]


def compare_reports(
    workspace: Workspace,
    before: str | Reference,
    after: str | Reference,
    *,
    rel_tolerance: float = REL_TOLERANCE,
    abs_tolerance: float = ABS_TOLERANCE,
) -> Comparison:
    """Two published reports beside each other, usually two versions of one.

    Parameters
    ----------
    rel_tolerance, abs_tolerance: how far two floats may lie apart and still be the same (`toolkit.archive.changes`).

    Raises `UnknownNameError` with the nearest reference, `ArgumentError`, and `ArchiveError` for a damaged report.
    """
    check_at_least("rel_tolerance", rel_tolerance, 0)
    check_at_least("abs_tolerance", abs_tolerance, 0)
    tolerance = Tolerance(rel_tolerance, abs_tolerance)
    return compare_versions(load_version(workspace, before), load_version(workspace, after), tolerance)


def load_version(workspace: Workspace, reference: str | Reference) -> Version:
    """A published report as it is compared. Raises as `load_manifest` does."""
    found = find_report(workspace, reference)
    return Version(str(found), load_manifest(workspace, found), load_results(workspace, found))


def previous_report(workspace: Workspace, reference: str | Reference) -> Reference:
    """The version that was published before another one, of the same template and subject.

    Raises `UnknownNameError` with the nearest reference, and `ArgumentError` when there is none before it.
    """
    found = find_report(workspace, reference)
    versions = list_reports(workspace, found.template, found.subject)
    if found != versions[0]:
        return versions[versions.index(found) - 1]
    if len(versions) == 1:
        raise ArgumentError(
            f"{found.series} has a single version, {found}, so there is nothing before it to compare it with; "
            "run the template again, or name another report as the second one"
        )
    raise ArgumentError(
        f"{found} is the first version of {found.series}; name the other one to compare it with: "
        + ", ".join(str(each) for each in versions[1:])
    )


def compare_versions(before: Version, after: Version, tolerance: Tolerance) -> Comparison:
    """Two reports beside each other, wherever they come from."""
    return Comparison(
        _side(before),
        _side(after),
        tuple(_notes(before, after)),
        tuple(_parts(before.manifest, after.manifest)),
        compare_rows(before.results.get("rows", []), after.results.get("rows", []), tolerance),
        tuple(_figures(before.manifest, after.manifest)),
        tolerance,
    )


def _side(version: Version) -> Side:
    manifest = version.manifest
    return Side(version.name, str(manifest.get("finished_at") or ""), str(manifest.get("as_of") or ""))


def _notes(before: Version, after: Version) -> Iterable[str]:
    if before.name == after.name:
        yield "It is one report, compared with itself."
    templates = [_mapping(version.manifest, "template").get("name") for version in (before, after)]
    subjects = [version.manifest.get("subject") for version in (before, after)]
    if templates[0] != templates[1]:
        yield f"They are reports of two templates, {templates[0]} and {templates[1]}."
    elif subjects[0] != subjects[1]:
        yield f"They are reports on two subjects, {subjects[0]} and {subjects[1]}."
    schemas = [version.results.get("schema_version") for version in (before, after)]
    if schemas[0] != schemas[1]:
        yield f"Their results are of two schemas, {schemas[0]} and {schemas[1]}: a field may mean another thing."


def _parts(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[Part]:
    """What both were made of, in the order in which it explains a difference."""
    yield _mapping_part("template", before, after)
    yield _values_part("parameters", _parameters(before), _parameters(after))
    yield _values_part("as_of", {"as_of": before.get("as_of")}, {"as_of": after.get("as_of")})
    yield _listed_part("definitions", "digest", before, after)
    yield _data_part(before, after)
    yield _listed_part("repositories", "commit", before, after)
    yield _mapping_part("toolkit", before, after)
    yield _mapping_part("environment", before, after)
    yield _mapping_part("kernel", before, after)
    yield _mapping_part("workspace", before, after)
    yield _mapping_part("ledger", before, after)


def _mapping(manifest: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = manifest.get(name)
    return value if isinstance(value, Mapping) else {}


def _parameters(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without the instant when it is the one that the report has as its own."""
    as_of = manifest.get("as_of")
    return {name: value for name, value in _mapping(manifest, "parameters").items() if (name, value) != (AS_OF, as_of)}


def _mapping_part(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Part:
    return _values_part(name, _mapping(before, name), _mapping(after, name))


def _listed_part(name: str, value: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Part:
    """A list of mappings with a path each, such as the definitions with their digests."""
    old, new = (
        {str(each.get("path")): each.get(value) for each in manifest.get(name) or ()} for manifest in (before, after)
    )
    return _values_part(name, old, new)


def _values_part(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Part:
    names = sorted({*before, *after})
    pairs = [Difference(each, before.get(each), after.get(each)) for each in names]
    differences = tuple(each for each in pairs if each.before != each.after)
    return Part(name, differences, len(pairs) - len(differences))


def _data_part(before: Mapping[str, Any], after: Mapping[str, Any]) -> Part:
    """Tables as they were read: matched by table, then columns, then window, as far as that is needed."""
    keys: tuple[Callable[[Mapping[str, Any]], Hashable], ...] = (
        lambda read: str(read["table"]),
        lambda read: tuple(read["columns"] or ()),
        lambda read: (read["start"], read["end"]),
    )
    old_reads, new_reads = (
        [{name: read.get(name) for name in _SOURCE_FIELDS} for read in manifest.get("sources") or ()]
        for manifest in (before, after)
    )
    differences, same = [], 0
    for pair in pair_up(old_reads, new_reads, keys, alike=lambda read: str(read["fingerprint"])):
        old, new = pair
        if old and new and (old["as_of"], new["as_of"]) == (before.get("as_of"), after.get("as_of")):
            old, new = old | {"as_of": None}, new | {"as_of": None}  # the reports' own instants are told once
        if old == new:
            same += 1
        else:
            table = str((old or new or {})["table"])
            differences.append(Difference(table, _but_table(old), _but_table(new)))
    return Part("data", tuple(differences), same)


def _but_table(facts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if facts is None else {name: value for name, value in facts.items() if name != "table"}


def _figures(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[Figure]:
    old, new = (
        {
            path: entry.get("digest")
            for entry in manifest.get("files") or ()
            if (path := str(entry.get("path"))).startswith(f"{FIGURES}/")
        }
        for manifest in (before, after)
    )
    return [Figure(path, old.get(path), new.get(path)) for path in sorted({*old, *new})]
