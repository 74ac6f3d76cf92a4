"""The house keeps its own rules: lint, format, types, one-way imports, and no torch where none is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Collection

import numpy as np
import pytest

from tests.support.places import PACKAGE, ROOT

# The one list of rooms: every file and folder of the package, in the order in which one may import another, never
# upward. `folder/*` is an open set: every file there that is not named itself, and none of them imports another.
ORDER = """
core/frozen core/regex core/modules_in
core/wording errors
_version
core/trace core/feed core/precision core/cell core/weights core/full_lengths core/axis_words core/layer_config
core/evidence
core/arrays core/masks core/names_of_lengths core/batch core/finding core/tiles
formats/limits formats/base formats/streams formats/supervised formats/nested formats/bfloat16 formats/tree
formats/witness formats/storage formats/atomic_write formats/keras_config formats/keras_feeds formats/onnx_values
formats/onnx_quantised formats/onnx_axes formats/onnx_feeds formats/onnx_model
formats/keras_model formats/hdf5 formats/npy formats/npz formats/torch_pickle formats/torch_like
formats/torchscript formats/json_
formats/text_clean formats/text_commas formats/text_nodes formats/text_numbers
formats/text_grammar formats/text_blocks formats/text_labels formats/text_listings formats/text_names formats/text
formats/* formats/__init__
engine/activations engine/matmul engine/step engine/cells/* engine/cells/__init__ engine/initialise engine/packing
engine/lower_products engine/full_float32 engine/torch_kernels engine/loop engine/device engine/run
engine/kept_runs
conventions/dumps/layer_names conventions/weights/gates conventions/fixes/fitting conventions/fixes/tf1 conventions/base
conventions/dumps/names
conventions/dumps/cell_behind conventions/dumps/list_order conventions/dumps/positions conventions/dumps/numbered_pairs
conventions/dumps/shapes conventions/dumps/other_axes conventions/dumps/sides conventions/dumps/calls
conventions/dumps/larger_batch
conventions/dumps/siblings conventions/dumps/turned_masks conventions/dumps/inverted conventions/dumps/offsets
conventions/dumps/unread conventions/dumps/spread conventions/dumps/rightful
conventions/dumps/halves conventions/dumps/roles conventions/dumps/misnamed conventions/dumps/affixes
conventions/dumps/rows_apart conventions/dumps/steps_apart
conventions/dumps/frameworks conventions/dumps/axes conventions/dumps/elided conventions/dumps/misfits
conventions/dumps/unpacking conventions/dumps/projected conventions/dumps/lengths conventions/dumps/hypotheses
conventions/dumps/stacked conventions/dumps/first_pools conventions/dumps/joined_layers conventions/dumps/readings
conventions/dumps/writer conventions/dumps/batch conventions/weights/prefix conventions/weights/scopes
conventions/weights/joins conventions/weights/checks conventions/weights/express conventions/weights/variants
conventions/weights/stack
conventions/weights/cudnn conventions/weights/config conventions/weights/keras_names
conventions/weights/flax_names conventions/weights/keras_cells conventions/*
conventions/__init__
conventions/live/state conventions/live/__init__ conventions/live/computed conventions/live/weights conventions/returned
measure/matching measure/fewer_rows measure/nearest measure/bits measure/scan measure/padding measure/filled
measure/facts measure/saturated measure/run_ends measure/order_of_states measure/choose_reading measure/choose_roles
measure/difference
measure/decimals measure/casts measure/unflipped_half measure/directions measure/begins_alike measure/one_or_two
measure/pairs measure/merged
measure/hints measure/last_bits measure/dump_arrays measure/unnamed_lengths measure/fitting
measure/units_last measure/weighed measure/weigh
diagnosis/once diagnosis/batch_axes diagnosis/case diagnosis/fix_code diagnosis/build_case diagnosis/state_in_hand
diagnosis/own_names
diagnosis/rule diagnosis/fixes
diagnosis/evidence/cell_in_outputs diagnosis/evidence/cell_beside_state diagnosis/evidence/one_half
diagnosis/evidence/pooling diagnosis/evidence/less_usual_pools diagnosis/evidence/joined_pools
diagnosis/evidence/row_prefixes diagnosis/evidence/padded_inputs diagnosis/evidence/cut_behind_blanks
diagnosis/evidence/levenberg_marquardt diagnosis/evidence/weight_changes diagnosis/evidence/small_cases
diagnosis/evidence/grown_rounding
diagnosis/evidence/first_step diagnosis/evidence/constant_offsets
diagnosis/evidence/lengths_or_run
diagnosis/evidence/lower_precision diagnosis/evidence/weight_search diagnosis/evidence/padding_habit
diagnosis/evidence/cells_of_run diagnosis/evidence/ran_over_rows diagnosis/evidence/other_mask
diagnosis/evidence/padding_taken
diagnosis/evidence/padding_read_first diagnosis/evidence/zeros_beneath diagnosis/evidence/moved_rows
diagnosis/evidence/slice_of_view diagnosis/evidence/order_of_inputs diagnosis/evidence/copied_rows
diagnosis/evidence/part_search diagnosis/evidence/states_of_run diagnosis/evidence/rows_of_run
diagnosis/evidence/rows_told_by_run diagnosis/evidence/rows_in_outputs
diagnosis/evidence/whole_gathers diagnosis/evidence/other_row_order
diagnosis/evidence/read_on_below diagnosis/evidence/cell_for_the_other_half
diagnosis/evidence/one_row_taken diagnosis/evidence/places_in_run diagnosis/evidence/rows_of_other
diagnosis/evidence/outputs_viewed
diagnosis/evidence/teacher_forcing diagnosis/evidence/half_carried diagnosis/evidence/parameter_fit
diagnosis/evidence/first_differences diagnosis/evidence/one_step
diagnosis/evidence/agreement diagnosis/evidence/starts diagnosis/evidence/restarts diagnosis/evidence/chunks
diagnosis/evidence/stated_starts
diagnosis/weights_rule diagnosis/rules/cell_state/* diagnosis/rules/two_directions/* diagnosis/rules/weights/*
diagnosis/rules/* diagnosis/rules/__init__
diagnosis/cover diagnosis/two_causes diagnosis/states_lost diagnosis/facts_beneath
diagnosis/unseen_states diagnosis/weights_beneath diagnosis/starts_beneath diagnosis/weights_by_states
diagnosis/states_by_run diagnosis/steps_by_states
diagnosis/outputs_by_run
diagnosis/other_by_weights diagnosis/unexplained diagnosis/told_by_other
diagnosis/other_by_itself diagnosis/faults diagnosis/judge
diagnosis/lengths_by_run diagnosis/mask_by_run diagnosis/reading_by_run diagnosis/reading_by_weights
diagnosis/half_of_outputs
diagnosis/supposed diagnosis/far_from_outputs diagnosis/defaults diagnosis/normalised diagnosis/merged_state
diagnosis/two_side_by_side
diagnosis/verdict
diagnosis/changed_outputs diagnosis/otherwise
diagnosis/examples/packaged diagnosis/examples/runs
report/glossary report/record report/rows report/excerpts report/build report/schema report/renderers/view
report/renderers/_text
report/renderers/_numbers report/renderers/_elide report/renderers/_steps report/renderers/_words
report/renderers/_unlocks report/renderers/_rows
report/renderers/_blocks report/renderers/_verdicts report/renderers/_findings report/renderers/_places
report/renderers/_header report/renderers/_comparison report/renderers/_grid report/renderers/_templates
report/renderers/_card report/renderers/_brief
report/renderers/_page report/renderers/table report/renderers/html report/renderers/* report/renderers/__init__
report/layers report/many report/report report/load report/lessons report/renderers/course
api/config api/idle_options api/traced_steps api/real_steps api/rounding api/state_alone
api/role_arrays api/handed api/live api/weights_file api/weights_given api/half_of_two api/merged_outputs api/inspect
api/run api/chunks api/compare api/convert api/fix_names api/fix_write
api/carry_out api/direction_taken api/taken_anew api/mend api/fix
api/parallel/file_view
api/parallel/workers api/parallel/cluster api/parallel/results_file api/parallel/split_rows
recording/stated recording/own_lengths recording/direct_reading recording/asked recording/answers
recording/base recording/value_use recording/call_site recording/wrapping recording/shelf recording/track_call
recording/torch_modules/tensors recording/torch_modules/calls recording/torch_modules/arguments
recording/torch_modules/steps recording/torch_modules/loops recording/torch_modules/store
recording/torch_modules/own_forward recording/torch_modules/hooks recording/torch_modules/joined
recording/*
recording/registry recording/judge_calls recording/whose_state recording/recorder recording/__init__
invariance/nested invariance/model invariance/pairs_of_steps invariance/batch invariance/statements
invariance/padding_content invariance/precision invariance/random_numbers
invariance/words invariance/pairs_recognised invariance/sequence_axes invariance/companions
invariance/roles invariance/axes
invariance/full_float32
invariance/compare invariance/convert invariance/ragged invariance/trial invariance/observe
invariance/several_inputs invariance/layout
invariance/torch_modules/example invariance/probe invariance/near invariance/width invariance/in_training
invariance/rows_mixed
invariance/torch_modules/keep invariance/torch_modules/floats
invariance/torch_modules/expand invariance/torch_modules/signature
invariance/torch_modules/rule
invariance/torch_modules/live invariance/torch_modules/double invariance/rounding
invariance/function invariance/onnx_graph invariance/onnx_live
invariance/keras_keep invariance/keras_live
invariance/probes/* invariance/probes/__init__ invariance/frameworks/* invariance/frameworks/__init__
invariance/orders invariance/traces invariance/spot invariance/suspect invariance/layer_rule
invariance/seams invariance/layer_fixes invariance/place invariance/judge invariance/arguments invariance/notes
invariance/check
invariance/calls invariance/lessons invariance/loading
invariance/__init__
testing
pytest_plugin
cli/exit_codes cli/command_words cli/signals cli/overwrites
cli/settings cli/output cli/progress cli/catalogue cli/grouped cli/param_types cli/report_format cli/inputs
cli/options cli/weights
cli/fleet cli/taught cli/explain cli/* cli/__init__
__init__
__main__
"""
ROOMS = ORDER.split()


OLD_TYPES = pytest.mark.skipif(
    np.lib.NumpyVersion(np.__version__) < "2.0.0", reason="numpy before 2.0 and its time's click declare other types"
)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("ruff", "check", "."), id="lint"),
        pytest.param(("ruff", "format", "--check", "."), id="format"),
        pytest.param(("mypy",), id="types", marks=OLD_TYPES),
    ],
)
def test_tools_are_content(arguments: tuple[str, ...]) -> None:
    """ruff's lint and format and mypy --strict find nothing."""
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


Sources = dict[str, str]  # text by file: `core/trace`


def package() -> Sources:
    """Every file of the package by its place, but for folders' `__init__` that hold a docstring alone."""
    gathered = {}
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text("utf-8")
        if path.name != "__init__.py" or len(ast.parse(text).body) > 1:
            gathered[path.relative_to(PACKAGE).with_suffix("").as_posix()] = text
    return gathered


def imports_of(text: str, files: Collection[str]) -> set[str]:
    """The files that a text imports, at its top or inside a function; type-checking imports count too."""
    gathered = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        gathered |= {file_of(name, files) for name in names if name.split(".")[0] == "rnninspect"}
    return gathered


def file_of(dotted: str, files: Collection[str]) -> str:
    """The file that a dotted name is found in: a module, or what a module or a folder's `__init__` holds.

    >>> file_of("rnninspect.core.trace.Trace", ["core/trace"]), file_of("rnninspect.formats", ["formats/__init__"])
    ('core/trace', 'formats/__init__')
    """
    parts = dotted.split(".")[1:]
    for end in range(len(parts), -1, -1):
        for name in ("/".join(parts[:end]), "/".join([*parts[:end], "__init__"])):
            if name in files:
                return name
    return "__init__"


def room_of(file: str) -> str:
    """The entry of ROOMS for a file: its own, or its folder's open set; empty where there is neither."""
    folder = f"{file.rpartition('/')[0]}/*"
    return file if file in ROOMS else folder if folder in ROOMS and not file.endswith("__init__") else ""


def breaches(sources: Sources) -> list[str]:
    """Every import that goes up or joins two files of one open set, as `file -> file`."""
    rank = {room: i for i, room in enumerate(ROOMS)}
    return sorted(
        f"{file} -> {target}"
        for file, text in sources.items()
        for target in imports_of(text, [*sources, "__init__"]) - {file}
        if rank[room_of(target)] >= rank[room_of(file)]
    )


def misplaced(files: Collection[str]) -> list[str]:
    """Files without an entry in ROOMS, and entries (folders too) without a file."""
    homeless = [file for file in files if not room_of(file)]
    empty = [room for room in ROOMS if not any(room_of(file) == room for file in files)]
    return sorted(homeless) + empty


def circles(sources: Sources) -> list[str]:
    """Files that can be reached from themselves along imports."""
    onward = {file: imports_of(text, sources) - {file} for file, text in sources.items()}

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        ahead = list(onward[start])
        while ahead:
            file = ahead.pop()
            if file not in seen:
                seen.add(file)
                ahead.extend(onward.get(file, ()))
        return seen

    return sorted(file for file in sources if file in reached(file))


def test_every_file_has_its_room() -> None:
    """A new file or folder must be given a place in the one list, and the list names nothing that is not there."""
    assert misplaced(package()) == []


def test_imports_never_go_up() -> None:
    """No file imports one that stands above it, between rooms and inside folders."""
    assert breaches(package()) == []


def test_imports_run_in_no_circle() -> None:
    """No file imports itself along a way through others."""
    assert circles(package()) == []


def test_an_upward_import_is_seen() -> None:
    """The guard itself can fail: between rooms, inside a folder, inside an open set, and inside a function."""
    up = "def f():\n    from rnninspect.cli.output import note\n"
    assert breaches({"core/trace": up, "cli/output": ""}) == ["core/trace -> cli/output"]
    inside = {"measure/matching": "import rnninspect.measure.facts\n", "measure/facts": ""}
    assert breaches(inside) == ["measure/matching -> measure/facts"]
    open_set = {"formats/npy": "from rnninspect.formats.npz import read\n", "formats/npz": ""}
    assert breaches(open_set) == ["formats/npy -> formats/npz"]
    assert breaches({"cli/output": "from rnninspect.core.trace import Trace\n", "core/trace": ""}) == []


def test_a_circle_is_seen() -> None:
    """The guard itself can fail: three files that import one another in turn are named, a chain is not."""
    ring = {"a": "import rnninspect.b\n", "b": "import rnninspect.c\n", "c": "from rnninspect import a\n"}
    assert circles(ring) == ["a", "b", "c"]
    assert circles({**ring, "c": ""}) == []


def test_a_file_without_a_room_is_seen() -> None:
    """The guard itself can fail: a loose file, a new folder, and an entry without a file are named."""
    files = package()
    assert misplaced([*files, "loose", "attic/box"]) == ["attic/box", "loose"]
    assert misplaced([file for file in files if file != "core/trace"]) == ["core/trace"]
    assert (
        misplaced([*files, "engine/cells/made_up", "recording/made_up", "diagnosis/rules/made_up"]) == []
    )  # open sets take new files


def rooms_imported(folder: str) -> set[str]:
    """The rooms (folders, or files of the top level) that the files of a folder import from."""
    sources = package()
    return {
        target if target.startswith(("report/record", "core/")) else target.split("/")[0]
        for file, text in sources.items()
        if file.startswith(f"{folder}/")
        for target in imports_of(text, sources)
    }


def test_formats_and_renderers_know_no_neighbours() -> None:
    """Formats know no framework and renderers no arrays: neither imports what would tell them."""
    assert rooms_imported("formats") <= {
        "errors",
        "core/wording",
        "formats",
        "core/feed",
        "core/frozen",
        "core/modules_in",
        "core/regex",
        "core/trace",
        "core/precision",
    }
    assert rooms_imported("report/renderers") <= {
        "errors",
        "core/wording",
        "_version",
        "report/record",
        "report/glossary",
        "core/axis_words",
        "core/finding",
        "core/frozen",
        "core/modules_in",
        "core/regex",
        "report",
    }
    texts = [text for file, text in package().items() if file.startswith("report/renderers/")]
    assert texts
    assert not [text for text in texts if "import numpy" in text or "import torch" in text]


def test_no_file_is_two() -> None:
    """A file that passes 300 lines is asking to be two."""
    long = {
        str(p.relative_to(ROOT)): n
        for p in PACKAGE.rglob("*.py")
        if (n := len(p.read_text("utf-8").splitlines())) > 300
    }
    assert long == {}


def test_top_level_holds_what_the_card_names() -> None:
    """The top level holds five entries and dotfiles, nothing else."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    if not listed:
        pytest.skip("not a git checkout")
    tops = {line.split("/")[0] for line in listed.splitlines()}
    assert {t for t in tops if not t.startswith(".")} <= {
        "pyproject.toml",
        "rnninspect",
        "tests",
        "sample_data",
        "README.md",
    }


PROBE = """
import sys
from rnninspect.cli import call
code = call({arguments!r})
sys.stdout.flush()
print("torch imported:", "torch" in sys.modules, "exit", code, file=sys.stderr)
"""


def probe(*arguments: str) -> str:
    """The last line on stderr of a fresh interpreter that runs these arguments."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(arguments=list(arguments))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("compare", "sample_data/published.npz"),
        ("compare", "sample_data/published.npz", "--format", "json"),
        ("explain", "lengths-ignored"),
        ("explain",),
        ("list", "rules"),
        ("list", "conventions"),
        ("list", "formats"),
        ("schema",),
    ],
    ids=" ".join,
)
def test_torch_stays_away(arguments: tuple[str, ...]) -> None:
    """Only run, convert, demo and --weights import torch."""
    assert probe(*arguments) == "torch imported: False exit 0"


def test_run_does_import_torch() -> None:
    """The probe can tell: `run` imports torch."""
    assert probe("run", "sample_data/batch.npy", "-q", "--lengths", "3,1,2") == "torch imported: True exit 0"


def test_importing_the_package_is_light() -> None:
    """`import rnninspect` brings neither torch nor numpy."""
    code = "import sys, rnninspect; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
