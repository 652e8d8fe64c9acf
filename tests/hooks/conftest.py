"""Every test of hooks has a project of its own."""

from tests.e2e.project import project as project
