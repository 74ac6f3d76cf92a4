"""What mends a mistake: code on plain arrays that every rule holds itself, and frameworks' better ones beside it."""

from __future__ import annotations

import ast
import re
from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.conventions import conventions
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.fixes import fix_for
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rule import CannotInject
from rnninspect.diagnosis.rules import rules
from rnninspect.engine import cells as known_cells
from tests.diagnosis.test_rules import PLANTED, SHAPES, correct
from tests.support.made import needs_backward

RULES = sorted(rules())
# Words by which code or prose would be one framework's own.
FRAMEWORKS = re.compile(
    r"torch|\btf\b|tensorflow|keras|flax|\bjax|\bjnp\b|haiku|\bhk\b|onnx|paddle|mxnet|\bmx\b|\bnn\b|lstm|"
    + "|".join(conventions()),
    re.IGNORECASE,
)


@pytest.mark.parametrize("name", RULES)
def test_the_own_fix_is_python_of_no_framework(name: str) -> None:
    """A rule's own fix parses, does something, and names no framework and no framework's function."""
    fix = rules()[name].fix
    assert ast.parse(fix).body
    assert not FRAMEWORKS.search(fix)
    assert all(len(line) <= 110 for line in fix.splitlines())


def test_the_words_of_frameworks_can_tell() -> None:
    """Every framework's own code for the commonest mistake is seen to be a framework's, or reads like numpy."""
    code = {name: convention.fixes["lengths-ignored"] for name, convention in conventions().items()}
    assert {name for name in code if FRAMEWORKS.search(code[name])} >= {"tf1", "flax", "haiku"}
    assert FRAMEWORKS.search("h = torch.arange(B)")
    assert not FRAMEWORKS.search("h = outputs[np.arange(B), lengths - 1]")


@pytest.mark.parametrize("convention", conventions().values(), ids=list(conventions()))
def test_frameworks_fix_rules_that_there_are(convention: Any) -> None:
    """A framework's fixes are one or two lines each, under names of rules, and differ from the rule's own."""
    assert set(convention.fixes) <= set(rules())
    for name, code in convention.fixes.items():
        assert code.strip()
        assert code.count("\n") < 2
        assert code != rules()[name].fix


@pytest.mark.parametrize("name", RULES)
def test_the_frameworks_fix_comes_first(name: str) -> None:
    """A framework that holds code for a rule is answered with it, any other and an unknown one with the rule's own."""
    rule = rules()[name]
    assert fix_for(rule, None) == rule.fix
    for convention in conventions().values():
        assert fix_for(rule, convention) == convention.fixes.get(name, rule.fix)


# --- the fixes that are numpy, carried out on the arrays in which the mistake was made

Names = dict[str, Any]


def named(case: Case) -> Names:
    """The arrays of a case under the names that fixes use; copies, so that a fix may write into them."""
    trace = case.trace
    names: Names = {"lengths": trace.lengths, "mask": trace.mask, "B": trace.batch_size}
    names |= {"L": trace.layers, "D": trace.directions}
    if case.batch is not None:
        names["inputs"] = case.batch.inputs
    top = [track for track in trace.tracks if track.layer == trace.layers - 1]
    parts = {"outputs": [t.outputs for t in top], "h": [t.final for t in top], "c": [t.cell for t in top]}
    for name, arrays in parts.items():
        if all(array is not None for array in arrays):
            names[name] = np.concatenate(arrays, axis=-1)  # type: ignore[arg-type]
        if len(arrays) == 2:
            names |= {f"{name}_{d}": a for d, a in zip(("fw", "bw"), arrays, strict=True) if a is not None}
    finals = [t.final for t in trace.tracks]
    if all(final is not None for final in finals):
        names["states"] = np.stack(finals)  # type: ignore[arg-type]
        names["final"] = np.concatenate(finals, axis=-1)  # type: ignore[arg-type]
    return {k: np.array(v) if isinstance(v, np.ndarray) else v for k, v in (names | weights_of(case)).items()}


def weights_of(case: Case) -> Names:
    """The bottom layer's forward weights, the gates' blocks side by side, and what the layer adds to its bias."""
    assert case.weights is not None
    spec, layer = case.weights.spec, case.weights.layers[0]
    bias = layer.bias.copy()
    if spec.cell == "lstm":
        bias[known_cells.get("lstm").gates.index("f")] += spec.forget_bias
    blocks = {"kernel": layer.input_kernel, "recurrent_kernel": layer.recurrent_kernel, "bias": bias}
    beside = {name: np.concatenate(list(array), axis=-1) for name, array in blocks.items()}
    return {**beside, "gates": "".join(known_cells.get(spec.cell).gates), "H": layer.cell_units}


def shapes_of(name: str) -> list[tuple[str, int, int]]:
    """Where the mistake can be made; two directions only for rules that are about them."""
    two = needs_backward(name)
    faults = []
    for shape in SHAPES:
        try:
            rules()[name].inject(correct(shape))
        except CannotInject:
            continue
        if (shape[2] == 2) == two:
            faults.append(shape)
    return faults


def known_besides(name: str, gates: str) -> Names:
    """What only the user knows: the stride of the layers before, and the two orders of gates."""
    swapped = gates[:1] + gates[1:3][::-1] + gates[3:]  # as the mistake is made
    orders = {"file_order": swapped, "layer_order": gates}
    return {"lengths-rescaled": {"stride": 2}, "gate-order": orders}.get(name, {})


def assert_same(mended: Any, right: Any) -> None:
    """Equal to rounding; steps that the right run has not are zero."""
    mended, right = np.asarray(mended), np.asarray(right)
    if mended.ndim == 3 and mended.shape[1] > right.shape[1]:
        assert not mended[:, right.shape[1] :].any()
        mended = mended[:, : right.shape[1]]
    np.testing.assert_allclose(mended, right, rtol=1e-6, atol=1e-6)


MENDING = [(name, shape) for name in RULES if rules()[name].fixed_in == "arrays" for shape in shapes_of(name)]


@pytest.mark.parametrize(("name", "shape"), MENDING, ids=str)
def test_the_own_fix_mends_the_arrays(name: str, shape: tuple[str, int, int]) -> None:
    """Carried out on the arrays with the mistake in them, the fix gives the numbers of the right run."""
    right, injected = named(correct(shape)), named(rules()[name].inject(correct(shape)))
    names = {"np": np, **injected, **known_besides(name, injected["gates"])}
    before = {key: np.array(value) for key, value in injected.items()}
    exec(compile(rules()[name].fix, name, "exec"), names)
    changed = [k for k in right if k in names and not (k in before and np.array_equal(before[k], names[k]))]
    assert changed
    for key in changed:
        assert_same(names[key], right[key][names["keep"]] if "keep" in names else right[key])


def test_every_kind_of_mistake_in_arrays_is_mended() -> None:
    """No rule says that it mends arrays and is passed over by the test above for want of a shape."""
    assert {name for name, _ in MENDING} == {name for name in RULES if rules()[name].fixed_in == "arrays"}
    assert len({name for name, _ in MENDING}) > len(RULES) // 2


def test_a_wrong_fix_is_seen() -> None:
    """The comparison can tell: the last column is not the state of a short row."""
    right = named(correct(("gru", 1, 1)))
    with pytest.raises(AssertionError):
        assert_same(right["outputs"][:, -1], right["h"])


@pytest.mark.parametrize("name", RULES)
def test_a_time_major_layer_is_not_told_to_be_batch_first(name: str) -> None:
    """Code for arrays `[T, B, H]` states no batch_first and takes no axis of rows for that of time."""
    rule, torch = rules()[name], conventions()["torch"]
    time, batch = fix_for(rule, torch, time_major=True), fix_for(rule, torch)
    if name == "batch-time-swapped":
        assert time == batch
    elif name in torch.fixes:
        assert not re.search(r"batch_first=True|output\[:, -1\]|x\.size\(1\)", time)
        names_axes = (
            r"batch_first=True|\[:, -1\]|size\(1\)|lengths\[:, None\]|x\[order\]|\[b, :n\]|view\(B, T|mask\.|\* T \+"
        )
        assert (time == batch) == (not re.search(names_axes, batch))


def test_the_time_major_mask_has_times_axis_first() -> None:
    """The mask that zeroes padding is `[T, B]` in a time-major layer's fix, and `[B, T]` in the other's."""
    torch = pytest.importorskip("torch")
    lengths = torch.tensor([3, 1])
    for time_major, shape in ((True, (3, 2, 4)), (False, (2, 3, 4))):
        names = {"torch": torch, "T": 3, "lengths": lengths, "output": torch.ones(shape)}
        exec(fix_for(rules()["padding-computed"], conventions()["torch"], time_major=time_major), names)
        left = names["output"].sum(2)
        assert (left if time_major else left.T).tolist() == [[4, 4], [4, 0], [4, 0]]


# --- frameworks' own code: it is code, fits the cell and the axes, and where torch runs it, it gives what it says

CELLS = ("lstm", "gru", "rnn")
OF_AN_LSTM = {"cell-hidden-swapped", "cell-overwritten-by-hidden", "forget-bias", "clip-or-peephole-ignored"}


@pytest.mark.parametrize("convention", conventions().values(), ids=list(conventions()))
def test_a_frameworks_fix_is_code(convention: Any) -> None:
    """Whatever the cell and the axes, it parses as Python and does something."""
    for name in convention.fixes:
        for cell in CELLS:
            for time_major in (False, True):
                assert ast.parse(convention.fix(name, time_major, cell)).body, name


@pytest.mark.parametrize("convention", conventions().values(), ids=list(conventions()))
def test_a_gru_is_not_told_to_take_c(convention: Any) -> None:
    """The code for a GRU or a plain RNN names no LSTM and takes no second state, but for rules of an LSTM alone."""
    for name in set(convention.fixes) - OF_AN_LSTM - {"gate-order"}:
        for cell in ("gru", "rnn"):
            code = "\n".join(line.partition("#")[0] for line in convention.fix(name, False, cell).splitlines())
            assert not re.search(r"lstm|c_n|state_c|\bc\)", code, re.IGNORECASE), (name, code)
    gates = convention.fixes.get("gate-order", "")
    of_a_gru = convention.fix("gate-order", False, "gru") or ""
    assert ("a GRU's is" in gates) <= (of_a_gru.count(",") < gates.count(","))


def test_findings_speak_of_the_cell_that_is_there() -> None:
    """The report of a GRU's dump holds the code for a GRU, the same dump of an LSTM that for an LSTM."""
    torch = conventions()["torch"]
    rule = rules()["cell-hidden-swapped"]
    assert "(h_n, c_n) = lstm" in fix_for(rule, torch, cell="lstm")
    code = fix_for(rules()["state-from-another-run"], torch, cell="gru")
    assert code.startswith("output, h_n = gru(x)")


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_torchs_code_does_what_it_says(cell: str, time_major: bool) -> None:
    """On a real layer: packing gives the right state, padding is zeroed, rows are put back, the time axis is whole."""
    torch = pytest.importorskip("torch")
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

    torch.manual_seed(1)
    layer = getattr(torch.nn, cell.upper())(3, 4, batch_first=not time_major)
    rows = [torch.randn(n, 3) for n in (3, 5, 1, 4)]
    lengths = torch.tensor([len(row) for row in rows])
    states = [layer(row[:, None] if time_major else row[None])[1] for row in rows]
    right = torch.cat([(s[0] if cell == "lstm" else s)[-1] for s in states])

    def run(rule: str, **names: Any) -> dict[str, Any]:
        names |= {"torch": torch, "pack_padded_sequence": pack_padded_sequence, "pad_sequence": pad_sequence}
        names |= {"pad_packed_sequence": pad_packed_sequence, "T": 7, cell: layer, "lengths": lengths}
        exec(conventions()["torch"].fix(rule, time_major, cell), names)
        return names

    x = run("left-padded", rows=rows)["x"]
    unpacked_again = run("lengths-ignored", x=torch.cat([x, x[:1] if time_major else x[:, :1]], 0 if time_major else 1))
    h_alone = unpacked_again["h_n"][-1]
    assert torch.allclose(h_alone, right, atol=1e-6)
    assert unpacked_again["output"].shape[0 if time_major else 1] == 6  # as many steps as went in
    packed = run("lengths-ignored", x=x)["packed"]
    assert torch.allclose(run("last-column-as-final-state", x=x)["final"], right, atol=1e-6)
    output, state = layer(packed)
    whole = run("truncated-time-axis", packed=output)["output"]
    assert whole.shape[0 if time_major else 1] == 7
    unpacked = layer(torch.cat([x, torch.randn(2, 4, 3)]) if time_major else torch.cat([x, torch.randn(4, 2, 3)], 1))[0]
    zeroed = run("padding-computed", output=unpacked)["output"]
    assert torch.allclose(zeroed, whole, atol=1e-6)
    order = torch.argsort(lengths, descending=True)
    h_n = state[0] if cell == "lstm" else state
    put_back = run("rows-permuted", h_n=h_n[:, order], c_n=-h_n[:, order], order=order)
    assert torch.equal(put_back["h_n"], h_n)
    assert torch.equal(put_back["c_n"], -h_n) == (cell == "lstm")
    assert run("length-exceeds-time", x=x, lengths=lengths + 2)["lengths"].max() == 5


# What code may take for granted: the user's own arrays, sizes and layer. Everything else it makes itself.
STATE_RULES = sorted(
    name
    for name, code in conventions()["torch"].fixes.items()
    if re.search(r"^final = |final = |torch.cat", code) or name in ("flat-gather-wrong-stride", "lengths-ignored")
)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_torchs_final_state_is_both_halves_of_the_layer_at_fault(
    cell: str, time_major: bool, layers: int, directions: int
) -> None:
    """Run on a real layer, whatever its depth and directions, every fix that takes a final state takes the right one:
    that of each row alone, forward half then backward half, of the layer that the finding names or of the top one."""
    torch = pytest.importorskip("torch")
    from torch.nn.utils import rnn

    torch.manual_seed(3)
    bidirectional = directions == 2
    module = getattr(torch.nn, cell.upper())(3, 4, layers, batch_first=not time_major, bidirectional=bidirectional)
    rows = [torch.randn(n, 3) for n in (3, 5, 1, 4)]
    lengths, x = torch.tensor([len(row) for row in rows]), rnn.pad_sequence(rows, batch_first=not time_major)
    states = [module(row[:, None] if time_major else row[None])[1] for row in rows]
    alone = torch.cat([s[0] if cell == "lstm" else s for s in states], 1)  # [L*D, B, H]
    packed = rnn.pack_padded_sequence(x, lengths, batch_first=not time_major, enforce_sorted=False)
    h_n = module(packed)[1][0] if cell == "lstm" else module(packed)[1]
    two_halves = {
        "backward-final-at-last-step",
        "directions-exchanged",
        "direction-missing",
        "direction-duplicated",
    }
    tested = 0
    for rule in STATE_RULES:
        for layer in [None, *range(layers - 1)]:
            code = conventions()["torch"].fix(rule, time_major, cell, directions, layer)
            if (rule in two_halves and not bidirectional) or "final = " not in code:
                continue
            names = {"torch": torch, "B": 4, "T": 5, cell: module, "lengths": lengths, "x": x, "h_n": h_n, **vars(rnn)}
            exec(code, names)
            if "transpose" in code:  # all layers and directions side by side
                right = alone.transpose(0, 1).reshape(4, -1)
            else:
                at = layers - 1 if layer is None or rule == "wrong-layer" else layer
                right = torch.cat(list(alone[at * directions : (at + 1) * directions]), 1)
            assert torch.allclose(names["final"], right, atol=1e-6), (rule, layer, code)
            tested += 1
    assert tested >= layers * (4 + 4 * (bidirectional)) - 2


@pytest.mark.parametrize("convention", conventions().values(), ids=list(conventions()))
def test_no_framework_takes_one_half_for_a_bidirectional_layers_state(convention: Any) -> None:
    """Code for two directions parses, and a final state in it names both halves."""
    for name in {*convention.fixes, *convention.two_directions}:
        for cell in CELLS:
            code = convention.fix(name, False, cell, 2)
            assert ast.parse(code).body
            taken = re.findall(r"final = [^\n#;]*", code)
            if taken and name not in ("rows-permuted",):
                both = re.search(r"-2.*-1|_fw.*_bw|fw_h.*bw_h|\[0\].*\[1\]|transpose|for s in", taken[-1])
                assert both, (name, code)


def test_the_code_that_puts_rows_back_holds_their_order() -> None:
    """The code shown for h and c of a torch layer, whose rows were sorted, runs as it stands and gives both right."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    output, (h, c) = torch.nn.LSTM(3, 4, batch_first=True)(torch.randn(4, 6, 3))
    rows = [2, 0, 3, 1]
    report = rnninspect.inspect(output, (h[:, rows], c[:, rows]), lengths="full", convention="torch")
    (finding,) = [f for f in report.findings if f.rule == "rows-permuted"]
    names = {"torch": torch, "h_n": h[:, rows], "c_n": c[:, rows]}
    exec(finding.fix, names)
    assert torch.equal(names["h_n"], h)
    assert torch.equal(names["c_n"], c)


def test_the_finding_of_a_bidirectional_layer_shows_both_halves() -> None:
    """The report of a real layer's last column names the pack line and both halves, never the backward one alone."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layer = torch.nn.LSTM(3, 4, batch_first=True, bidirectional=True)
    output, _ = layer(torch.randn(3, 6, 3))
    report = rnninspect.inspect(output, output[:, -1], lengths=[6, 2, 4], bidirectional=True)
    fixes = [finding.fix for finding in report.findings]
    assert fixes
    assert not any(re.search(r"final = h_n\[-1\]", fix) for fix in fixes)


@pytest.mark.parametrize("shape", PLANTED, ids=str)
def test_findings_do_not_contradict_each_other(shape: tuple[str, int, int]) -> None:
    """Of all mistakes planted, no two errors of one report give one array by different code."""
    for name in RULES:
        try:
            injected = rules()[name].inject(correct(shape)).with_weights(None)
        except CannotInject:
            continue
        made: dict[str, str] = {}
        for finding in judge(injected, rules()).findings:
            if finding.severity != "error" or finding.rule not in rules() or "together_with" in finding.evidence:
                continue
            code = rules()[finding.rule].code(injected)
            for target in targets_of(code) & {"h", "states", "final", "outputs", "lengths"}:
                plain = "\n".join(line.partition("  #")[0] for line in code.splitlines())
                assert made.setdefault(target, plain) == plain, (name, finding.rule)


def targets_of(code: str) -> set[str]:
    """The names that code binds."""
    return {
        node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
