"""Models as people write them: a mistake is named, or the call said to be unjudged; no right one is accused."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect
from rnninspect.errors import UnknownNameError, UserError

LENGTHS = torch.tensor([3, 5, 2, 4])
B, T, F, H = 4, 5, 4, 3
ROWS = torch.arange(B)


def batch(seed: int = 0, steps: int = T) -> Tensor:
    return torch.randn(B, steps, F, generator=torch.Generator().manual_seed(seed))


def made(kind: type[nn.Module], *args: Any) -> nn.Module:
    torch.manual_seed(0)
    return kind(*args).eval()


def rules(reports: Any) -> list[str]:
    return [f.rule for f in reports.findings if f.severity != "note"]


class Sorted(nn.Module):
    """Sorts its rows, packs them, and puts the state back, or not."""

    def __init__(self, unsorts: bool, moves: bool = True) -> None:
        super().__init__()
        self.rnn = nn.LSTM(F, H, batch_first=True)
        self.unsorts, self.moves = unsorts, moves

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        ordered, order = lengths.sort(descending=True)
        packed = pack_padded_sequence(x[order] if self.moves else x, ordered, batch_first=True)
        _, (h, _) = self.rnn(packed)
        return h[-1][order.argsort()] if self.unsorts else h[-1]


@pytest.mark.parametrize("lengths", [LENGTHS, torch.tensor([3, 5, 3, 5]), torch.tensor([2, 2, 2, 5])])
def test_rows_that_the_model_sorts(lengths: Tensor) -> None:
    """1: the recording is judged in the batch's order: a state put back is right, one left sorted is permuted."""
    for unsorts in (True, False):
        model = made(Sorted, unsorts)
        with rnninspect.record(model, lengths="lengths") as recording:
            state = model(batch(), lengths)
        (report,) = recording.inspect(final_state=state)
        assert rules([report][0]) == ([] if unsorts else ["rows-permuted"])
        assert report.lengths == lengths.tolist()
        assert any("sorted by length" in note for note in report.notes)
        assert recording.inspect()[0].verdict == "unjudged"  # whether it was put back cannot be seen


def test_lengths_sorted_and_rows_not() -> None:
    """2: lengths in another order than the rows are no sorted batch: rows are read into their padding."""
    x = batch().where(torch.arange(T)[None, :, None] < LENGTHS[:, None, None], torch.zeros(()))
    model = made(Sorted, True, False)
    with rnninspect.record(model, lengths="lengths") as recording:
        model(x, LENGTHS)
    reports = recording.inspect()
    assert rules(reports) == ["lengths-misaligned"]


class Packs(nn.Module):
    """Packs with other lengths than it is given, and after a layer that gives other steps."""

    def __init__(self, change: Any, before: Any = None) -> None:
        super().__init__()
        self.rnn, self.change, self.before = nn.GRU(F, H, batch_first=True), change, before or (lambda x: x)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.before(x), self.change(lengths), batch_first=True, enforce_sorted=False)
        return self.rnn(packed)[1][-1]


EMBEDDING = nn.Embedding.from_pretrained(torch.randn(9, F, generator=torch.Generator().manual_seed(5)))
TOKENS = torch.tensor([[1, 4, 2, 7, 7], [3, 6, 1, 4, 5], [8, 2, 5, 1, 1], [6, 2, 3, 8, 2]])


@pytest.mark.parametrize(
    ("change", "before", "verdict", "phrase"),
    [
        (lambda n: n, None, "clean", ""),
        (lambda n: n - 1, None, "unjudged", "1 less in every row"),  # x[:, :-1], or a mistake
        (lambda n: n.clamp(max=3), None, "unjudged", "cut to 2 to 3 steps"),  # x[:, :3], or a mistake
        (lambda n: n.clamp(max=2), None, "unjudged", "every row is read for 2 steps"),
        (lambda n: n.flip(0), torch.tanh, "unjudged", "another order of rows"),
        (lambda n: n.flip(0), None, "findings", "lengths-misaligned"),
        (lambda n: n.sort(descending=True)[0], None, "findings", "lengths-misaligned"),
        (lambda n: (n + 1) // 2, lambda x: x[:, ::2], "clean", "divided by 2"),
        (lambda n: (n + 1) // 2, None, "findings", "lengths-rescaled"),
        (lambda n: torch.full_like(n, T), None, "findings", "lengths-ignored"),
        (lambda n: torch.full_like(n, T), torch.tanh, "findings", "lengths-ignored"),
        (lambda n: torch.full_like(n, T + 1), lambda x: nn.functional.pad(x, (0, 0, 1, 0)), "unjudged", "for 6 steps"),
    ],
)
@pytest.mark.parametrize("lengths", ["lengths", LENGTHS])
@pytest.mark.parametrize("state_is_given", [False, True])
def test_packed_lengths_are_compared_with_those_stated(
    change: Any, before: Any, verdict: str, phrase: str, lengths: Any, state_is_given: bool
) -> None:
    """2: lengths that a call brings and others that are stated: how they differ is said, and nothing is `clean`, with
    the state that the code took or without; it is a mistake where the layer reads what the lengths count.
    """
    model = made(Packs, change, before)
    with rnninspect.record(model, lengths=lengths) as recording:
        state = model(batch(), LENGTHS)
    (report,) = reports = recording.inspect(final_state=state if state_is_given else None)
    assert report.verdict == verdict
    assert phrase in report.untested + " ".join(report.notes) + " ".join(rules(reports))
    assert bool(rules(reports)) == (verdict == "findings")


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (lambda n: n, "clean"),
        (lambda n: n.sort(descending=True)[0], "findings"),
        (lambda n: n.flip(0), "findings"),
        (lambda n: (n + 1) // 2, "findings"),
    ],
)
def test_lengths_of_tokens(change: Any, verdict: str) -> None:
    """2: that an embedding lies before the layer moves no row and no step: its vectors follow the tokens."""
    model = made(Packs, change, EMBEDDING)
    with rnninspect.record(model, lengths="lengths") as recording:
        state = model(TOKENS, LENGTHS)
    assert [r.verdict for r in recording.inspect(final_state=state)] == [verdict]
    assert "rows-permuted" not in rules(recording.inspect(final_state=state))


def test_rows_and_tokens_that_are_sorted_together() -> None:
    """1: tokens sorted with their lengths are no lengths in another order: they are followed to the batch's rows."""

    class SortedTokens(Sorted):
        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            return super().forward(EMBEDDING(x), lengths)

    for unsorts in (True, False):
        model = made(SortedTokens, unsorts)
        with rnninspect.record(model, lengths="lengths") as recording:
            state = model(TOKENS, LENGTHS)
        assert rules(recording.inspect(final_state=state)) == ([] if unsorts else ["rows-permuted"])


@pytest.mark.parametrize("gathers", [True, False])
def test_packed_as_if_no_row_ended(gathers: bool) -> None:
    """2: a layer told that every row is full has read the padding: what is gathered at each row's end is right."""

    class Full(Packs):
        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            packed = pack_padded_sequence(x, torch.full_like(lengths, T), batch_first=True)
            output, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
            return output[ROWS, lengths - 1] if gathers else output[:, -1]

    model = made(Full, None)
    with rnninspect.record(model, lengths="lengths") as recording:
        state = model(batch(), LENGTHS)
    (report,) = recording.inspect(final_state=state)
    assert (report.verdict, rules([report][0])) == (("clean", []) if gathers else ("findings", ["lengths-ignored"]))
    assert recording.inspect()[0].verdict != "clean"


def test_lengths_stated_for_the_layer_itself() -> None:
    """2: what is stated for this very layer is what it must have read: a mistake is named."""
    model = made(Packs, lambda n: n - 1)
    with rnninspect.record(model, lengths={"rnn": LENGTHS}) as recording:
        model(batch(), LENGTHS)
    assert rules(recording.inspect()) == ["off-by-one-length"]


class Plain(nn.Module):
    """A layer that is not packed; which state is taken is the caller's choice."""

    def __init__(self, bidirectional: bool = False) -> None:
        super().__init__()
        self.rnn = nn.LSTM(F, H, batch_first=True, bidirectional=bidirectional)

    def forward(self, x: Tensor, lengths: Tensor, **rest: Tensor) -> tuple[Tensor, Tensor]:
        output, (h, _) = self.rnn(x)
        return output, h[-1]


class Batched(nn.Module):
    """All that it reads is one dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Plain()

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return self.model.rnn(batch["x"])[1][0][-1]


def test_wherever_lengths_are() -> None:
    """3: a mask, a key of a dictionary, a keyword, a callable: all give the lengths."""
    mask, model, batched, x = torch.arange(T) < LENGTHS[:, None], made(Plain), made(Batched), batch()

    def judge_with(model: nn.Module, lengths: Any, /, *args: Any, **kwargs: Any) -> None:
        with rnninspect.record(model, lengths=lengths) as recording:
            model(*args, **kwargs)
        (report,) = recording.inspect()
        assert [row.real for row in report.tracks[0].rows] == [[[0, n]] for n in LENGTHS.tolist()]
        assert rules(recording.inspect()) == ["lengths-ignored"]

    judge_with(model, mask, x, LENGTHS)
    judge_with(model, mask.T, x, LENGTHS)
    judge_with(model, LENGTHS[:, None], x, LENGTHS)
    judge_with(model, "mask", x, LENGTHS, mask=mask)
    judge_with(model, "key_padding_mask", x, LENGTHS, key_padding_mask=~mask)
    judge_with(batched, "n", {"x": x, "n": LENGTHS})
    judge_with(batched, "batch.n", {"x": x, "n": LENGTHS})
    judge_with(batched, lambda batch: batch["mask"].sum(1), {"x": x, "mask": mask})
    judge_with(model, lambda x, lengths: lengths, x, lengths=LENGTHS)
    judge_with(model, {"rnn": "lengths"}, x, LENGTHS)


def test_lengths_that_are_not_there() -> None:
    """3: unknown names fail on entry, with those that there are; asked for and never found is unjudged, and said."""
    model, batched = made(Packs, lambda n: n), made(Batched)
    for wrong in ("lenghts", {"rnnn": LENGTHS}, {"rnn": "lenghts"}):
        with pytest.raises(UnknownNameError, match=r"did you mean|Known"), rnninspect.record(model, lengths=wrong):
            pass
        with rnninspect.record(model) as recording, pytest.raises(UnknownNameError):
            recording.lengths = wrong
        assert recording.lengths is None
    for asked in ("n", lambda batch: batch["n"]):
        with rnninspect.record(batched, lengths=asked) as recording:
            batched({"x": batch()})
        (report,) = recording.inspect()
        assert report.verdict == "unjudged"
        assert "an argument called n, and no call" in report.untested or "KeyError" in report.untested
    with rnninspect.record(lengths="lenghts") as recording:
        made(Plain)(batch(), LENGTHS)
    assert [r.verdict for r in recording.inspect()] == ["unjudged"]


class Gathers(nn.Module):
    """Takes each row's output at its last real step; the state that the layer returns is not used."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.rnn, self.how = nn.GRU(F, H, batch_first=True), how

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        if self.how == "named":
            output, _ = self.rnn(x)
        elif self.how == "again":
            output, h = self.rnn(x)
            h = output[:, 0]
            output = output + 0 * h[:, None]
        elif self.how == "first":
            result = self.rnn(x)
            output = result[0]
        elif self.how == "used":
            output, h = self.rnn(x)
            return h[-1]
        else:
            output = self.rnn(x)[0]
        return output[torch.arange(len(x)), lengths - 1]


@pytest.mark.parametrize("how", ["named", "again", "first", "indexed", "used"])
def test_a_state_that_nobody_uses_is_no_mistake(how: str) -> None:
    """4: padding that was read is an error where the state of it is used, else unjudged; gathered is right."""
    model = made(Gathers, how)
    with rnninspect.record(model, lengths="lengths") as recording:
        state = model(batch(), LENGTHS)
    (report,) = recording.inspect()
    assert (report.verdict, rules(recording.inspect())) == (
        ("findings", ["lengths-ignored"]) if how == "used" else ("unjudged", [])
    )
    gathered = recording.inspect(final_state=state)
    assert gathered.ok is (how != "used")
    assert [(f.rule, f.severity) for f in gathered.findings] == (
        [("lengths-ignored", "error")] if how == "used" else [("padding-computed", "note")]
    )


def test_autocast_is_not_held_to_float32() -> None:
    """5: numbers of a lower precision are no difference, and every name that a report can print can be ignored."""
    model = made(Packs, lambda n: n)
    with rnninspect.record(model, lengths="lengths") as recording, torch.autocast("cpu", torch.bfloat16):
        model(batch(), LENGTHS)
    assert recording.inspect().ok
    assert "autocast was on (bfloat16)" in recording.inspect()[0].notes[0]
    x, layer = batch(), nn.GRU(F, H, batch_first=True)
    with rnninspect.record(layer) as recording, torch.no_grad():
        output, _ = layer(x)
    other = output.numpy() + 0.5
    report = rnninspect.inspect(other, other[:, -1], inputs=x, weights=layer, lengths="full", convention="torch")
    assert [f.rule for f in report.findings] == ["unexplained-difference"]
    ignored = ("unexplained-difference", "unexplained-state", "precision-drift")
    again = rnninspect.inspect(
        other, other[:, -1], inputs=x, weights=layer, lengths="full", convention="torch", ignore=ignored
    )
    assert not again.findings


class Translator(nn.Module):
    """Lengths of what it reads; the decoder's steps are others."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.GRU(F, H, batch_first=True), nn.GRU(F, H, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor, y: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        _, h = self.encoder(packed)
        output, h = self.decoder(y, h)
        return output + h[-1][:, None]


@pytest.mark.parametrize("steps", [3, 7])
def test_lengths_that_speak_of_another_layer(steps: int) -> None:
    """6: lengths by name that cannot be a decoder's leave it unjudged, and it is said."""
    model = made(Translator)
    with rnninspect.record(model, lengths="lengths") as recording:
        model(batch(), LENGTHS, batch(1, steps))
    encoder, decoder = recording.inspect()
    assert (encoder.verdict, decoder.verdict) == ("clean", "unjudged")
    assert f"decoder call 0 has {steps} steps" in decoder.untested


class OwnPacking(nn.LSTM):
    """A layer that packs by itself."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(super().forward(packed)[0], batch_first=True)[0]


class NormCell(nn.LSTMCell):
    """A cell of another arithmetic than torch's."""

    def forward(self, x: Tensor, state: Any = None) -> Any:
        gates = nn.functional.layer_norm(x @ self.weight_ih.T, (4 * H,))
        i, _, g, _ = gates.chunk(4, 1)
        return (i.sigmoid() * g).tanh(), i.sigmoid() * g


def test_subclasses_with_a_forward_of_their_own() -> None:
    """7: recorded as what they call of torch's, or listed with the reason, never judged as torch's own."""
    layer, cell, forward = OwnPacking(F, H, batch_first=True), NormCell(F, H), nn.LSTM.forward
    for model in (layer, None):
        with rnninspect.record(model, lengths={"OwnPacking": LENGTHS} if model else None) as recording:
            layer(batch(), LENGTHS)
        if model is None:
            continue  # its class is met within its first call
        assert [(r.source["name"], r.lengths, r.verdict) for r in recording.inspect()] == [
            ("OwnPacking", LENGTHS.tolist(), "unjudged")  # its outputs alone are used
        ]
    with rnninspect.record(cell) as recording:
        cell(batch()[:, 0])
    assert list(recording.unseen) == ["NormCell"]
    (report,) = recording.inspect()
    assert report.verdict == "unjudged"
    assert "NormCell has a forward of its own" in report.untested
    assert not recording.inspect().ok
    assert nn.LSTM.forward is forward


@pytest.mark.parametrize("pad", [0.0, 0.7])
def test_padding_on_the_left(pad: float) -> None:
    """8: what lies before the data is padding too: no advice to pack, which would make it worse."""
    x = torch.full((B, T, F), pad)
    for b, n in enumerate(LENGTHS.tolist()):
        x[b, T - n :] = batch()[b, :n]
    model = made(Plain)
    with rnninspect.record(model, lengths="lengths") as recording:
        model(x, LENGTHS)
    assert rules(recording.inspect()) == ["left-padded"]


class Unrolled(nn.Module):
    """A loop over a cell."""

    def __init__(self, change: Any = None) -> None:
        super().__init__()
        self.cell, self.change = nn.GRUCell(F, H), change

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        h = x.new_zeros(len(x), H) if h is None else h
        for t in range(x.shape[1]):
            new = self.cell(x[:, t], h)
            h = new if self.change is None else self.change(new, h)
        return h


def test_memory_is_bounded() -> None:
    """9: by bytes, a loop that never ends too; each k-th call; a weight once per version."""
    model = made(Unrolled)
    with rnninspect.record(model, max_bytes=4000) as recording:
        h = None
        for seed in range(100):
            h = model(batch(seed), h)
    loop = recording.calls[0]
    assert sum(t.numel() * 4 for step in loop.steps for t in (step.inputs, *step.returned)) < 4000
    assert recording.skipped["cell"] == 500 - len(loop.steps)
    assert recording.inspect()[0].verdict == "unjudged"
    assert "max_bytes" in recording.inspect()[0].untested
    layers = nn.GRU(F, H, 2, batch_first=True)
    with rnninspect.record(layers, every=10, limit=3) as recording:
        for seed in range(100):
            layers(batch(seed))
            with torch.no_grad():
                layers.bias_ih_l1 += 1
    assert [call.where.number for call in recording.calls] == [0, 10, 20]
    assert recording.inspect(call=20, lengths="full").ok
    with pytest.raises(UserError, match="numbers 0, 10, 20; there is no call 1"):
        recording.inspect(call=1)
    first, second, _ = recording.calls
    assert first.weights["weight_ih_l0"] is second.weights["weight_ih_l0"]
    assert not torch.equal(first.weights["bias_ih_l1"], second.weights["bias_ih_l1"])


@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
def test_one_bad_call_leaves_the_others() -> None:
    """10: no rows, lengths that do not fit, a call within vmap: each is a report that says so."""
    layer, cell = nn.GRU(F, H, batch_first=True), nn.GRUCell(F, H)
    with rnninspect.record(layer, lengths=LENGTHS) as recording:
        layer(batch())
        layer(batch()[:0])
        layer(batch()[:2])
    reports = recording.inspect()
    assert [r.verdict for r in reports] == ["findings", "unjudged", "unjudged"]
    assert "0 rows" in reports[1].untested
    assert "4 values, but GRU call 2 has 2 rows" in reports[2].untested
    assert all(r.render("table") and r.render("html") and r.render("junit") and r.to_json() for r in reports)
    with rnninspect.record(cell) as recording:
        torch.vmap(cell)(batch())
    assert "vmap" in recording.unseen["GRUCell"]
    assert [r.verdict for r in recording.inspect()] == ["unjudged"]


def test_models_are_copied_and_saved_within_the_block() -> None:
    """11: neither a copy nor a file carries anything of the recording, and a copy is not recorded."""
    model = made(Plain)
    before = set(vars(model.rnn))
    with rnninspect.record(model, lengths="lengths") as recording:
        file = io.BytesIO()
        torch.save(model, file)
        twin = copy.deepcopy(model)
        twin(batch(), LENGTHS)
        assert set(vars(model.rnn)) == before
        assert not model.rnn._forward_hooks
    assert recording.calls == ()
    assert b"rnninspect" not in file.getvalue().replace(b"rnninspect.record", b"")


class Captions(nn.Module):
    """A loop whose batch shrinks as captions end, over rows sorted by length."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(F, H)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        ordered, order = lengths.sort(descending=True)
        x = x[order]
        h = c = x.new_zeros(len(x), H)
        outputs = x.new_zeros(len(x), x.shape[1], H)
        for t in range(x.shape[1]):
            rows = int((ordered > t).sum())
            h, c = self.cell(x[:rows, t], (h[:rows], c[:rows]))
            outputs[:rows, t] = h
        return outputs


def test_loops_that_change_their_state_or_their_rows() -> None:
    """12: rows that end leave one loop; zoneout, dropout or a norm between steps leaves one loop, unjudged."""
    model = made(Captions)
    with rnninspect.record(model, lengths="lengths") as recording:
        ordered = model(batch(), LENGTHS)
    outputs = ordered[LENGTHS.argsort(descending=True).argsort()]
    (report,) = recording.inspect()
    assert (report.verdict, report.lengths) == ("unjudged", LENGTHS.tolist())
    assert "whether your code puts them back cannot be seen" in report.untested
    (report,) = recording.inspect(final_state=outputs[ROWS, LENGTHS - 1])
    assert report.verdict == "clean"
    keep = torch.tensor([True, False, True])
    for change in (
        lambda new, h: torch.where(keep, new, h),
        lambda new, h: 0.9 * new + 0.1 * h,
        lambda new, h: nn.functional.layer_norm(new, (H,)),
    ):
        looped = made(Unrolled, change)
        with rnninspect.record(looped) as recording:
            looped(batch())
            looped(batch(1))
        assert [len(call.steps) for call in recording.calls] == [T, T]
        assert {r.verdict for r in recording.inspect()} == {"unjudged"}
        assert "changes the state between the steps" in recording.inspect()[0].untested


def test_misuse_is_one_clear_error() -> None:
    """13: entering twice, a limit that is not a number, lengths in the model's place; names without wrappers' parts."""
    model = made(Plain)
    recording = rnninspect.record(model)
    with recording:
        with pytest.raises(UserError, match="open already"), recording:
            pass
        model(batch(), LENGTHS)
    with recording:
        model(batch(), LENGTHS)
    assert len(recording.calls) == 2
    for keyword in ({"limit": "all"}, {"every": 0}, {"every": None}, {"max_bytes": -1}, {"limit": True}):
        with pytest.raises(UserError, match="a whole number from"):
            rnninspect.record(model, **keyword)
    with pytest.raises(UserError, match="record\\(model, lengths='lengths'\\)"):
        rnninspect.record("lengths")
    model.rnn = torch.compile(model.rnn, backend="eager")
    with rnninspect.record(model) as recording:
        model(batch(), LENGTHS)
    assert [call.where.name for call in recording.calls] == ["rnn"]


def test_start_and_stop_and_what_is_carried() -> None:
    """A recording without a block; a call that begins in the state of the one before says so."""
    layer = nn.GRU(F, H, batch_first=True)
    recording = rnninspect.record(layer).start()
    _, h = layer(batch())
    layer(batch(1), h)
    layer(batch(2))
    recording.stop()
    layer(batch())
    notes = [" ".join(r.notes) for r in recording.inspect()]
    assert ["begins in the state that call 0 returned" in note for note in notes] == [False, True, False]


@pytest.mark.parametrize(
    ("asked", "verdict", "why"),
    [
        ("lengths", "clean", ""),
        ("lens", "unjudged", "an argument called lens, and no call"),
        (lambda *_: 1 / 0, "unjudged", "raised ZeroDivisionError"),
    ],
)
def test_lengths_that_no_call_was_given_are_not_passed_over(asked: Any, verdict: str, why: str) -> None:
    """The packed call has lengths, which nothing was held against; one that is named for another layer needs none."""
    packed = made(Packs, lambda lengths: lengths)
    alone = nn.utils.rnn.pack_padded_sequence(batch(), LENGTHS, batch_first=True, enforce_sorted=False)
    with rnninspect.record(lengths=asked) as recording:
        packed(batch(), LENGTHS)
        packed.rnn(alone)
    reports = recording.inspect()
    assert [report.verdict for report in reports] == [verdict, verdict]
    assert why in (reports[0].untested or "")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_quantised_layers() -> None:
    """Dynamically quantised layers are recorded; their weights are not run again."""
    model = nn.Sequential(nn.LSTM(F, H, batch_first=True))
    quantised = torch.ao.quantization.quantize_dynamic(model, {nn.LSTM})
    with rnninspect.record(quantised, lengths=LENGTHS) as recording:
        quantised(batch())
    (report,) = recording.inspect()
    assert rules(recording.inspect()) == ["lengths-ignored"]
    assert any("quantised" in note for note in report.notes)


class Subsampled(nn.Module):
    """Frames that a strided convolution takes together, then a GRU over all of them; its state is the result."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(F, F, 3, stride=2, padding=1)
        self.rnn = nn.GRU(F, H, batch_first=True)

    def forward(self, frames: Tensor) -> Any:
        return self.rnn(torch.relu(self.conv(frames.transpose(1, 2))).transpose(1, 2))[1]


@pytest.mark.parametrize(("padded", "verdict"), [(True, "findings"), (False, "unjudged")])
def test_lengths_in_frames_are_taken_in_proportion_only_where_the_inputs_show_padding(
    padded: bool, verdict: str
) -> None:
    """Lengths before a strided layer tell of the steps behind it where short rows end alike; else none can say."""
    torch.manual_seed(0)
    frames, lengths = torch.randn(3, 16, F), torch.tensor([16, 8, 6])
    if padded:
        frames[torch.arange(16)[None] >= lengths[:, None]] = 0
    model = Subsampled()
    with rnninspect.record(model, lengths=lengths) as recording:
        model(frames)
    (report,) = recording.inspect()
    assert report.verdict == verdict
    assert [f.rule for f in report.findings] == (["lengths-ignored"] if padded else [])
