import os
import time

import headrace


@headrace.resource
def orders():
    open("is-running", "w").close()
    time.sleep(float(os.environ.get("SECONDS_TO_WAIT", "0")))
    yield {"id": 1}


pipeline = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
print(pipeline.run(orders()))
