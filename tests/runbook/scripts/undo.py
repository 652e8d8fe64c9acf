import headrace


@headrace.resource(primary_key="id", write_disposition="merge")
def orders(since=headrace.sources.incremental("day", initial_value=0)):
    day = since.start_value + 1
    wrong = 100 if headrace.config.get("in_cents") else 1  # the shop changes its units and tells nobody
    yield [{"id": n, "day": day, "total": 20 * wrong} for n in (1, 2, 3)]


pipeline = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
print(pipeline.run(orders()))
