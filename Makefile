# Two commands that do all of their own set-up, inside this folder:
#   make demo                index some real photos and search them (MEDIA=folder takes your own)
#   make test                everything that must hold before a change goes in
# Packages come from PyPI the first time; after that both work offline and install nothing.

DEMO := .venv/demo
TEST := .venv/test
MEDIA ?=
QUERY ?=

.PHONY: help demo test format clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(DEMO)/installed.toml
	@$(DEMO)/bin/python tools/demo.py $(if $(MEDIA),--media "$(MEDIA)") $(if $(QUERY),--query "$(QUERY)")

test: $(TEST)/installed.toml
	$(TEST)/bin/ruff format --check .
	$(TEST)/bin/ruff check .
	$(TEST)/bin/mypy
	$(TEST)/bin/lint-imports
	$(TEST)/bin/python -m pytest -n 2

format: $(TEST)/installed.toml
	$(TEST)/bin/ruff format .
	$(TEST)/bin/ruff check --fix .

clean:
	rm -rf .venv demo dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# Two environments, since the demo shows that nothing large is needed: no torch in it.
$(DEMO)/installed.toml: pyproject.toml tools/environment
	@tools/environment $(DEMO) . --group demo

$(TEST)/installed.toml: pyproject.toml tools/environment
	@tools/environment $(TEST) ".[all]" --group test
