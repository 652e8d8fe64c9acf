import headrace


@headrace.resource(primary_key="id", schema_contract={"columns": "discard_row"})
def orders():
    yield [{"id": 1, "total": 20}]
    if headrace.config.get("coupons"):
        yield [{"id": 2, "total": 12, "coupon": "SPRING"}, {"id": 3, "total": 7}]


pipeline = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
print(pipeline.run(orders()))
