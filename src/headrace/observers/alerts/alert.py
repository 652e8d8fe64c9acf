"""What an alert says: a value, and the parts of a text that all channels share."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

from headrace.base.time import human_duration
from headrace.model.wording import aligned, count

TKind = Literal[
    "failure",
    "retries_exhausted",
    "failed_jobs",
    "set_aside",
    "rejected",
    "recovered",
    "schema_change",
    "success",
]
KINDS: tuple[TKind, ...] = get_args(TKind)
"""What a run can give cause to tell, the gravest first."""

TROUBLES: frozenset[TKind] = frozenset(KINDS[:5])
LONGEST = 2000
"""Characters of a text that comes from an error; the log has it whole."""
MOST = 50
"""Jobs, packages, reasons and changes that are told one by one."""


class ErrorFacts(NamedTuple):
    """What ended a run, as people are told: ``step`` is empty when no step was open."""

    step: str
    type: str
    what: str
    why: str | None = None
    fix: str | None = None


class RejectedRows(NamedTuple):
    """``lost`` rows or values of a table that a rule of its contract let go; ``share`` of its rows, 0 to 1."""

    table: str
    rule: str
    column: str
    lost: int
    share: float


class FailedJob(NamedTuple):
    """A job that failed for good; ``table`` names the tables it was to write."""

    load_id: str
    job_id: str
    table: str
    message: str


class SetAside(NamedTuple):
    """A package that will not be loaded."""

    load_id: str
    reason: str


class TableChange(NamedTuple):
    """A table that is new at the destination, or has new or wider columns there: name to data type."""

    table: str
    new_table: bool
    columns: Mapping[str, str]
    widened: Mapping[str, str] = {}

    def __str__(self) -> str:
        new, wider = (", ".join(f"{name} {kind}" for name, kind in c.items()) for c in (self.columns, self.widened))
        if self.new_table:
            return f"new table {self.table}: {new}" if new else f"new table {self.table}"
        told = [f"new columns: {new}" if new else "", f"wider columns: {wider}" if wider else ""]
        return f"table {self.table}, {'; '.join(filter(None, told))}"


class Section(NamedTuple):
    """A titled part of a text; what stands in columns asks for letters of one width."""

    title: str
    lines: Sequence[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Alert:
    """What a run gave cause to tell. No text in it holds a secret that headrace knows or recognizes.

    Attributes:
        id: Of this alert, the same for all channels and attempts.
        kinds: Why it is told, the gravest first: members of `KINDS`.
        outcome: How the run ended.
        destination: Its name, and its place as far as that is not secret.
        rows: Rows that this run loaded, by table; tables of headrace's own left out.
        left_out: How many more there are of what is told one by one, by the name of the field; ``rejected_rows``: what
            those rejections lost.
        next: What to type next.
        repeated: How often the same trouble came since it was told before.
        since: When it came first.
    """

    id: str
    kinds: tuple[TKind, ...]
    outcome: Literal["success", "failure", "interrupted"]
    pipeline_name: str
    run_id: str
    started_at: dt.datetime
    finished_at: dt.datetime
    dataset_name: str | None = None
    destination: str | None = None
    host: str = ""
    steps: tuple[str, ...] = ()
    load_ids: tuple[str, ...] = ()
    loaded: bool = False
    rows: Mapping[str, int] = dataclasses.field(default_factory=dict)
    schema_changes: tuple[TableChange, ...] = ()
    rejected: tuple[RejectedRows, ...] = ()
    failed_jobs: tuple[FailedJob, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)
    error: ErrorFacts | None = None
    next: tuple[str, ...] = ()
    repeated: int = 0
    since: dt.datetime | None = None

    @property
    def seconds(self) -> float:
        """How long the run took."""
        return (self.finished_at - self.started_at).total_seconds()

    @property
    def is_trouble(self) -> bool:
        """Whether somebody should look."""
        return not TROUBLES.isdisjoint(self.kinds)

    def because(self, kinds: Collection[TKind], repeated: int = 0, since: dt.datetime | None = None) -> Alert:
        """The same alert, told for some reasons only."""
        ordered = tuple(kind for kind in KINDS if kind in kinds)
        return dataclasses.replace(self, kinds=ordered, repeated=repeated, since=since)

    @property
    def title(self) -> str:
        """One line, with the gravest first."""
        return f"{self.pipeline_name}: {'; '.join(map(self._said, self.kinds or ('success',)))}"

    def _said(self, kind: TKind) -> str:
        rows = sum(self.rows.values())
        lost = sum(one.lost for one in self.rejected) + self.left_out.get("rejected_rows", 0)
        stopped = "interrupted" if self.outcome == "interrupted" else "FAILED"
        said = {
            "failure": f"{stopped} in {self.error.step}" if self.error and self.error.step else stopped,
            "retries_exhausted": "retries exhausted",
            "failed_jobs": f"{count(self._all('failed_jobs'), 'job')} FAILED",
            "set_aside": f"{count(self._all('set_aside'), 'package')} SET ASIDE",
            "rejected": f"{count(lost, 'row')} rejected",
            "recovered": "works again",
            "schema_change": f"{count(self._all('schema_changes'), 'table')} changed",
            "success": f"loaded {count(rows, 'row')}" if rows else "nothing new to load",
        }
        return said[kind]

    def _all(self, name: str) -> int:
        """How many there are of something, those included that are not told one by one."""
        return len(getattr(self, name)) + self.left_out.get(name, 0)

    def facts(self) -> list[tuple[str, str]]:
        """Names and values that stand above the text."""
        found = [
            ("Pipeline", self.pipeline_name),
            ("Destination", self.destination or ""),
            ("Dataset", self.dataset_name or ""),
            ("Duration", human_duration(self.seconds)),
            ("Started", f"{self.started_at:%Y-%m-%d %H:%M:%S} UTC"),
            ("Host", self.host),
        ]
        if self.since is not None:
            again = "for" if "recovered" in self.kinds else "and before that"
            found.append(("Trouble", f"since {self.since:%Y-%m-%d %H:%M} UTC, {again} {count(self.repeated, 'run')}"))
        return [(name, value) for name, value in found if value]

    def sections(self) -> list[Section]:
        """The text in parts, the gravest first."""
        found = [
            Section("What happened", self._error_lines()),
            Section(
                "Failed jobs",
                [f"{j.job_id} of {j.table} (package {j.load_id}): {j.message}" for j in self.failed_jobs]
                + self._and_more("failed_jobs"),
            ),
            Section(
                "Set aside", [f"package {p.load_id}: {p.reason}" for p in self.set_aside] + self._and_more("set_aside")
            ),
            Section("Rejected", self._rejected_lines() + self._and_more("rejected")),
            Section(
                "Schema changes", [str(change) for change in self.schema_changes] + self._and_more("schema_changes")
            ),
            Section("Rows", aligned((name, f"{n:,}") for name, n in self.rows.items())),
            Section("What to type next", list(self.next)),
        ]
        return [section for section in found if section.lines]

    def _and_more(self, name: str) -> list[str]:
        return [f"… and {self.left_out[name]:,} more"] if name in self.left_out else []

    def _error_lines(self) -> list[str]:
        if self.error is None:
            return []
        lines = [self.error.what]
        if self.error.why:
            lines.append(f"Why: {self.error.why}")
        if self.error.fix:
            lines.append(f"What to do: {self.error.fix}")
        return lines

    def _rejected_lines(self) -> list[str]:
        return aligned(
            (f"{r.table}{f'.{r.column}' if r.column else ''}", r.rule, f"{r.lost:,}", f"{r.share:.1%}")
            for r in self.rejected
        )

    def text(self) -> str:
        """The whole alert as plain text."""
        lines = [self.title, ""]
        lines += aligned_facts(self.facts())
        for section in self.sections():
            lines += ["", f"{section.title}:", *(f"  {ln}" for text in section.lines for ln in text.splitlines())]
        return "\n".join(lines)

    def asdict(self) -> dict[str, Any]:
        """The alert as plain values, as webhooks send it; see the page on alerts for what each means."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name in ("rejected", "failed_jobs", "set_aside", "schema_changes"):
            fields[name] = [one._asdict() for one in fields[name]]
        for name in ("started_at", "finished_at", "since"):
            fields[name] = fields[name].isoformat() if fields[name] else None
        fields["error"] = self.error._asdict() if self.error else None
        fields["rows"], fields["left_out"] = dict(self.rows), dict(self.left_out)
        fields["seconds"] = round(self.seconds, 3)
        return {**fields, "title": self.title, "text": self.text()}


def aligned_facts(facts: Sequence[tuple[str, str]]) -> list[str]:
    """Names and values in two columns, both to the left."""
    width = max((len(name) for name, _ in facts), default=0) + 1
    return [f"{name + ':':<{width}} {value}" for name, value in facts]


def clip(text: str, longest: int) -> str:
    """The text, cut where it is longer than allowed."""
    return text if len(text) <= longest else f"{text[: max(0, longest - 1)]}…"
