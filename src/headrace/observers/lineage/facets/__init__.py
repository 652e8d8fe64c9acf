"""Facts become facets here, and nowhere else: each function gives the facets of one entity, none of them a guess.

The spec is OpenLineage 2-0-2 with the facet versions in `base.VERSIONS`; https://openlineage.io/docs/spec/facets.
"""
