import headrace


@headrace.source
def shop(api_key: str = headrace.secrets.value, page_size: int = 50):
    @headrace.resource(write_disposition="append")
    def orders():
        assert api_key
        yield [{"id": n} for n in range(page_size)]

    return orders


pipeline = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
print(pipeline.run(shop()))
