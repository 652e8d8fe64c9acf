"""Gates on columns, and the events of data that break a contract."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from headrace.errors.schema import CannotCoerceColumnException, DataValidationError
from headrace.model.events import CastFailed, ContractViolated

if TYPE_CHECKING:
    from headrace.model.judging import Ask
    from headrace.pipeline.core import PipelineCore


def ask_for_columns(p: PipelineCore) -> Ask | None:
    """Asks the gates of a pipeline about a column; None when no gate wants to be asked."""
    return partial(p.bus.gates.decide, run=p.bus.run) if p.bus.gates.decides else None


def tell_violation(p: PipelineCore, step: str, load_id: str | None, error: BaseException) -> None:
    """Publish what an error says of a contract, or of a value that fits no column; of other errors nothing."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, (DataValidationError, CannotCoerceColumnException)):
        seen = seen.__cause__
    if seen is None:
        return
    run_id, name = p._tracer.run_id, load_id or ""
    column = seen.column_name or ""
    if isinstance(seen, DataValidationError):
        p._publish(
            ContractViolated(
                run_id=run_id,
                load_id=name,
                step=step,
                schema_name=seen.schema_name or "",
                table=seen.table_name,
                entity=seen.schema_entity,
                column=column,
                mode=seen.contract_mode,
                reason=seen.extended_info or "",
            )
        )
        if seen.schema_entity != "data_type":
            return
    outcome = "freeze" if isinstance(seen, DataValidationError) else "error"
    p._publish(CastFailed(run_id=run_id, load_id=name, table=seen.table_name, column=column, outcome=outcome))
