import os
import signal

import headrace
from headrace.model.events import Normalized


@headrace.resource(primary_key="id")
def orders(since=headrace.sources.incremental("id", initial_value=0)):
    first = since.start_value
    yield [{"id": first + n, "note": f"order {first + n}"} for n in (1, 2, 3)]


pipeline = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
if os.environ.get("OUT_OF_LUCK"):
    pipeline.on(Normalized)(lambda event: os.kill(os.getpid(), signal.SIGKILL))
print(pipeline.run(orders()))
