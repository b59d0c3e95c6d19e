"""Native routes and the recipe for the rest, in one process."""

from benchmarks.apps import native, recipe

routes = [*native.routes, *recipe.routes]
