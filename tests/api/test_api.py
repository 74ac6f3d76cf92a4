"""The library: what programs hand over, in every framework's own forms, and the reports that they get back."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from rich.console import Console
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect
from rnninspect.diagnosis.examples import packaged
from rnninspect.errors import ShapeError, UnknownNameError, UnreadableError, UserError

LENGTHS = np.array([3, 5, 2])
B, T, F, H = 3, 5, 4, 3
LSTMStateTuple = namedtuple("LSTMStateTuple", "c h")
LSTMState = namedtuple("LSTMState", "hidden cell")


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def right(seed: int = 0, backward: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outputs `[B, T, H]` with zeros as padding, the final state h that belongs to them, and some c."""
    outputs = drawn(B, T, H, seed=seed)
    outputs[np.arange(T)[None] >= LENGTHS[:, None]] = 0
    h = outputs[:, 0] if backward else outputs[np.arange(B), LENGTHS - 1]
    return outputs, h, 2 * h + 1


OUT, HN, CN = right()
OB, HB, CB = right(1, backward=True)
BOTH = np.concatenate([OUT, OB], 2)
LOW = drawn(B, 2, seed=5)  # a lower layer's state, of another width


def matched(report: rnninspect.Report) -> list[tuple[int, str, list[str | None]]]:
    """(layer, direction, how each row stands) of every track with outputs."""
    tracks = [t for t in report.tracks if any(r.status for r in t.rows)]
    return [(t.layer, t.direction, [r.status for r in t.rows]) for t in tracks]


FORWARD = [(0, "forward", ["match"] * B)]
TWO = [(0, "forward", ["match"] * B), (0, "backward", ["match"] * B)]
TOP = [(1, "forward", ["match"] * B)]


@pytest.mark.parametrize(
    ("outputs", "state", "convention", "options", "expected"),
    [
        (OUT, HN, "tf1", {}, FORWARD),
        (OUT, (CN, HN), "tf1", {}, FORWARD),
        (OUT, LSTMStateTuple(CN, HN), "tf1", {}, FORWARD),
        (OUT, (LSTMStateTuple(LOW, LOW), LSTMStateTuple(CN, HN)), "tf1", {}, TOP),
        (OUT, (LOW, HN), "tf1", {"cell": "gru"}, TOP),
        ((OUT, OB), (LSTMStateTuple(CN, HN), LSTMStateTuple(CB, HB)), "tf1", {}, TWO),
        ((OUT, OB), (HN, HB), "tf1", {"cell": "gru"}, TWO),
        (
            (OUT, OB),
            ((LSTMStateTuple(LOW, LOW), LSTMStateTuple(CN, HN)), (LSTMStateTuple(LOW, LOW), LSTMStateTuple(CB, HB))),
            "tf1",
            {},
            [(1, "forward", ["match"] * B), (1, "backward", ["match"] * B)],
        ),
        ({"fw": OUT, "bw": OB}, {"fw": HN, "bw": HB}, "tf1", {}, TWO),
        (OUT, [HN, CN], "keras", {}, FORWARD),
        (BOTH, [HN, CN, HB, CB], "keras", {}, TWO),
        (BOTH, [HN, HB], "keras", {}, TWO),
        (OUT, (CN, HN), "flax", {}, FORWARD),
        (BOTH, ((CN, HN), (CB, HB)), "flax", {}, TWO),
        (OUT.swapaxes(0, 1), LSTMState(HN, CN), "haiku", {"time_major": True}, FORWARD),
        (OUT, {"hidden": HN, "cell": CN}, "haiku", {}, FORWARD),
        (OUT, (HN[None], CN[None]), "torch", {}, FORWARD),
        (OUT, (HN[None], CN[None]), "torch", {"layers": 1, "cell": "lstm"}, FORWARD),
        (BOTH, (np.stack([HN, HB]), np.stack([CN, CB])), "torch", {}, TWO),
        (OUT, [(HN * 2, CN), (HN, CN)], "torch", {}, TOP),
        (OUT.swapaxes(0, 1)[:, None], (HN[None], CN[None]), "onnx", {"time_major": True}, FORWARD),
        (OUT.tolist(), HN.tolist(), "tf1", {}, FORWARD),
        (OUT.tolist(), (CN.tolist(), HN.tolist()), "tf1", {}, FORWARD),
    ],
)
def test_states_as_frameworks_nest_them(
    outputs: Any, state: Any, convention: str, options: dict[str, Any], expected: list[Any]
) -> None:
    """Every form of a final state lands on the layer and direction that it is of, h told from c."""
    report = rnninspect.inspect(outputs, state, lengths=LENGTHS, convention=convention, **options)
    assert matched(report) == expected
    assert report.ok, report.findings


@pytest.mark.parametrize(
    ("result", "convention", "options", "expected"),
    [
        ((OUT, LSTMStateTuple(CN, HN)), "tf1", {}, FORWARD),
        (((OUT, OB), (LSTMStateTuple(CN, HN), LSTMStateTuple(CB, HB))), "tf1", {}, TWO),
        ([OUT, HN, CN], "keras", {}, FORWARD),
        ([BOTH, HN, CN, HB, CB], "keras", {}, TWO),
        (((CN, HN), OUT), "flax", {}, FORWARD),
        ((HN, OUT), "flax", {"cell": "gru"}, FORWARD),
        ([OUT.swapaxes(0, 1)[:, None], HN[None], CN[None]], "onnx", {"time_major": True}, FORWARD),
        ((OUT, (HN[None], CN[None])), "paddle", {}, FORWARD),
        ((OUT, [HN[None], CN[None]]), "mxnet", {}, FORWARD),
    ],
)
def test_whole_results_of_a_call(result: Any, convention: str, options: dict[str, Any], expected: list[Any]) -> None:
    """All that a layer's call returned is taken apart: the outputs are the part with three axes."""
    report = rnninspect.inspect(result, lengths=LENGTHS, convention=convention, **options)
    assert matched(report) == expected
    assert report.ok


def test_live_numbers_are_never_rounded() -> None:
    """Arrays that look like a print-out of few decimals are compared bit for bit; typed-in lists are rounded alike."""
    outputs = np.round(OUT.astype(float), 2)
    h = outputs[np.arange(B), LENGTHS - 1] + 0.004
    live = rnninspect.inspect(outputs, h, lengths=LENGTHS)
    assert live.tolerance == {"rtol": 0.0, "atol": 0.0}
    assert matched(live) == [(0, "forward", ["none"] * B)]
    assert live.findings
    typed = rnninspect.inspect(outputs.tolist(), np.round(h, 3).tolist(), lengths=LENGTHS)
    assert matched(typed) == FORWARD
    assert typed.tolerance["atol"] > 0


def test_a_swapped_pair_is_not_put_right_in_silence() -> None:
    """A pair in the wrong order for its convention is named, not quietly read the other way round."""
    report = rnninspect.inspect(OUT / 2, (HN, HN / 2), lengths=LENGTHS, convention="keras")
    assert [f.rule for f in report.findings] == ["cell-hidden-swapped"]


@pytest.fixture(scope="module", params=["LSTM", "GRU", "RNN"])
def packed_run(request: pytest.FixtureRequest) -> tuple[torch.nn.RNNBase, Any, Any]:
    """A bidirectional stack of two layers run on a packed, unsorted batch: the layer, its inputs, what it returned."""
    torch.manual_seed(0)
    layer = getattr(torch.nn, request.param)(F, H, 2, bidirectional=True, batch_first=True)
    packed = pack_padded_sequence(
        torch.randn(B, T, F), torch.from_numpy(LENGTHS), batch_first=True, enforce_sorted=False
    )
    return layer, packed, layer(packed)


def test_torch_results_packed_and_padded(packed_run: tuple[torch.nn.RNNBase, Any, Any]) -> None:
    """A PackedSequence brings its lengths and says that it is torch's; padded outputs give the same report."""
    _, _, (output, state) = packed_run
    packed = rnninspect.inspect((output, state))
    padded, lengths = pad_packed_sequence(output, batch_first=True)
    apart = rnninspect.inspect(padded, state, lengths=lengths)
    assert packed.convention == "torch"
    assert packed.lengths == LENGTHS.tolist()
    assert packed.verdict == "clean"
    assert packed.to_dict() == apart.to_dict()


def test_weights_are_run_again(packed_run: tuple[torch.nn.RNNBase, Any, Any]) -> None:
    """With inputs and weights the numbers are compared as well: right ones pass in every layer and direction."""
    layer, packed, result = packed_run
    report = rnninspect.inspect(result, inputs=packed, weights=layer.state_dict())
    assert report.verdict == "clean"
    assert "bias-dropped" not in {n.rule for n in report.not_checked}


def test_wrong_weights_are_named() -> None:
    """Weights that lost a bias are told from the layer's own, which are clean."""
    layer = torch.nn.LSTM(F, H, batch_first=True)
    x = torch.from_numpy(drawn(B, T, F))
    kept = layer.state_dict()
    lost = {name: torch.zeros_like(w) if name == "bias_hh_l0" else w for name, w in kept.items()}
    reports = [rnninspect.inspect(layer(x), inputs=x, weights=weights).findings for weights in (kept, lost)]
    assert [[f.rule for f in findings] for findings in reports] == [[], ["bias-dropped"]]


def test_lengths_beside_a_packed_sequence_must_be_its_own(packed_run: tuple[torch.nn.RNNBase, Any, Any]) -> None:
    """Other lengths than the packed ones are an error that names the rows, not a choice between the two."""
    result = packed_run[2]
    assert rnninspect.inspect(result, lengths=LENGTHS).ok
    with pytest.raises(ShapeError, match=r"row 1: 4 stated, 5 in the outputs"):
        rnninspect.inspect(result, lengths=[3, 4, 2])
    with pytest.raises(ShapeError, match="2 values, but the outputs bring 3"):
        rnninspect.inspect(result, lengths=[3, 4])


@pytest.mark.parametrize(
    "cast",
    [
        torch.Tensor.double,
        torch.Tensor.half,
        torch.Tensor.bfloat16,
        lambda t: t.clone().requires_grad_(),
        lambda t: t.clone().requires_grad_() * 1.0,
        lambda t: t.repeat_interleave(2, -1)[..., ::2],
        lambda t: torch.complex(t, t).conj().real,
        lambda t: t.numpy().astype(ml_dtypes.bfloat16),
        lambda t: np.asfortranarray(t.numpy()),
        lambda t: t.numpy().astype(">f4"),
    ],
    ids=["double", "half", "bfloat16", "leaf", "graph", "strided", "conj", "ml_dtypes", "fortran", "big-endian"],
)
def test_tensors_of_every_kind(cast: Any) -> None:
    """Narrow, strided, differentiable and foreign-endian arrays are read value for value."""
    outputs, h = cast(torch.from_numpy(OUT.copy())), cast(torch.from_numpy(HN.copy()))
    assert matched(rnninspect.inspect(outputs, h, lengths=LENGTHS, convention="torch")) == FORWARD


def test_bfloat16_keeps_its_values() -> None:
    """bfloat16 numbers arrive exactly: the excerpt quotes the tensor's own values."""
    outputs = torch.from_numpy(OUT).bfloat16()
    report = rnninspect.inspect(outputs, outputs[torch.arange(B), torch.from_numpy(LENGTHS) - 1], lengths=LENGTHS)
    quoted = report.tracks[0].excerpt[0].outputs
    assert quoted is not None
    assert np.array_equal(np.asarray(quoted, np.float32), outputs[0].float().numpy())


class ByDlpack:
    """An array that has nothing but a shape, a dtype and DLPack."""

    def __init__(self, array: np.ndarray) -> None:
        self._array, self.shape, self.dtype = array, array.shape, array.dtype

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()


class ByArray(ByDlpack):
    """An array of an unknown framework with `__array__`, whose DLPack must not be needed."""

    def __dlpack__(self, **options: Any) -> Any:
        raise BufferError

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self._array


@pytest.mark.parametrize("kind", [ByDlpack, ByArray])
def test_protocols(kind: Any) -> None:
    """Unknown frameworks are read by `__array__`, or by DLPack where they have no more."""
    assert matched(rnninspect.inspect(kind(OUT), kind(HN), lengths=kind(LENGTHS))) == FORWARD


def foreign(package: str) -> Any:
    """A type of arrays that says it comes from that package."""
    return type("Tensor", (ByArray,), {"__module__": f"{package}.core"})


@pytest.mark.parametrize(
    ("package", "convention"),
    [("tensorflow", "keras"), ("jaxlib", "flax"), ("paddle", "paddle"), ("mxnet", "mxnet"), ("numpy", "tf1")],
)
def test_arrays_say_whose_they_are(package: str, convention: str) -> None:
    """Under `auto` the framework of the arrays is the convention, and decides the order of an unnamed pair."""
    kind = foreign(package)
    pair = (kind(CN), kind(HN)) if convention == "flax" else (kind(HN), kind(CN))
    report = rnninspect.inspect(kind(OUT), pair, lengths=LENGTHS)
    assert report.convention == convention
    assert matched(report) == FORWARD
    assert rnninspect.inspect(kind(OUT), kind(HN), lengths=LENGTHS, convention="torch").convention == "torch"


def test_names_decide_between_conventions_of_one_framework() -> None:
    """JAX arrays under Haiku's names are Haiku's; TensorFlow's state tuple is TensorFlow 1's."""
    jax, tensorflow = foreign("jax"), foreign("tensorflow")
    dump = {"outputs": jax(OUT), "state.hidden": jax(HN), "state.cell": jax(CN), "lengths": LENGTHS}
    assert rnninspect.inspect(dump).convention == "haiku"
    state = LSTMStateTuple(tensorflow(CN), tensorflow(HN))
    assert rnninspect.inspect(tensorflow(OUT), state, lengths=LENGTHS).convention == "tf1"


def test_rows_of_uneven_lengths() -> None:
    """A list of rows, each as long as it is, is padded, and its lengths are known."""
    rows = [torch.from_numpy(OUT[b, :n]) for b, n in enumerate(LENGTHS)]
    report = rnninspect.inspect(rows, HN)
    assert report.lengths == LENGTHS.tolist()
    assert matched(report) == FORWARD
    with pytest.raises(ShapeError, match=r"outputs\[1\] is \(5, 2\)"):
        rnninspect.inspect([rows[0], rows[1][:, :2], rows[2]], HN)


def without_reasons(report: rnninspect.Report) -> dict[str, Any]:
    """The report as JSON, but for why the arrays were read so."""
    plain = report.to_dict()
    return {**plain, "reading": plain["reading"]["used"]}


def test_dumps_may_nest() -> None:
    """A mapping is a dump: nested mappings, named tuples and packed sequences get dotted names."""
    nested = rnninspect.inspect({"outputs": OUT, "final_state": {"c": CN, "h": HN}, "lengths": LENGTHS})
    named = rnninspect.inspect({"outputs": OUT, "final_state": LSTMStateTuple(CN, HN), "lengths": LENGTHS})
    flat = rnninspect.inspect({"outputs": OUT, "final_state.c": CN, "final_state.h": HN, "lengths": LENGTHS})
    assert nested.to_dict() == flat.to_dict()
    assert without_reasons(named) == without_reasons(flat)  # a state's type is one reason more
    assert matched(flat) == FORWARD
    assert flat.tracks[0].cell_units == H


def test_a_packed_sequence_in_a_dump(packed_run: tuple[torch.nn.RNNBase, Any, Any]) -> None:
    """A PackedSequence under a name is unpacked as one handed over alone is."""
    _, _, (output, state) = packed_run
    h = state[0] if isinstance(state, tuple) else state
    report = rnninspect.inspect({"output": output, "h_n": h}, convention="torch")
    assert report.lengths == LENGTHS.tolist()
    assert report.ok


BAD = {
    "no state": (lambda: rnninspect.inspect(OUT, lengths=LENGTHS), "no final state: give final_state"),
    "path": (lambda: rnninspect.inspect("dump.npz"), "rnninspect.compare(path) reads files"),
    "text": (lambda: rnninspect.inspect(np.array("abc"), HN), "dtype <U3; numbers are needed"),
    "complex": (lambda: rnninspect.inspect(OUT + 1j, HN), "dtype complex64; numbers are needed"),
    "none": (lambda: rnninspect.inspect(None, HN), "no outputs: give outputs; or inputs and weights"),
    "sparse": (lambda: rnninspect.inspect(torch.from_numpy(OUT).to_sparse(), HN), "cannot be read as numbers"),
    "meta": (lambda: rnninspect.inspect(torch.empty(B, T, H, device="meta"), HN), "cannot be read as numbers"),
    "masked": (lambda: rnninspect.inspect(np.ma.array(OUT, mask=OUT > 0), HN), "masked array"),
    "uneven": (lambda: rnninspect.inspect(OUT, [HN, HN[:2], HN, HN]), "fits no reading"),
    "shapes": (lambda: rnninspect.inspect(OUT, HN[:, :2]), "fits no reading"),
    "two cells": (lambda: rnninspect.inspect(OUT, (HN, CN), cell_state=CN), "leave cell_state out"),
    "lengths": (lambda: rnninspect.inspect(OUT, HN, lengths=[1.5, 2, 3]), "lengths[0] is 1.5"),
    "options": (lambda: rnninspect.inspect(OUT, HN, hidden=3), "unknown keyword 'hidden'; did you mean"),
    "convention": (lambda: rnninspect.inspect(OUT, HN, convention="torhc"), "did you mean 'torch'?"),
    "rule": (lambda: rnninspect.inspect(OUT, HN, select="lengths-ignore"), "did you mean 'lengths-ignored'?"),
    "format": (lambda: rnninspect.inspect(OUT, HN).render("jsn"), "unknown format 'jsn'"),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_input_is_one_clear_line(name: str) -> None:
    """What the caller can mend is a UserError of one line that says what was seen and what to do."""
    call, config = BAD[name]
    with pytest.raises(UserError) as caught:
        call()
    assert config in str(caught.value)
    assert "\n" not in str(caught.value)


def trace() -> rnninspect.Trace:
    return rnninspect.run(drawn(B, T, F), lengths=LENGTHS, hidden_size=H)


def test_traces_are_inspected_and_keep_to_themselves() -> None:
    """A Trace from `run` is clean; what it holds already cannot be stated beside it, nor another convention."""
    made = trace()
    assert rnninspect.inspect(made).verdict == "clean"
    with pytest.raises(UserError, match="holds its own lengths, mask"):
        rnninspect.inspect(made, lengths=LENGTHS, mask=made.mask)
    with pytest.raises(UserError, match="of a tf1 layer"):
        rnninspect.inspect(made, convention="torch")
    with pytest.raises(ShapeError, match="3 rows and 5 steps"):
        rnninspect.inspect(made, inputs=drawn(2, T, F))


def test_against_a_second_run() -> None:
    """A second run is compared step by step, in any form: a Trace, a dump, what a call returned."""
    made = trace()
    outputs, h = made.tracks[0].outputs, made.tracks[0].final
    assert outputs is not None
    other = outputs.copy()
    other[1, 3, 2] += 0.25
    first = rnninspect.inspect(outputs, h, lengths=LENGTHS, against=(other, h), convention="tf1")
    assert first.comparison is not None
    assert first.comparison["tracks"][0]["first_differing_step"] == [None, 3, None]
    assert first.comparison["tracks"][0]["worst"]["unit"] == 2
    assert not first.ok
    by_trace = rnninspect.inspect(made, against=made)
    assert by_trace.comparison is not None
    assert by_trace.comparison["largest"] == 0
    by_dump = rnninspect.inspect(made, against={"outputs": other, "final_state": h, "lengths": LENGTHS})
    assert by_dump.comparison == first.comparison
    with pytest.raises(ShapeError, match="must be of the same inputs"):
        rnninspect.inspect(made, against=(other[..., :2], h[:, :2]))  # type: ignore[index]


@pytest.mark.parametrize("time_major", [False, True])
def test_run_takes_what_torch_packs(time_major: bool) -> None:
    """`run` reads a PackedSequence and a list of rows as the padded batch with its lengths; stated ones may be shorter,
    and no longer: a zero would be taken for a step.
    """
    inputs = torch.from_numpy(drawn(B, T, F))
    packed = pack_padded_sequence(inputs, torch.from_numpy(LENGTHS), batch_first=True, enforce_sorted=False)
    rows = [inputs[b, :n] for b, n in enumerate(LENGTHS)]
    usual = rnninspect.run(inputs, lengths=LENGTHS, hidden_size=H).tracks[0]
    for batch, options in ((packed, {"time_major": time_major}), (rows, {})):
        made = rnninspect.run(batch, hidden_size=H, **options)  # type: ignore[arg-type]
        assert np.array_equal(made.lengths, LENGTHS)  # type: ignore[arg-type]
        assert np.array_equal(made.tracks[0].outputs, usual.outputs)  # type: ignore[arg-type]
        assert rnninspect.run(batch, lengths=LENGTHS // 2, **options).lengths.tolist() == [*LENGTHS // 2]  # type: ignore
        with pytest.raises(ShapeError, match="more steps than the rows have"):
            rnninspect.run(batch, lengths=[max(LENGTHS)] * B, **options)  # type: ignore[arg-type]


def test_initial_states_of_any_kind() -> None:
    """An initial state may be tensors with a gradient, and is what a run of the weights begins with."""
    layer = torch.nn.LSTM(F, H, batch_first=True)
    x, start = torch.from_numpy(drawn(B, T, F)), tuple(torch.ones(1, B, H, requires_grad=True) for _ in range(2))
    result = layer(x, start)
    report = rnninspect.inspect(result, initial_state=start, inputs=x, weights=layer.state_dict())
    unknown = rnninspect.inspect(result, inputs=x, weights=layer.state_dict())
    assert report.verdict == "clean"
    assert [f.rule for f in unknown.findings] == ["stale-initial-state"]
    begun = rnninspect.run(x, weights=layer.state_dict(), convention="torch", initial_state=start)
    assert np.allclose(begun.tracks[0].outputs, result[0].detach().numpy(), atol=1e-6)


def command(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "rnninspect", *arguments, "--format", "json", "-q"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded


def test_the_library_says_what_the_command_says(tmp_path: Path) -> None:
    """`compare` gives the command's JSON to the letter; `inspect` all of it but where the arrays come from."""
    taken = OUT[:, -1]
    np.savez(tmp_path / "dump.npz", outputs=OUT, h=taken, c=CN, lengths=LENGTHS)
    np.savez(tmp_path / "other.npz", outputs=OUT + np.float32(0.5), h=taken, lengths=LENGTHS)
    dump, other = str(tmp_path / "dump.npz"), str(tmp_path / "other.npz")
    options = ("--convention", "tf1", "--rtol", "1e-6", "--ignore", "padding-computed", "--against", other)
    config = command("compare", dump, *options)
    kept = {"convention": "tf1", "rtol": 1e-6, "ignore": "padding-computed"}
    assert rnninspect.compare(dump, against=other, **kept).to_dict() == config  # type: ignore[arg-type]
    again = {"outputs": OUT + np.float32(0.5), "h": taken, "lengths": LENGTHS}
    default_report = rnninspect.inspect(OUT, taken, cell_state=CN, lengths=LENGTHS, against=again, **kept).to_dict()  # type: ignore[arg-type]
    differing = {key for key in config if config[key] != default_report[key]}
    assert differing <= {"command", "source", "notes", "reading"}
    assert default_report["reading"]["used"] == config["reading"]["used"]
    assert config["findings"]


def test_compare_reads_files() -> None:
    """Members, weights and groups are named as on the command line; what cannot be read is said."""
    dump, weights = packaged.path("published.npz"), packaged.path("weights.npz")
    run_again = rnninspect.compare(dump, weights=weights, state="final_state.h", convention="tf1", cell="lstm")
    assert run_again.source["path"] == dump
    assert "needs inputs and weights" not in {n.reason for n in run_again.not_checked}
    assert not rnninspect.compare(dump, state="final_state.c", convention="tf1", ignore=["zero-length-row"]).ok
    with pytest.raises(UnknownNameError, match=r"did you mean 'final_state\.h'"):
        rnninspect.compare(dump, state="final_state.hh")
    with pytest.raises(UnreadableError, match="no such file"):
        rnninspect.compare("missing.npz")


def wrong() -> rnninspect.Report:
    return rnninspect.inspect(OUT, OUT[:, -1], lengths=LENGTHS, convention="torch")


def test_reports_can_be_saved_and_loaded(tmp_path: Path) -> None:
    """A report's JSON gives the report again, from a file or as an object; anything else is refused."""
    report = wrong()
    (tmp_path / "report.json").write_text(report.to_json())
    for again in (rnninspect.load(tmp_path / "report.json"), rnninspect.load(report.to_dict())):
        assert isinstance(again, rnninspect.Report)
        assert again.to_dict() == report.to_dict()
        assert str(again) == str(report)
    (tmp_path / "report.json").write_text("{")
    with pytest.raises(UnreadableError, match="not a JSON report"):
        rnninspect.load(tmp_path / "report.json")
    with pytest.raises(UnreadableError, match="No such file"):
        rnninspect.load(tmp_path / "missing.json")
    with pytest.raises(UnreadableError, match="schema"):
        rnninspect.load({"schema": 99})


def test_findings_raise() -> None:
    """An error raises with the rule and the fix in its text; what is below `fail_on` does not; a clean run neither."""
    with pytest.raises(AssertionError) as caught:
        wrong().raise_for_findings()
    assert isinstance(caught.value, rnninspect.FindingsError)
    text = str(caught.value)
    assert "last-column-as-final-state" in text
    assert "final = h_n[-1]" in text
    assert "# not output[:, -1]" in text
    assert "row 0" in text
    assert "row 1" not in text
    assert caught.value.report.findings
    rnninspect.inspect(OUT, HN, lengths=LENGTHS).raise_for_findings("note")
    repeated = OUT.copy()
    repeated[0, 3:] = OUT[0, 2]
    repeated[2, 2:] = OUT[2, 1]
    noted = rnninspect.inspect(repeated, HN, lengths=LENGTHS, convention="keras")
    assert [f.severity for f in noted.findings] == ["note"]
    noted.raise_for_findings()
    with pytest.raises(rnninspect.FindingsError, match="padding-repeats-last-output"):
        noted.raise_for_findings("note")


def test_what_could_not_be_judged_raises_too() -> None:
    """A comparison that compared nothing has not passed."""
    report = rnninspect.inspect(np.zeros((2, 3, 1)), np.zeros((2, 1)), lengths=[3, 3])
    assert report.verdict == "unjudged"
    assert not report.ok
    with pytest.raises(rnninspect.FindingsError, match="could not judge"):
        report.raise_for_findings()


def test_reports_print_themselves() -> None:
    """The repr is one line, the text is the table in 80 columns, rich prints it in its own width and escapes."""
    report = wrong()
    assert repr(report) == "<Report: 1 error (last-column-as-final-state), 3 rows, convention torch>"
    assert repr(rnninspect.inspect(OUT[:1], HN[:1], lengths=[3])) == "<Report: clean, 1 row, convention tf1>"
    assert str(report) == report.render("table", width=80)
    for width in (60, 120):
        out = io.StringIO()
        Console(file=out, width=width, _environ={}).print(report)
        assert out.getvalue() == report.render("table", width=width)
        assert max(map(len, out.getvalue().splitlines())) <= width
    out = io.StringIO()
    Console(file=out, width=80, force_terminal=True, color_system="standard", _environ={}).print(report)
    assert "\x1b[" in out.getvalue()


def test_notebooks_show_html() -> None:
    """A notebook's cell gets the fragment: the finding and its fix, text from outside escaped, no script."""
    report = wrong()
    shown = report._repr_html_()
    assert "last-column-as-final-state" in shown
    assert "final = h_n[-1]" in shown
    finding = dataclasses.replace(report.findings[0], message="<script>alert(1)</script>")
    hostile = dataclasses.replace(report, findings=[finding])._repr_html_()
    assert "<script" not in hostile
    assert "&lt;script&gt;" in hostile
    both = rnninspect.Reports([report, report])._repr_html_()
    assert shown.strip() in both
    assert "2 with findings" in both


def test_reports_print_in_ascii_where_the_console_must() -> None:
    """A console whose encoding is not UTF-8 gets ASCII marks."""
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    Console(file=out, width=80, _environ={}).print(wrong())
    out.flush()
    assert raw.getvalue().decode("ascii").startswith("inspect")


def test_the_library_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """Running, inspecting, rendering and failing write to no stream."""
    rnninspect.inspect(trace()).render("json")
    with pytest.raises(rnninspect.FindingsError):
        wrong().raise_for_findings()
    assert capfd.readouterr() == ("", "")


def test_inspecting_needs_no_torch() -> None:
    """Inspecting arrays, failing on findings, printing them and every public name import no torch; a run does."""
    code = (
        "import sys, numpy as np, rnninspect\n"
        "report = rnninspect.inspect(np.ones((1, 2, 1)), np.ones((1, 1)), lengths=[2])\n"
        "str(report), repr(report), report.render('findings')\n"
        "print('torch' in sys.modules, sorted(set(rnninspect.__all__) - set(dir(rnninspect))))\n"
        "print(all(hasattr(rnninspect, name) for name in rnninspect.__all__), 'torch' in sys.modules)\n"
        "rnninspect.run(np.ones((1, 2, 1)), lengths=[2])\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False []", "True False", "True"]


def test_unknown_names_of_the_package() -> None:
    """A misspelled public name is an AttributeError, as in any module."""
    with pytest.raises(AttributeError, match="inspekt"):
        rnninspect.inspekt  # noqa: B018


def test_roles_may_be_files_for_a_program_too(tmp_path: Path) -> None:
    """Outputs, state and lengths that lie in files of their own, or in place, give one report, as for the command."""
    np.save(tmp_path / "outputs.npy", OUT)
    np.savez(tmp_path / "rest.npz", h=HN, lengths=LENGTHS)
    rest = tmp_path / "rest.npz"
    report = rnninspect.compare(
        outputs=tmp_path / "outputs.npy", state=f"{rest}#h", lengths=f"{rest}#lengths", convention="keras"
    )
    again = rnninspect.compare(tmp_path / "outputs.npy", state=HN, lengths="3,5,2", convention="keras")
    assert report.verdict == again.verdict == "clean"
    assert report.tracks == again.tracks
    for wrong, message in (({}, "outputs="), ({"outputs": OUT, "state": HN}, "outputs=")):
        with pytest.raises(UserError, match=message):
            rnninspect.compare(**wrong)  # type: ignore[arg-type]


def test_a_trace_shows_its_sizes_and_not_its_numbers() -> None:
    """The repr of a run and of its tracks is one line each, however large the arrays are."""
    trace = rnninspect.run(np.ones((2, 300, 3)), hidden_size=5, bidirectional=True)
    assert repr(trace) == "<Trace: 2 rows, 300 steps, 1 layer, 2 directions, convention tf1>"
    assert repr(trace.tracks[1]) == "<Track: layer 0 backward, outputs [2, 300, 5], final [2, 5], cell [2, 5]>"


def test_weights_of_another_width_are_refused() -> None:
    """Weights of a layer with other units are named with both numbers, and no rule falls over them."""
    torch.manual_seed(0)
    layer, other = (torch.nn.LSTM(3, units, batch_first=True, bidirectional=True) for units in (2, 5))
    inputs = torch.randn(3, 4, 3)
    with pytest.raises(ShapeError, match="weights of layer 0 forward have 5 units, and its outputs in this dump 2"):
        rnninspect.inspect(*layer(inputs), inputs=inputs, weights=other.state_dict(), lengths="full")


@pytest.mark.parametrize("name", ["inputs", "x"])
def test_a_second_dump_keeps_its_own_inputs(name: str) -> None:
    """Inputs, and lengths, of a dump given as `against` are its own, whatever is given for the first."""
    torch.manual_seed(33)
    gru, lengths = torch.nn.GRU(5, 6, batch_first=True), torch.tensor([9, 4, 7])

    def dump(x: torch.Tensor) -> dict[str, Any]:
        with torch.no_grad():
            packed, h = gru(torch.nn.utils.rnn.pack_padded_sequence(x, lengths, True, enforce_sorted=False))
        outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
        return {"outputs": outputs.numpy(), "final_state": h.numpy(), name: x.numpy(), "lengths": lengths.numpy()}

    x = torch.randn(3, 9, 5)
    one, other = dump(x), dump(x + 0.1)
    for against, rules in ((other, ["inputs-differ"]), (one, [])):
        options = {"inputs": one[name], "lengths": one["lengths"], "against": against}
        report = rnninspect.inspect(one["outputs"], one["final_state"], **options)
        assert [finding.rule for finding in report.findings] == rules
