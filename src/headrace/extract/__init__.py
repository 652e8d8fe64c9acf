"""The room extract: sources and resources, the pipes their items go through, the stage that reads them."""
