import headrace


@headrace.resource(primary_key="id")
def orders(since=headrace.sources.incremental("id", initial_value=0)):
    first = since.start_value
    yield [{"id": first + n, "note": f"order {n}"} for n in (1, 2, 3)]


pipeline = headrace.pipeline("shop", destination="@DESTINATION@", dataset_name="raw")
print(pipeline.run(orders()))
