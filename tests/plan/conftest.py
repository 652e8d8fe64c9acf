from tests.e2e.project import project as project
