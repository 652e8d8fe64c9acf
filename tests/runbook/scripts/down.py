import os
import time

import headrace
from headrace.model.events import Normalized


@headrace.resource(primary_key="id")
def orders(since=headrace.sources.incremental("id", initial_value=0)):
    first = since.start_value
    yield [{"id": first + n, "note": f"order {n}"} for n in (1, 2, 3)]


def wait(event):
    open("is-normalized", "w").close()
    while not os.path.exists("server-is-down"):
        time.sleep(0.05)


pipeline = headrace.pipeline("shop", destination="postgres", dataset_name="raw")
if os.environ.get("OUT_OF_LUCK"):
    pipeline.on(Normalized)(wait)
print(pipeline.run(orders()))
