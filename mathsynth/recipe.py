"""A recipe: YAML, parsed once into frozen configs, each step with the hash key that names its output.

A step's key covers its stage and version, its config but for tuning knobs, the content of its prompts, what its
models are sent, the verifier's rules if it grades, the recipe's seed, and the key of the step before. So another
config is another directory, and equal work is found again. The material of each key is written beside the rows
(`key.json`), which is how a later run can say what changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import orjson
import xxhash
import yaml
from pydantic import BaseModel, ConfigDict, Field

from mathsynth.backends import load_backend
from mathsynth.backends.base import ModelConfig
from mathsynth.budget import Budget
from mathsynth.errors import BadRow, UsageError
from mathsynth.prompts import Prompt, find_prompt, format_fault, read_shots
from mathsynth.readers import Source, places
from mathsynth.records import Problem, Record
from mathsynth.resources import find_recipe as find_recipe
from mathsynth.resources import folder, resolve
from mathsynth.sandbox.results import VERSION as SANDBOX_VERSION
from mathsynth.sandbox.results import Config as Sandbox
from mathsynth.settings import ConfigError, Place, dotted, unknown, validate
from mathsynth.stages import Flow, StageConfig, load_stage, stage_names
from mathsynth.stages import input as input_stage
from mathsynth.steps import Step as Step
from mathsynth.strategy import Strategy, choose, followed
from mathsynth.verifier import VERSION as VERIFIER_VERSION
from mathsynth.verifier import Policy
from mathsynth.yamlfile import Document, fill_from_env, load, override

INPUT = "input"
Named = list[tuple[str, str, StageConfig | None]]
"""Steps: name, stage, config, which is None where it is wrong."""


class Head(BaseModel):
    """The keys of a recipe beside its input, models, verifier and steps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="", pattern=r"^[\w.-]*$")
    """The run's name; the recipe's file name if empty. Runs go to `runs/<name>`."""
    base: str = ""
    """The folder that relative paths start from, if it is not the recipe's own; a run's `recipe.yaml` names it."""
    description: str = ""
    """One sentence on what the recipe is for."""
    seed: int = 0
    """Seed of everything random, the models' sampling included."""
    max_failed_share: float = Field(default=0.05, ge=0, le=1)
    """A step in which more than this share of the rows failed ends the run with exit 1."""
    budget: Budget = Budget()
    """`{tokens: …, hours: …, usd: …}`: once one of them is spent the run stops in order; more of it goes on."""
    sandbox: Sandbox = Sandbox()
    """Where programs that models wrote are run: `{cpu_s: 5, memory_mb: 512, …}`."""
    strategy: Strategy | None = None
    """`{queries: …, answer_below: …, rephrase_below: …, follow: …}`: what the budget is best spent on."""


TOP_KEYS = frozenset({*Head.model_fields, "steps", "models", INPUT, "verifier", "extends"})


@dataclass(frozen=True)
class Recipe:
    """A recipe as resolved: what `generate` runs and `recipe.yaml` records."""

    path: Path
    head: Head
    models: dict[str, ModelConfig]
    policy: Policy
    steps: tuple[Step, ...]
    document: Document
    followed: tuple[str, ...] = ()
    """What its strategy made of its steps, in lines for the user."""
    sets: tuple[str, ...] = ()
    """The overrides that it was read with."""

    @property
    def name(self) -> str:
        """The run's name."""
        return self.head.name or self.path.stem

    @property
    def base(self) -> Path:
        """What relative paths in the recipe start from."""
        return self.path.parent / self.head.base

    @property
    def input(self) -> input_stage.Config:
        """What its problems are read from."""
        config = self.steps[0].config
        assert isinstance(config, input_stage.Config)
        return config

    @property
    def notes(self) -> list[str]:
        """What its strategy did, and what it says in vain because another key holds: lines for the user."""
        return [
            *self.followed,
            *(
                f"{step.name}: its sampling.temperature holds, not models.{name}.temperatures"
                for step in self.steps
                for name, model in step.models.items()
                if model.temperatures and "temperature" in getattr(step.config, "sampling", {})
            ),
        ]

    @property
    def text(self) -> str:
        """The resolved recipe as YAML, without anything that came from the environment."""
        return yaml.safe_dump(self.document.unfilled, sort_keys=False, allow_unicode=True)

    @property
    def stored(self) -> str:
        """The same to be run from any folder: with its name and what its relative paths start from."""
        base = {} if self.base == folder("recipes") else {"base": str(self.base)}
        # A base that is written down as a whole may come from the environment.
        own = {"name": self.name} | base | self.document.unfilled | ({} if Path(self.head.base).is_absolute() else base)
        return yaml.safe_dump(own, sort_keys=False, allow_unicode=True)


def read_recipe(path: Path, sets: Sequence[str] = ()) -> Recipe:
    """The recipe with its overrides. UsageError with one line for each mistake: file, line, key, what is allowed."""
    document = load(path)
    override(document, sets, path.parent / document.base)
    return replace(_parse(path, document), sets=tuple(sets))


def _parse(path: Path, document: Document, only: str | None = None) -> Recipe:
    fill_from_env(document)
    faults: list[str] = []
    recipe = _Parser(path, document, faults).recipe(only)
    if recipe is None or faults:
        raise UsageError("\n".join(dict.fromkeys(faults)))
    return recipe


def fresh_key(material: dict[str, Any]) -> str:
    """32 hex digits of a key's material (canonical JSON)."""
    return xxhash.xxh3_128_hexdigest(orjson.dumps(material, option=orjson.OPT_SORT_KEYS))


class _Parser:
    """Parses the sections of one document, collecting faults instead of stopping at the first."""

    def __init__(self, path: Path, document: Document, faults: list[str]) -> None:
        self.path, self.document, self.faults = path, document, faults
        self.base = path.parent / document.base

    def recipe(self, only: str | None) -> Recipe | None:
        data = dict(self.document.data)
        steps_data = self.mapping(data.pop("steps", None), ("steps",), "stage names")
        models_data = self.mapping(data.pop("models", None) or {}, ("models",), "model names")
        input_data, policy_data = data.pop(INPUT, None), data.pop("verifier", None) or {}
        for key in [key for key in data if key not in TOP_KEYS]:
            self.fault((key,), unknown(key, TOP_KEYS | set(steps_data)))
            del data[key]
        head = self.config(Head, data, ())
        policy = self.config(Policy, policy_data, ("verifier",))
        models = {name: self.model(name, settings) for name, settings in models_data.items()}
        first = self.input(input_data)
        if not steps_data:
            stages = ", ".join(name for name in stage_names() if name != INPUT)
            self.fault(("steps",), f"this key is required: which stages run (there are: {stages})")
        configs: Named = [(INPUT, INPUT, first)] if only in (None, INPUT) else []
        configs += [self.step(name, settings) for name, settings in steps_data.items()] if only != INPUT else []
        prompts = self.prompts(configs)
        usable = {name: model for name, model in models.items() if model is not None}
        self.check_models(configs, usable)
        if policy is not None:
            self.check_answer_formats(configs, usable, prompts, policy)
        if head is not None and head.budget.usd is not None:
            for name, model in usable.items():
                if model.price is None:
                    self.fault(("models", name), "price: this key is required, for budget.usd counts by it")
        if only is None:
            self.check_sources(first)
            self.check_order(configs)
            self.check_flow(configs)
        if self.faults or head is None or policy is None or first is None:
            return None
        recipe = Recipe(self.path, head, usable, policy, (), self.document)
        ready = [(n, s, c) for n, s, c in configs if c is not None]
        if only is None and head.strategy is not None and head.strategy.follow:
            try:
                choice = choose(head.strategy, head.budget.tokens, input_stage.size(first, recipe.base).problems)
                ready, said = followed(choice, ready, self.document.unfilled["steps"])
            except UsageError as error:
                self.fault(("strategy",), str(error))
                return None
            recipe = replace(recipe, followed=said)
        return replace(recipe, steps=tuple(build_steps(recipe, ready, prompts)))

    def fault(self, place: Place, text: str) -> None:
        where = self.document.where(place)
        self.faults.append(f"{where}: {dotted(place)}: {text}" if place else f"{where}: {text}")

    def mapping(self, value: Any, place: Place, of: str) -> dict[str, Any]:
        if value is None or isinstance(value, dict):
            return value or {}
        self.fault(place, f"should be a mapping of {of}, got {type(value).__name__}")
        return {}

    def config(self, model: type[Any], data: Any, place: Place) -> Any:
        try:
            return validate(model, data, place)
        except ConfigError as error:
            for at, text in error.faults:
                self.fault(at, text)
        except UsageError as error:
            self.fault(place, str(error))
        return None

    def model(self, name: str, settings: Any) -> ModelConfig | None:
        place: Place = ("models", name)
        settings = self.mapping(settings, place, "model settings")
        if "backend" not in settings:
            self.fault(place, "backend: this key is required")
            return None
        try:
            config = load_backend(str(settings["backend"])).Config
        except UsageError as error:
            self.fault((*place, "backend"), str(error))
            return None
        found: ModelConfig | None = self.config(config, settings, place)
        if found is None or not isinstance(found.few_shot, str):
            return found
        try:
            # The examples themselves, not where they are, are what is sent and what names the step's output.
            return found.model_copy(update={"few_shot": read_shots(resolve(found.few_shot, self.base))})
        except (BadRow, UsageError) as error:
            self.fault((*place, "few_shot"), str(error))
            return None

    def input(self, data: Any) -> input_stage.Config | None:
        if data is None:
            self.fault((), "input: this key is required: which files hold the seed problems")
            return None
        if isinstance(data, str):
            data = {"sources": [{"path": data}]}
        elif isinstance(data, list):
            data = {"sources": [{"path": item} if isinstance(item, str) else item for item in data]}
        return cast("input_stage.Config | None", self.config(input_stage.Config, data, (INPUT,)))

    def check_sources(self, config: input_stage.Config | None) -> None:
        for number, source in enumerate(config.sources if config else ()):
            try:
                places(source, self.base)
            except UsageError as error:
                self.fault((INPUT, "sources", number, "path"), str(error))

    def step(self, name: str, settings: Any) -> tuple[str, str, StageConfig | None]:
        place: Place = ("steps", name)
        settings = dict(self.mapping(settings, place, "stage settings"))
        stage = str(settings.pop("stage", name))
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name) or name == INPUT:
            self.fault(place, "a step's name is lower-case letters, digits and hyphens, and not `input`")
        try:
            config = load_stage(stage).Config
        except UsageError as error:
            self.fault(place, str(error))
            return name, stage, None
        return name, stage, self.config(config, settings, place)

    def prompts(self, configs: Named) -> dict[str, Prompt]:
        found: dict[str, Prompt] = {}
        for name, _, config in configs:
            for prompt in config.prompt_names() if config else ():
                try:
                    read = find_prompt(prompt, [self.base / "prompts"])
                    read.check(config.prompt_values() if config else frozenset())
                    found[prompt] = read
                except UsageError as error:
                    self.fault(("steps", name), str(error))
        return found

    def check_models(self, configs: Named, models: dict[str, ModelConfig]) -> None:
        written = self.document.data.get("models") or {}
        for name, _, config in configs:
            for model in config.model_names() if config else ():
                if model not in models and model not in written:
                    hint = "" if models else "; say `-r RECIPE`, or `--set models.NAME.backend=…` and so on"
                    self.fault(("steps", name, "model"), unknown(model, models, "model") + hint)

    def check_answer_formats(
        self, configs: Named, models: dict[str, ModelConfig], prompts: dict[str, Prompt], policy: Policy
    ) -> None:
        """What a model is asked for must be what its prompt says and the verifier takes."""
        for step, _, config in configs:
            if config is None or "answer_format" not in config.prompt_values():
                continue
            own = [prompts[name] for name in config.prompt_names() if name in prompts]
            for name in set(config.model_names()) & set(models):
                if own and (fault := format_fault(models[name], own, policy)):
                    self.fault(("models", name, "answer_format"), f"{fault} (step {step})")

    def check_order(self, configs: Named) -> None:
        kind: type[Record] = Problem
        for name, stage, _ in configs[1:]:
            if stage not in stage_names():
                return
            module = load_stage(stage)
            if kind not in module.TAKES:
                reads, given = module.TAKES[0].__name__.lower(), kind.__name__.lower()
                self.fault(("steps", name), f"{stage} reads {reads}s, but the step before it gives {given}s")
                return
            kind = module.GIVES or kind

    def check_flow(self, configs: Named) -> None:
        """What a step is given must be what it can do something with, or calls are paid for rows that are lost."""
        flow = Flow()
        for number, (name, stage, config) in enumerate(configs[1:], 1):
            if stage != "export" and "export" in {before for _, before, _ in configs[:number]}:
                self.fault(("steps", name), "stands behind export, whose files would not have it")
            try:
                flow = config.through(flow) if config else flow
            except ConfigError as error:
                for at, text in error.faults:
                    self.fault(("steps", name, *at), text)


def build_steps(
    recipe: Recipe, configs: Sequence[tuple[str, str, StageConfig]], prompts: dict[str, Prompt]
) -> Iterator[Step]:
    """The steps with their keys, each built on the one before."""
    before = ""
    # How an answer is asked for and thinking is read is nothing to those who write questions.
    solving = {"answer_format", "thinking"}
    for number, (name, stage, config) in enumerate(configs):
        models = {name: recipe.models[name] for name in config.model_names()}
        own = {name: prompts[name] for name in config.prompt_names()}
        material: dict[str, Any] = {
            "stage": stage,
            "version": load_stage(stage).VERSION,
            "config": config.model_dump(mode="json"),
            "prompts": {name: prompt.hash for name, prompt in own.items()},
            "models": {
                name: model.model_dump(mode="json", exclude=None if config.grades() else solving)
                for name, model in models.items()
            },
            "seed": recipe.head.seed,
            "before": before,
        }
        if config.grades():
            rules = recipe.policy.model_dump(mode="json") | {"accept": sorted(recipe.policy.accept)}
            material["verifier"] = {"version": VERIFIER_VERSION, **rules}
        if config.runs_programs():
            material["sandbox"] = {"version": SANDBOX_VERSION, **recipe.head.sandbox.model_dump(mode="json")}
        if content := config.content_key(recipe.base):
            material["content"] = content
        before = fresh_key(material)
        yield Step(number, name, stage, config, models, own, material, before)


def shipped_recipes() -> list[tuple[str, str]]:
    """(name, description) of the recipes that ship."""
    return [
        (path.stem, str(load(path).data.get("description", ""))) for path in sorted(folder("recipes").glob("*.yaml"))
    ]


def read_recipe_for(
    stage: str, path: Path | None, sets: Sequence[str], sources: Sequence[dict[str, Any]] = ()
) -> Recipe:
    """A recipe of one step, for the command `mathsynth <stage>`: the stage as `path` has it, else with its defaults.

    `sets` may leave the stage's name out (`k=4`); for `input` they may be keys of the sources (`layout=gsm8k`).
    """
    document = load(path) if path is not None else Document({}, {(): "command line"})
    steps = document.data.get("steps") or {}
    name = next((name for name, keys in steps.items() if dict(keys or {}).get("stage", name) == stage), None)
    if path is not None and name is None and stage != INPUT:
        raise UsageError(f"{path}: no step runs the stage {stage!r} (steps: {', '.join(steps) or 'none'})")
    name = name or stage
    document.data["steps"] = {name: steps.get(name) or {}}
    if sources or INPUT not in document.data:
        document.data[INPUT] = {"sources": [dict(source) for source in sources] or [{"path": "-"}]}
    own, base = {*load_stage(stage).Config.model_fields}, path.parent / document.base if path is not None else None
    for text in sets:
        key = text.partition("=")[0].split(".")[0].strip()
        if stage == INPUT and key in Source.model_fields and key not in own:
            for source in document.data[INPUT]["sources"]:
                override(Document(source), [text])
        elif key in own:
            override(document, [f"{INPUT if stage == INPUT else f'steps.{name}'}.{text}"], base)
        elif key in {name, *TOP_KEYS}:
            override(document, [text], base)
        else:
            raise UsageError(f"--set {text}: {unknown(key, own | TOP_KEYS)}")
    return _parse(path or Path.cwd() / f"{stage}.yaml", document, only=stage)
