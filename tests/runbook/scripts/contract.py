import headrace


@headrace.resource(schema_contract={"columns": "freeze"})
def orders(since=headrace.sources.incremental("id", initial_value=0)):
    yield [{"id": 1, "total": 20}]
    if headrace.config.get("coupons"):  # one day the shop begins to send more
        yield [{"id": 2, "total": 12, "coupon": "SPRING"}]


pipeline = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
print(pipeline.run(orders()))
