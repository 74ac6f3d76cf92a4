"""Recording live torch models: nothing changes for the model, and what is recorded is what its layers did."""

from __future__ import annotations

import contextlib
import copy
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect
from rnninspect.errors import ShapeError, UnknownNameError, UserError
from rnninspect.measure.choose_reading import Tolerance
from rnninspect.recording.torch_modules.calls import Call
from rnninspect.recording.torch_modules.loops import Loop

LENGTHS = torch.tensor([3, 5, 2, 4])
B, T, F, H = 4, 5, 4, 3


def batch(seed: int = 0) -> Tensor:
    return torch.randn(B, T, F, generator=torch.Generator().manual_seed(seed))


class Tagger(nn.Module):
    """A model as people write them: packed layers, an unpacked one, a cell in a masking loop, dropout, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.LSTM(F, H, 2, batch_first=True, bidirectional=True)
        self.unpacked = nn.GRU(2 * H, H)
        self.cell = nn.LSTMCell(2 * H, H)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(2 * H, 2)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        read, _ = pad_packed_sequence(self.encoder(packed)[0], batch_first=True)
        _, last = self.unpacked(self.dropout(read).transpose(0, 1))
        state = None
        for t in range(read.shape[1]):
            new = self.cell(read[:, t], state)
            keep = (t < lengths)[:, None]
            state = new if state is None else tuple(torch.where(keep, n, s) for n, s in zip(new, state, strict=True))
        assert state is not None
        return self.head(torch.cat([last[-1], state[0]], 1))


def tagger() -> Tagger:
    torch.manual_seed(0)
    return Tagger()


def hooks_of(model: nn.Module) -> int:
    module = torch.nn.modules.module
    everywhere = len(module._global_forward_hooks) + len(module._global_forward_pre_hooks)
    return everywhere + sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def trained(recorded: bool) -> list[Tensor]:
    """Two training steps with dropout: the results, the gradients and the weights that come out."""
    model = tagger()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.manual_seed(1)
    values = []
    with rnninspect.record(model, lengths="lengths") if recorded else torch.enable_grad():
        for step in range(2):
            optimiser.zero_grad()
            result = model(batch(step), LENGTHS)
            result.square().sum().backward()
            values += [result.detach().clone(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]
            optimiser.step()
    return values + [p.detach().clone() for p in model.parameters()]


def test_results_gradients_and_dropout_stay_as_they_are() -> None:
    """Two training steps give the same bits, recorded or not: outputs, gradients, weights, random numbers."""
    alone, recorded = trained(False), trained(True)
    assert len(alone) == len(recorded) > 20
    assert all(torch.equal(a, b) for a, b in zip(alone, recorded, strict=True))


def test_every_kind_of_layer_is_recorded() -> None:
    """Packed, unpacked and cell by cell: each call has its name, its lengths, and verdicts of its own."""
    model = tagger().eval()
    with rnninspect.record(model, lengths="lengths") as recording:
        model(batch(), LENGTHS)
    assert [(c.where.name, c.where.number) for c in recording.calls] == [("encoder", 0), ("unpacked", 0), ("cell", 0)]
    assert [type(c) for c in recording.calls] == [Call, Call, Loop]
    reports = recording.inspect()
    assert [r.lengths for r in reports] == [LENGTHS.tolist()] * 3
    assert [[f.rule for f in r.findings] for r in reports] == [[], ["lengths-ignored"], ["padding-computed"]]
    assert [r.ok for r in reports] == [
        False,
        False,
        True,
    ]  # what is taken from the outputs of the encoder cannot be seen
    assert not reports.ok
    assert all("weights" not in n.reason for r in reports for n in r.not_checked)
    assert reports[0].source == {
        "name": "encoder",
        "call": 0,
        "layer": "LSTM(4, 3, num_layers=2, batch_first=True, bidirectional=True)",
    }


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_weights_are_read_as_the_layer_has_them(kind: str, layers: int, bidirectional: bool, batch_first: bool) -> None:
    """For every layer torch has, a second run of the recorded weights, inputs and initial states gives its numbers."""
    torch.manual_seed(3)
    layer = getattr(nn, kind)(F, H, layers, bidirectional=bidirectional, batch_first=batch_first)
    x = batch() if batch_first else batch().transpose(0, 1)
    h = torch.randn(layers * (2 if bidirectional else 1), B, H)
    with rnninspect.record(layer) as recording:
        layer(pack_padded_sequence(x, LENGTHS, batch_first=batch_first, enforce_sorted=False))
        recording.lengths = "full"
        layer(x, (h, h * 2) if kind == "LSTM" else h)
    for call in recording.calls:
        case = call.case(Tolerance())
        assert case.weights is not None
        top = case.trace.tracks[-1]
        again = case.reference.tracks[-1]
        assert np.allclose(top.outputs, again.outputs, atol=1e-6)
        assert np.allclose(top.final, again.final, atol=1e-6)
    assert recording.inspect().ok


@pytest.mark.parametrize(
    "layer",
    [
        nn.RNN(F, H, nonlinearity="relu", batch_first=True),
        nn.LSTM(F, H, bias=False, batch_first=True),
        nn.LSTM(F, H, proj_size=2, batch_first=True),
        nn.utils.parametrizations.weight_norm(nn.LSTM(F, H, batch_first=True), "weight_hh_l0"),
        nn.GRU(F, H, batch_first=True).double(),
        nn.GRU(F, H, batch_first=True).bfloat16(),
    ],
    ids=["relu", "no bias", "projection", "weight norm", "double", "bfloat16"],
)
@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
def test_unusual_layers(layer: nn.RNNBase) -> None:
    """Another activation, no biases, a projection, parametrised weights, other dtypes: the second run agrees."""
    x = batch().to(next(layer.parameters()).dtype)
    with rnninspect.record(layer, lengths=[T] * B) as recording:
        layer(x)
    (report,) = recording.inspect()
    assert report.verdict == "clean", report
    assert "bias-dropped" not in {n.rule for n in report.not_checked}


def test_a_call_without_a_batch_axis() -> None:
    """One sequence `[T, F]` is a batch of one row."""
    layer, cell = nn.LSTM(F, H), nn.GRUCell(F, H)
    with rnninspect.record(nn.ModuleList([layer, cell])) as recording:
        layer(batch()[0])
        h = cell(batch()[0, 0])
        cell(batch()[0, 1], h)
    assert [r.shape["batch"] for r in recording.inspect()] == [1, 1]
    assert recording.inspect().ok


class FlippingTagger(nn.Module):
    """A mistake in a user's own model: a bidirectional layer reads the padding, and the states are picked by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(F, H, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        output, _ = self.rnn(x)
        rows = torch.arange(len(x))
        return torch.cat([output[rows, lengths - 1, :H], output[:, 0, H:]], 1)


def test_a_backward_pass_that_read_padding_is_caught() -> None:
    """Every match looks right, and only a run of the layer's own weights shows that the padding was read."""
    torch.manual_seed(0)
    model = FlippingTagger()
    with rnninspect.record(model, lengths="lengths") as recording:
        state = model(batch(), LENGTHS)
    (report,) = recording.inspect(final_state=state)
    assert [(f.rule, f.direction, f.rows) for f in report.findings] == [
        ("backward-read-padding", "backward", [0, 2, 3])
    ]
    (report,) = recording.inspect()  # its h_n is not used: what its outputs show of the way back stands all the same
    assert [f.rule for f in report.findings] == ["backward-read-padding"]
    assert "which of its outputs your code takes cannot be seen" in report.untested


def test_what_is_recorded_is_not_changed_later() -> None:
    """Inputs, outputs, states and weights overwritten in place after the call leave the recording as it was."""
    layer = nn.LSTM(F, H, batch_first=True)
    x = batch()
    with rnninspect.record(layer, lengths=LENGTHS) as recording, torch.no_grad():
        output, (h, c) = layer(x)
        kept = [t.clone() for t in (x, output, h, c, *layer.parameters())]
        for tensor in (x, output, h, c, *layer.parameters()):
            tensor.fill_(7.0)
        for p in layer.parameters():
            p.data.add_(1.0)
        layer(x)
    first, second = recording.calls
    assert isinstance(first, Call)
    dump = first.dump()
    names = ("inputs", "output", "h_n", "c_n", "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    assert all(np.array_equal(dump[name], t.numpy()) for name, t in zip(names, kept, strict=True))
    assert second.dump()["weight_ih_l0"][0, 0] == 8.0


def test_unchanged_weights_are_kept_once() -> None:
    """Calls between which no weight changes share one copy of the weights."""
    layer = nn.GRU(F, H, batch_first=True)
    with rnninspect.record(layer) as recording:
        layer(batch())
        layer(batch(1))
    first, second = recording.calls
    assert first.weights is second.weights


class Looping(nn.Module):
    """A loop over a cell that keeps, or does not keep, a row's state past the row's end."""

    def __init__(self, kind: str, masks: bool) -> None:
        super().__init__()
        self.cell = getattr(nn, kind)(F, H)
        self.masks = masks

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[list[Tensor], Any]:
        state: Any = None
        outputs = []
        for t in range(x.shape[1]):
            new = self.cell(x[:, t], state)
            if self.masks and state is not None:
                keep = (t < lengths)[:, None]
                pairs = zip(new, state, strict=True) if isinstance(new, tuple) else [(new, state)]
                mixed = tuple(torch.where(keep, n, s) for n, s in pairs)
                new = mixed if isinstance(new, tuple) else mixed[0]
            state = new
            outputs.append(state[0] if isinstance(state, tuple) else state)
        return outputs, state


@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell", "RNNCell"])
def test_masking_loops(kind: str) -> None:
    """A loop that masks ends in the state of each row's last real step, and its weights give its numbers."""
    model = Looping(kind, masks=True)
    with rnninspect.record(model, lengths="lengths") as recording:
        _, state = model(batch(), LENGTHS)
        model(batch(1), LENGTHS)
    assert [c.where.number for c in recording.calls] == [0, 1]
    for report in recording.inspect():
        assert report.ok
        assert [f.rule for f in report.findings] == ["padding-computed"]
        assert [r.steps for r in report.tracks[0].rows] == [[n - 1] for n in LENGTHS.tolist()]
    h = state[0] if isinstance(state, tuple) else state
    final = recording.calls[0].case(Tolerance()).trace.tracks[0].final
    assert np.array_equal(final, h.detach().numpy())


def test_loops_whose_state_cannot_be_seen() -> None:
    """A loop that runs on over the padding is not accused: it is unjudged until the state that is used is given."""
    model = Looping("GRUCell", masks=False)
    with rnninspect.record(model, lengths="lengths") as recording:
        outputs, state = model(batch(), LENGTHS)
    (report,) = recording.inspect()
    assert report.verdict == "unjudged"
    assert "which state your code takes as final cannot be seen" in report.untested
    picked = torch.stack(outputs)[LENGTHS - 1, torch.arange(B)]
    assert recording.inspect(final_state=picked).ok
    (wrong,) = recording.inspect("cell", final_state=state)
    assert [f.rule for f in wrong.findings] == ["lengths-ignored"]
    with rnninspect.record(model, lengths="full") as recording:
        model(batch(), LENGTHS)
    assert recording.inspect().ok


def test_a_new_sequence_begins_a_new_loop() -> None:
    """Zeros, None or another batch's state end a loop; the state that was returned goes on with it. Of a single step
    among several calls nothing is called clean."""
    cell = nn.GRUCell(F, H)
    with rnninspect.record(cell, lengths="full") as recording:
        h = cell(batch()[:, 0], torch.zeros(B, H))
        h = cell(batch()[:, 1], h)
        h = cell(batch()[:, 2], h.clone())
        cell(batch()[:, 0], torch.zeros(B, H))
        cell(batch()[:2, 0])
        cell(batch()[:2, 1], torch.ones(2, H))
    assert [len(c.steps) for c in recording.calls if isinstance(c, Loop)] == [3, 1, 1, 1]
    assert [report.verdict for report in recording.inspect()] == ["clean", "unjudged", "unjudged", "unjudged"]


def test_lengths_as_people_have_them() -> None:
    """A tensor, a list, an argument's name, by layer, set between calls, or given at the end: all the same lengths."""
    layer = nn.LSTM(F, H, batch_first=True)

    def lengths_of(source: Any, **call_options: Any) -> list[Any]:
        with rnninspect.record(layer, lengths=source) as recording:
            layer(batch())
        return [r.lengths for r in recording.inspect(**call_options)]

    listed = LENGTHS.tolist()
    assert lengths_of(LENGTHS) == lengths_of(listed) == lengths_of({"LSTM": LENGTHS}) == [listed]
    assert lengths_of(None, lengths=LENGTHS) == [listed]
    assert lengths_of(None) == [None]
    with pytest.raises(UnknownNameError, match=r"unknown recurrent layer for lengths 'other'. Known: LSTM"):
        lengths_of({"other": LENGTHS})
    with rnninspect.record(layer, lengths=LENGTHS) as recording:
        layer(batch())
        recording.lengths = LENGTHS.flip(0)
        layer(batch())
    assert [r.lengths for r in recording.inspect()] == [listed, listed[::-1]]
    with pytest.raises(ShapeError, match=r"2 values, but LSTM call 0 has 4 rows"):
        lengths_of(None, lengths=[1, 2])
    with rnninspect.record(layer, lengths=[1, 2]) as recording:
        layer(batch())
    (report,) = recording.inspect()
    assert report.verdict == "unjudged"
    assert "lengths has 2 values, but LSTM call 0 has 4 rows" in report.untested


class Nested(nn.Module):
    """Words of characters: the inner layer's rows are words, the outer's are sentences."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.GRU(F, H, batch_first=True)
        self.tagger = FlippingTagger()
        self.last = nn.GRU(F, H, batch_first=True)

    def forward(self, x: Tensor, *, lengths: Tensor, fail: BaseException | None = None) -> None:
        self.first(x)
        self.tagger(x, lengths.flip(0))
        self.tagger.rnn(x[:2])
        if fail:
            raise fail
        self.last(x)


def test_an_argument_speaks_for_the_calls_within_its_forward() -> None:
    """The innermost forward's argument counts; one of another number of rows does not; a failed call disturbs none."""
    model, listed = Nested(), LENGTHS.tolist()
    with rnninspect.record(model, lengths="lengths") as recording:
        with pytest.raises(KeyboardInterrupt):
            model(batch(), lengths=LENGTHS, fail=KeyboardInterrupt())
        model(batch(), lengths=LENGTHS)
    lengths_by_call = [
        (c.where.name, r.lengths) for c in recording.calls for r in recording.inspect(c.where.name, call=-1)
    ]
    assert lengths_by_call[-4:] == [("first", listed), ("tagger.rnn", None), ("tagger.rnn", None), ("last", listed)]
    assert [r.lengths for r in recording.inspect("tagger.rnn")] == [listed[::-1], None] * 2


class Forgiving(nn.Module):
    """A model that catches the failure of a part of it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.GRU(F, H, batch_first=True)
        self.part = Nested()
        self.last = nn.GRU(F, H, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor) -> None:
        self.first(x)
        with contextlib.suppress(ValueError):
            self.part(x, lengths=lengths.flip(0), fail=ValueError())
        self.last(x)


def test_a_failure_that_the_model_catches() -> None:
    """The forward around a failed one still speaks for its own calls, and the failed one for those that it made."""
    model = Forgiving()
    with rnninspect.record(model, lengths="lengths") as recording:
        model(batch(), LENGTHS)
    assert recording.inspect("first")[0].lengths == recording.inspect("last")[0].lengths == LENGTHS.tolist()
    assert recording.inspect("part.first")[0].lengths == LENGTHS.flip(0).tolist()


def test_dropout_between_layers_is_not_run_again() -> None:
    """In training, dropout between layers makes a second run another one: the weights are left out, and it is said."""
    layer = nn.LSTM(F, H, 2, dropout=0.5, batch_first=True)
    with rnninspect.record(layer) as recording:
        layer(batch())
        layer.eval()
        layer(batch())
    training, evaluated = recording.inspect()
    assert any("dropout between the layers" in note for note in training.notes)
    assert "needs weights" in {n.reason for n in training.not_checked}
    assert not any("dropout" in note for note in evaluated.notes)
    assert training.verdict == "unjudged"  # without lengths and weights nothing could fail
    assert recording.inspect(lengths="full")[1].verdict == "clean"


def test_only_the_first_calls_are_kept() -> None:
    """Past the limit calls are counted, and the reports say how many; None keeps all."""
    layer, cell = nn.GRU(F, H, batch_first=True), nn.GRUCell(F, H)
    with rnninspect.record(nn.ModuleDict({"layer": layer, "cell": cell}), limit=2) as recording:
        for _ in range(5):
            layer(batch())
            cell(batch()[:, 1], cell(batch()[:, 0]))
    assert [c.where.name for c in recording.calls] == ["layer", "cell", "layer", "cell"]
    assert recording.skipped == {"layer": 3, "cell": 6}
    assert "3 more calls were not kept (limit)" in recording.inspect("layer")[0].notes
    with rnninspect.record(layer, limit=None) as recording:
        for _ in range(20):
            layer(batch())
    assert len(recording.calls) == 20


@pytest.mark.parametrize("end", ["well", "error", "interrupt", "exit"])
def test_hooks_are_freed_however_the_block_ends(end: str) -> None:
    """After the block, whatever ended it, no hook is left on any module, and further calls are not recorded."""
    model = tagger()
    before = hooks_of(model)
    errors = {"error": ValueError, "interrupt": KeyboardInterrupt, "exit": SystemExit}
    recording = rnninspect.record(model, lengths="lengths")
    try:
        with recording:
            assert hooks_of(model) > before
            model(batch(), LENGTHS)
            if end in errors:
                raise errors[end]
    except (ValueError, KeyboardInterrupt, SystemExit):
        pass
    assert hooks_of(model) == before
    model(batch(), LENGTHS)
    assert len(recording.calls) == 3


def test_copies_of_the_model_do_not_go_on_recording() -> None:
    """A copy made within the block carries the hooks along, and they take nothing in once it is over."""
    layer = nn.Sequential(nn.GRU(F, H, batch_first=True))
    with rnninspect.record(layer) as recording:
        copied = copy.deepcopy(layer)
    copied(batch())
    assert recording.calls == ()


def test_a_failing_forward_stays_its_own_error() -> None:
    """An error inside the model is the model's: the recording adds nothing to it and keeps what came before."""
    model = tagger()
    with rnninspect.record(model, lengths="lengths") as recording, pytest.raises(RuntimeError, match="mat1 and mat2"):
        model(batch()[..., :2], LENGTHS)
    assert recording.calls == ()
    with pytest.raises(UserError, match="nothing was recorded"):
        recording.inspect()


class Cells(nn.Module):
    """Only cells, so that a compiler can take the whole forward in, hooks or no hooks."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(F, H)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(x.shape[0], H)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
        return h


@pytest.mark.parametrize("made", ["torch.compile", "in place"])
def test_compiled_models(made: str) -> None:
    """A model that was compiled, and run, before the recording is recorded all the same, and compiled again after."""
    compiles: list[int] = []

    def backend(graph: Any, inputs: Any) -> Any:
        compiles.append(1)
        return graph.forward

    model: Any = Cells()
    if made == "in place":
        model.compile(backend=backend)
        compiled = model
    else:
        compiled = torch.compile(model, backend=backend)
    before = compiled(batch())
    count = len(compiles)
    with rnninspect.record(compiled, lengths="full") as recording:
        during = compiled(batch())
    after = compiled(batch())
    assert count
    assert len(compiles) == count
    assert torch.equal(before, during)
    assert torch.equal(before, after)
    (call,) = recording.calls
    assert call.where.name == "cell"
    assert isinstance(call, Loop)
    assert len(call.steps) == T
    assert recording.inspect().ok


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_scripted_models_are_refused() -> None:
    """Hooks do not run in scripted modules: it is said, and nothing is hooked."""

    with pytest.raises(UserError, match="the model holds none"), rnninspect.record(nn.Linear(2, 2)):
        pass
    scripted = torch.jit.script(nn.Sequential(nn.LSTM(F, H)))
    with pytest.raises(UserError, match="scripted"), rnninspect.record(scripted):
        pass
    both = nn.ModuleList([nn.GRU(F, H), scripted])
    with pytest.raises(UserError, match="scripted"), rnninspect.record(both):
        pass
    assert hooks_of(both) == 0


def replicated(model: nn.Module) -> nn.Module:
    """A replica as DataParallel makes them, without the devices: the same hooks, tensors in place of parameters."""
    replicas = {module: module._replicate_for_data_parallel() for module in model.modules()}  # type: ignore[operator]
    for module, replica in replicas.items():
        for name, child in module._modules.items():
            assert child is not None
            setattr(replica, name, replicas[child])
        for name, parameter in module._parameters.items():
            if parameter is not None:
                setattr(replica, name, parameter * 1.0)
    replica: nn.Module = replicas[model]
    return replica


class Meeting(FlippingTagger):
    """Replicas of it wait for one another after the layer was called, so that their calls always interleave."""

    def __init__(self) -> None:
        super().__init__()
        self.meet = threading.Barrier(2).wait

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        tags = super().forward(x, lengths)
        self.meet()
        return tags


@pytest.mark.parametrize("everything", [False, True])
def test_replicas_in_threads(everything: bool) -> None:
    """DataParallel's replicas run in threads on their share of the batch: every share is recorded, with its lengths."""
    model = Meeting()
    shares = batch().split(2), LENGTHS.split(2)

    def work(x: Tensor, lengths: Tensor) -> None:
        replica = replicated(model)
        for _ in range(3):
            replica(x, lengths)

    with rnninspect.record(None if everything else nn.DataParallel(model), lengths="lengths") as recording:
        threads = [threading.Thread(target=work, args=share) for share in zip(*shares, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(recording.calls) == 6
    assert {call.where.name for call in recording.calls} == {"rnn"}
    for call, report in zip(recording.calls, recording.inspect(), strict=True):
        assert isinstance(call, Call)
        share = next(n for x, n in zip(*shares, strict=True) if torch.equal(x, call.inputs))
        assert report.lengths == share.tolist()
        assert "backward-read-padding" not in {n.rule for n in report.not_checked}


@pytest.mark.filterwarnings("error")
def test_failed_calls_are_not_recorded() -> None:
    """A layer and a cell whose calls fail leave nothing behind, and the next call begins afresh."""
    layer, cell = nn.GRU(F, H, batch_first=True), nn.GRUCell(F, H)
    with rnninspect.record(lengths="full") as recording:
        for module, x in ((layer, batch()), (cell, batch()[:, 0])):
            with pytest.raises((RuntimeError, ValueError)):
                module(x[..., :2])
            module(x)
    assert [c.where.name for c in recording.calls] == ["GRU", "GRUCell"]
    assert recording.inspect().ok


def test_names_within_wrappers() -> None:
    """Layers have the names of the user's own model, whatever wraps it."""
    model = tagger().eval()
    with rnninspect.record(nn.DataParallel(torch.compile(model, backend="eager")), lengths="lengths") as recording:
        model(batch(), LENGTHS)
    assert [c.where.name for c in recording.calls] == ["encoder", "unpacked", "cell"]


def test_recording_everything() -> None:
    """Without a model every layer of the process is recorded, by its place in the outermost module that was called."""
    model, alone = tagger().eval(), nn.GRU(F, H, batch_first=True)
    with rnninspect.record(lengths="lengths") as recording:
        model(batch(), LENGTHS)
        alone(batch())
        nn.GRU(F, H, batch_first=True)(batch())
        model(batch(), lengths=LENGTHS)
    names = [c.where.name for c in recording.calls]
    assert names == ["encoder", "unpacked", "cell", "GRU", "GRU 2", "encoder", "unpacked", "cell"]
    assert [r.lengths for r in recording.inspect("unpacked")] == [LENGTHS.tolist()] * 2
    assert hooks_of(model) == 0


def test_saved_recordings_are_read_by_compare(tmp_path: Path) -> None:
    """One call is a plain dump, several are groups; `compare --weights` finds in them what `inspect` finds."""
    model = tagger().eval()
    with rnninspect.record(model, lengths="lengths") as recording:
        model(batch(), LENGTHS)
    all_calls, one = tmp_path / "all.npz", tmp_path / "one.npz"
    recording.save(all_calls)
    recording.save(one, "unpacked")
    for path, name in ((f"{all_calls}#encoder.0", "encoder"), (str(one), "unpacked"), (f"{all_calls}#cell.0", "cell")):
        padding = "computed" if name == "cell" else None
        compared = rnninspect.compare(path, weights=path, convention="torch", padding=padding)
        (report,) = recording.inspect(name)
        assert [f.rule for f in compared.findings if f.severity == "error"] == [
            f.rule for f in report.findings if f.severity == "error"
        ]
        assert [[r.status for r in t.rows] for t in compared.tracks] == [
            [r.status for r in t.rows] for t in report.tracks
        ]
        assert not [n for n in compared.not_checked if "weights" in n.reason]
    with pytest.raises(rnninspect.UserError, match="cannot write"):
        recording.save(tmp_path / "missing" / "file.npz")


def test_asking_for_what_is_not_there() -> None:
    """An unknown layer or call is named; one final state does not stand for several calls."""
    layer = nn.GRU(F, H, batch_first=True)
    with rnninspect.record(layer) as recording:
        layer(batch())
        _, h = layer(batch())
    assert repr(recording) == "<Recording: 2 calls (GRU x 2)>"
    with pytest.raises(UnknownNameError, match="did you mean 'GRU'"):
        recording.inspect("GRUU")
    with pytest.raises(UserError, match="2 recorded calls, from 0; there is no call 2"):
        recording.inspect("GRU", call=2)
    with pytest.raises(UserError, match="one final_state for 2 calls"):
        recording.inspect(final_state=h)
    assert recording.inspect(call=-1, final_state=h, lengths="full").ok


def test_one_state_of_several_calls_is_whose_it_equals() -> None:
    """Of two layers the one that returned it; of a call a row, each its own row. A state that none returned is shown
    how to be given.
    """
    torch.manual_seed(0)
    model = nn.ModuleDict({"lower": nn.LSTM(F, H, batch_first=True), "upper": nn.LSTM(H, H, batch_first=True)})
    lower, upper = model.values()
    with rnninspect.record(model, lengths="full") as recording:
        output, (h, _) = upper(lower(batch())[0])
    (report,) = recording.inspect(final_state=h[-1])
    assert (report.verdict, report.source["name"]) == ("clean", "upper")
    assert "final_state is what upper call 0 returned" in " ".join(report.notes)
    with pytest.raises(UserError, match=r"lower x 1, upper x 1.*inspect\('upper', call=0, final_state=…\)"):
        recording.inspect(final_state=output[:, 0])
    with rnninspect.record(lower, lengths=LENGTHS) as recording:
        ends = [lower(row[None, :n])[1][0][-1] for row, n in zip(batch(), LENGTHS, strict=True)]
    assert recording.inspect(final_state=torch.cat(ends)).verdict == "clean"
    with pytest.raises(UserError, match="no single one returned it"):
        recording.inspect(final_state=torch.cat(ends[::-1]))


def test_several_reports_as_one() -> None:
    """Reports answer together: ok, findings, text, lines of JSON, and the first that fails raises."""
    model = tagger().eval()
    with rnninspect.record(model, lengths="lengths") as recording:
        model(batch(), LENGTHS)
    reports = recording.inspect()
    assert [f.rule for f in reports.findings] == ["lengths-ignored", "padding-computed"]
    assert str(reports).startswith(reports.summary())
    assert str(reports[1]) in str(reports)
    assert reports.render("ndjson").count('"kind":"summary"') == 3
    assert repr(reports).startswith("<3 reports: <Report: unjudged, 4 rows, convention torch>, <Report: 1 error")
    with pytest.raises(rnninspect.FindingsError, match="lengths-ignored"):
        reports.raise_for_findings()
    recording.inspect("cell").raise_for_findings()
    assert not rnninspect.Reports().ok


def test_recording_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """Recording, inspecting and saving write to no stream."""
    layer = nn.GRU(F, H, batch_first=True)
    with rnninspect.record(layer, lengths=LENGTHS) as recording:
        layer(batch())
    recording.inspect()
    assert capfd.readouterr() == ("", "")
