"""Those who watch runs: progress, and later lineage and alerts. Each is an observer of the bus."""
