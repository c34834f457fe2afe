"""The command groups `models` and `recipe`, and what all commands share: arguments, messages, how a recipe is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mathsynth.recipe import Recipe

models_app = typer.Typer(help="The embedded models: what is there, what can be pulled.", rich_markup_mode=None)
recipe_app = typer.Typer(help="Recipes: those that ship, what is wrong with one, its schema.", rich_markup_mode=None)

Sets = Annotated[list[str], typer.Option("--set", metavar="stage.key=value", help="Override one key; repeatable.")]
RecipeArg = Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe file, or the name of one that ships.")]


def say(text: str) -> None:
    """A message to the user."""
    typer.echo(text, err=True)


def resolved(given: str, sets: list[str], limit: int | None = None) -> Recipe:
    """The recipe of that name or path, with its overrides. UsageError with a line for each mistake."""
    from mathsynth.recipe import find_recipe, read_recipe

    return read_recipe(find_recipe(given), [*sets, *([f"input.limit={limit}"] if limit else [])])


@models_app.command("list")
def models_list() -> None:
    """The embedded models that can be pulled, and which are here."""
    from mathsynth.models import list_models

    for weights in list_models():
        where = str(weights.path) if weights.pulled else "not pulled"
        typer.echo(f"{weights.name:<14} {weights.bytes / 1e6:,.0f} MB  {weights.license}  {where}\n    {weights.about}")


@models_app.command("pull")
def models_pull(name: Annotated[str, typer.Argument(help="A name of `mathsynth models list`.")]) -> None:
    """Bring an embedded model's weights into the cache, hash-checked."""
    from mathsynth.commands.display import Download
    from mathsynth.models import pull

    with Download(name) as download:
        path, fetched = pull(name, download.update)
    say(f"{name}: {'pulled to' if fetched else 'already there:'} {path}")


@recipe_app.command("list")
def recipe_list() -> None:
    """The recipes that ship, a line each."""
    from mathsynth.recipe import shipped_recipes

    for name, description in shipped_recipes():
        typer.echo(f"{name:<20} {description}")


@recipe_app.command("check")
def recipe_check(recipe: RecipeArg, sets: Sets = []) -> None:  # noqa: B006
    """What is wrong with a recipe, file and line, without a model call."""
    from mathsynth.stages.input import look

    found = resolved(recipe, sets)
    look(found.input, found.base)
    typer.echo(f"{found.path}: fine; {len(found.steps)} steps: {', '.join(step.name for step in found.steps)}")


@recipe_app.command("schema")
def recipe_schema() -> None:
    """The JSON schema of recipes, for editors."""
    import json

    from mathsynth.commands.schema import recipe_schema as schema

    typer.echo(json.dumps(schema(), indent=2))
