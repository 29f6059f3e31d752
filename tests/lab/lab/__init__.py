"""The crash lab: imports, changes and operators in a world without servers."""
