"""The recipes of docs/recipes.md, with the packages and the servers that they are about."""
