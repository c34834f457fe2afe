"""Keeps the house: imports go one way, files stay small, help is light, every config key is read."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mathsynth"

# From left to right; a module may import what stands to its right. Those of one line don't know each other.
LAYERS = [
    {"__main__"},
    {"cli"},
    {"cli_groups"},
    {"commands"},
    {"pipeline"},
    {"changes", "safety"},
    {"executors"},
    {"recipe"},
    {"strategy"},
    {"steps"},
    {"stages"},
    {"card", "training", "spool", "samples"},
    {"methods"},
    {"formats"},
    {"procedural"},
    {"context"},
    {"programs", "calls", "grading", "allocation", "prompts", "questions", "readers"},
    {"yamlfile", "live"},
    {"settings", "progress", "gate"},
    {"backends"},
    {"batches", "models"},
    {"batchapi"},
    {"limits", "budget", "wire", "servers"},
    {"guard"},
    {"sandbox"},
    {"verifier"},
    {"report"},
    {"journal", "lock"},
    {"parts"},
    {"straight_line"},
    {"resources", "shards", "similarity", "code_blocks", "printed"},
    {"records"},
    {"errors"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
ONE_FILE_EACH = {"stages", "methods", "formats", "executors", "backends", "commands"}
SHARED = {"backends": {"base"}, "stages": {"input"}, "commands": {"grading", "display"}}
HEAVY = {"sympy", "openai", "vllm", "ray", "torch", "datasets", "numpy", "pyarrow", "xllamacpp", "pandas"}
MAX_LINES = 400

FILES = sorted(PACKAGE.rglob("*.py"))


def layer(path: Path) -> str:
    """The top-level name that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> list[tuple[ast.AST, str, bool]]:
    """(node, module, whether inside a function) of every import of a file, those for type checkers left out."""
    tree = ast.parse(path.read_text())
    checking = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and isinstance(branch.test, ast.Name) and branch.test.id == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in checking:
            continue
        if isinstance(node, ast.Import):
            found += [(node, alias.name, id(node) in inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node, node.module, id(node) in inside))
            found += [(node, f"{node.module}.{alias.name}", id(node) in inside) for alias in node.names]
    return found


def test_every_module_has_a_layer():
    names = {layer(path) for path in FILES} - {"__init__"}
    assert names <= set(RANK), names - set(RANK)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    here = layer(path)
    for node, module, _ in imports(path):
        parts = module.split(".")
        if parts[0] != "mathsynth" or len(parts) == 1 or parts[1] not in RANK:
            continue
        there = parts[1]
        if there == here:
            if here in ONE_FILE_EACH and path.name != "__init__.py" and len(parts) > 2:
                sibling = parts[2]
                is_module = (PACKAGE / here / f"{sibling}.py").exists()
                assert not is_module or sibling in SHARED.get(here, set()), f"line {node.lineno}: sibling {module}"
        elif here != "__init__":
            assert RANK[there] > RANK[here], f"line {node.lineno}: {here} imports {there}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_libraries_load_inside_functions_and_our_own_at_the_top(path):
    for node, module, inside in imports(path):
        top = module.split(".")[0]
        assert top not in HEAVY or inside, f"line {node.lineno}: {module} at the top"
        if top == "mathsynth" and inside:
            assert path.name in ("cli.py", "cli_groups.py"), f"line {node.lineno}: {module} inside a function"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_are_small_and_say_what_they_are(path):
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), "no module docstring"
    assert len(text.splitlines()) <= MAX_LINES


def test_only_the_command_line_prints_and_exits():
    for path in FILES:
        # The runner is what programs of a model are run by, in a process of their own that is confined.
        if path.name in ("cli.py", "cli_groups.py", "display.py", "__main__.py", "runner.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("print", "exit", "eval", "exec"), f"{path}:{node.lineno}"


@pytest.mark.parametrize("folder", ["stages", "methods"])
def test_every_config_key_is_read(folder):
    for path in (PACKAGE / folder).glob("*.py"):
        text = path.read_text()
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef) and node.name == "Config":
                for field in node.body:
                    if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                        name = field.target.id
                        assert f"config.{name}" in text or f"self.{name}" in text, f"{path.name}: {name} is never read"


def test_the_package_init_imports_nothing():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]


COMMANDS = ["", "generate", "plan", "preview", "seed-expand", "persona-rewrite", "sample", "verify", "dedupe", "export"]
COMMANDS += [
    "input",
    "check",
    "gold",
    "report",
    "show",
    "status",
    "pause",
    "concurrency",
    "models",
    "models pull",
    "recipe",
    "recipe check",
    "doctor",
    "merge",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_loads_nothing_heavy(command):
    code = (
        "import sys; sys.argv = ['mathsynth', *%r, '--help']\n"
        "from mathsynth.cli import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code, end.code\n"
        "print('LOADED', *sorted({name.split('.')[0] for name in sys.modules} & %r))" % (command.split(), HEAVY)
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip().splitlines()[-1] == "LOADED"


def test_help_answers_soon():
    """0.3 s on a quiet machine; three times that is allowed, for tests share the cores."""
    times = []
    for _ in range(3):
        before = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "mathsynth", "sample", "--help"], capture_output=True, cwd=ROOT, check=True
        )
        times.append(time.perf_counter() - before)
    assert min(times) < 0.9
