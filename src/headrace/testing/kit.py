"""What all parts of the suite stand on: places, pipelines, declared gaps, and reasons why a test can never run."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import pytest

import headrace
from headrace.testing.asserts import assert_load_ok

if TYPE_CHECKING:
    from headrace.load.destination import Destination
    from headrace.model.capabilities import Capabilities
    from headrace.model.infos import LoadInfo
    from headrace.pipeline.pipeline import Pipeline


class Kit:
    """The base of the suite.

    Attributes:
        gaps: What the destination is known to fail, and why: names of tests, or of one case of a test with its id in
            brackets (``test_type_keeps_value[text-nul]``). Strict: such a test must fail.
        table_format: Given to all resources: ``delta`` or ``iceberg`` where the destination has such tables.
        secrets: Words (passwords) that no error may tell.
        keep_datasets: Leave datasets behind; right where the place goes away with the test.
        folder: A folder of the test's own.
    """

    gaps: ClassVar[Mapping[str, str]] = {}
    table_format: ClassVar[str | None] = None
    secrets: ClassVar[Sequence[str]] = ()
    keep_datasets: ClassVar[bool] = False
    folder: Path

    def destination(self) -> Destination:
        """A destination; all calls within one test give the same place.

        Tests that kill a process pickle it, to make the same one there.
        """
        raise NotImplementedError(f"{type(self).__name__} must say which destination it is about")

    def unreachable(self) -> Destination | None:
        """A destination that cannot be reached or lets nobody in: a wrong port, a wrong password."""
        return None

    def capabilities(self) -> Capabilities:
        """What the tests may ask of the destination, with the table format under test."""
        return self.destination().capabilities().for_format(self.table_format)

    # ---- gaps ------------------------------------------------------------------------------------------------------

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for gap in cls.gaps:
            name, _, case = gap.partition("[")
            test = getattr(cls, name, None)
            if test is None or (case and case.rstrip("]") not in _cases(test)):
                raise TypeError(f"{cls.__name__} declares the gap `{gap}`, and there is no such test")

    @pytest.fixture(autouse=True)
    def _kit(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
        self.folder = tmp_path
        self.dataset_name = f"kit_{uuid.uuid4().hex[:12]}"
        self._pipelines: list[Pipeline] = []
        for name in (request.node.name, getattr(request.node, "originalname", "")):
            if name in self.gaps:
                request.applymarker(pytest.mark.xfail(reason=self.gaps[name], strict=True))
                break
        yield
        self._tidy()

    def _tidy(self) -> None:
        for pipeline in self._pipelines:
            if not self.keep_datasets and pipeline.default_schema_name is not None:
                # a place that the test has broken cannot be tidied
                with contextlib.suppress(Exception), pipeline.destination_client() as client:
                    if client.has_dataset():
                        client.drop_dataset()
            pipeline._session.close()
            if pipeline.is_active:
                pipeline.deactivate()

    # ---- what a destination cannot do ------------------------------------------------------------------------------

    def never(self, reason: str) -> NoReturn:
        """Skip: the destination's capabilities rule the test out."""
        pytest.skip(f"never: {self.destination().destination_name} {reason}")

    def need_merge(self, *strategies: str) -> None:
        """Skip unless the destination has all these merge strategies."""
        has = self.capabilities().supported_merge_strategies
        if missing := [s for s in strategies if s not in has]:
            self.never(f"has no merge strategy {', '.join(missing)}, only {', '.join(has) or 'none'}")

    def need_replace(self, strategy: str) -> None:
        """Skip unless the destination has a replace strategy."""
        has = self.capabilities().supported_replace_strategies or ("truncate-and-insert",)
        if strategy not in has:
            self.never(f"has no replace strategy {strategy}, only {', '.join(has)}")

    def need_nesting(self) -> None:
        """Skip unless the destination takes nested tables."""
        if self.capabilities().max_table_nesting == 0:
            self.never("takes no nested tables (max_table_nesting is 0)")

    def need_sql(self) -> None:
        """Skip unless the destination's tables can be read by SQL."""
        if self.capabilities().sqlglot_dialect is None:
            self.never("speaks no SQL (sqlglot_dialect is None)")

    # ---- pipelines -------------------------------------------------------------------------------------------------

    def pipeline(
        self, name: str = "kit", machine: str = "here", destination: Destination | None = None, **settings: Any
    ) -> Pipeline:
        """A pipeline to the place.

        Args:
            name: Its name.
            machine: Pipelines of one name on one machine share their working folder.
            destination: Another one than `destination` gives.
            settings: Of `headrace.pipeline`.
        """
        made: Pipeline = headrace.pipeline(
            name,
            destination=destination or self.destination(),
            pipelines_dir=str(self.folder / machine),
            **{"dataset_name": self.dataset_name, **settings},
        )
        self._pipelines.append(made)
        return made

    def resource(self, data: Iterable[Any], name: str = "items", **hints: Any) -> Any:
        """A resource of these items, with the table format under test."""
        return headrace.resource(data, name=name, table_format=self.table_format, **hints)

    def load(self, pipeline: Pipeline, data: Iterable[Any], name: str = "items", **hints: Any) -> LoadInfo:
        """Run a resource of these items, which must go well."""
        return assert_load_ok(pipeline.run(self.resource(data, name, **hints)))


def _cases(test: Any) -> set[str]:
    """Ids of the cases of a parametrized test; they are all given by name in the suite."""
    ids: list[list[str]] = [[]]
    for mark in getattr(test, "pytestmark", ()):
        if mark.name == "parametrize":
            given = [str(p.id) if hasattr(p, "id") else str(p) for p in mark.args[1]]
            ids = [[*known, one] for known in ids for one in given]
    return {"-".join(known) for known in ids}
