import requests

import headrace


@headrace.resource(primary_key="id")
def orders(since=headrace.sources.incremental("id", initial_value=0)):
    page = 1
    while page:
        answer = requests.get("@URL@/orders", params={"page": page, "since": since.start_value, "api_key": "k-4711"})
        answer.raise_for_status()
        document = answer.json()
        yield document["orders"]
        page = document["next"]


pipeline = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
print(pipeline.run(orders()))
