"""`check_padding`: what it takes, what it says, and what it refuses in one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import rnninspect
from rnninspect import FindingsError, UserError, check_padding
from rnninspect.errors import ShapeError, UnknownNameError
from rnninspect.testing import assert_ignores_padding


class Last(nn.Module):
    """The last column, which reads padding."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn = nn.LSTM(3, 4, batch_first=True)
        self.out = nn.Linear(4, 2)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Any:
        return self.out(self.rnn(x)[0][:, -1])


class Gathered(Last):
    """The last real step, which does not."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Any:
        assert lengths is not None
        return self.out(self.rnn(x)[0][torch.arange(len(x)), lengths - 1])


X, N = torch.randn(3, 5, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([5, 2, 3])


@pytest.mark.parametrize(
    "options",
    [{"lengths": "lengths"}, {"lengths": N}, {"lengths": [5, 2, 3]}, {"lengths": {"x": N}}, {}],
    ids=["name", "tensor", "list", "by input", "by the argument's name"],
)
def test_lengths_are_taken_in_any_form(options: dict[str, Any]) -> None:
    """By name, as an array, by input, or from the argument that is named so, the same is found."""
    report = check_padding(Last(), X, N, **options)
    assert [finding.rule for finding in report.findings] == ["reads-padding"]
    assert report.findings[0].rows == [1, 2]
    assert report.lengths == [5, 2, 3]
    assert check_padding(Gathered(), X, N, **options).verdict == "clean"


def test_lengths_are_passed_on() -> None:
    """An array goes into the argument of forward that holds lengths, where none was given."""
    assert check_padding(Gathered(), X, lengths=[5, 2, 3]).verdict == "clean"


def test_a_mask_stands_for_lengths() -> None:
    """A mask [B, T] says what is real as lengths do."""
    mask = torch.arange(5) < N[:, None]
    assert [f.rule for f in check_padding(Last(), X, mask=mask).findings] == ["reads-padding"]


def test_the_place_and_the_rule_are_named() -> None:
    """The code that reads the padding is named with the layers around it, and the rule of the recorded layer."""
    finding = check_padding(Last(), X, N).findings[0]
    assert finding.evidence["where"] == "Last"
    assert (finding.evidence["after"], finding.evidence["before"]) == ("rnn", "out")
    assert finding.evidence["rule"] == "lengths-ignored"
    assert "pack_padded_sequence" in finding.fix


def test_a_clean_report_says_what_was_probed() -> None:
    """Each probe is listed with what it gave, the largest difference among it."""
    report = check_padding(Gathered(), X, N)
    assert [probe.probe for probe in report.probes] == ["noise", "more", "permute", "alone", "reach"]
    assert {probe.standing for probe in report.probes} == {"held"}
    assert all(probe.largest is None or probe.largest < 1e-6 for probe in report.probes)
    assert "largest difference" in str(report)
    assert rnninspect.load(report.to_dict()).to_dict() == report.to_dict()


@pytest.mark.parametrize("form", ["table", "json", "ndjson", "html", "svg", "markdown", "github", "junit", "sarif"])
def test_every_renderer_shows_it(form: str) -> None:
    """Every format has the finding of a wrong model, and none fails on a right one."""
    assert "reads-padding" in check_padding(Last(), X, N).render(form)
    assert check_padding(Gathered(), X, N).render(form)


def test_full_lengths_leave_the_padding_probes_out() -> None:
    """Where no row holds padding, what only padding could show is not checked, and said so."""
    report = check_padding(Last(), X, lengths="full")
    assert report.verdict == "clean"
    assert [(n.rule, n.reason) for n in report.not_checked] == [
        ("reads-padding (noise)", "lengths='full': no row holds padding"),
        ("depends-on-padded-width (more)", "lengths='full': no row holds padding"),
    ]


def test_without_lengths_rows_alone_are_judged() -> None:
    """Without a word on lengths the probes of rows are made, and the others say what they lack."""
    report = check_padding(Last(), X)
    assert {n.reason for n in report.not_checked} == {"the rows' lengths are not known"}


def test_probes_are_chosen() -> None:
    """`probes` and `skip` name them; what was not asked for is not made."""
    assert [p.probe for p in check_padding(Last(), X, N, probes="alone").probes] == ["alone"]
    assert check_padding(Last(), X, N, skip=("noise", "more")).verdict == "clean"
    with pytest.raises(UnknownNameError, match="unknown probe 'nois'; did you mean 'noise'"):
        check_padding(Last(), X, N, probes=["nois"])


def test_a_large_batch_is_cut() -> None:
    """Of many rows some are taken, the shortest and the longest among them, and the report says so."""
    n = torch.randint(1, 6, (100,))
    n[7], n[8] = 5, 1
    report = check_padding(Gathered(), torch.randn(100, 5, 3), n, max_rows=4)
    assert report.shape["batch"] == 4
    assert report.lengths is not None
    assert {min(report.lengths), max(report.lengths)} == {1, 5}
    assert any("4 of 100 rows" in note for note in report.notes)


@pytest.mark.parametrize(
    ("inputs", "options", "kind", "phrase"),
    [
        ((X, N), {"lengths": "lenghts"}, UnknownNameError, "unknown input for lengths 'lenghts'; did you mean"),
        ((X,), {"lengths": [5, 2]}, ShapeError, "no input has 2 rows of 5 steps or more"),
        ((X,), {"lengths": [9, 2, 3]}, ShapeError, "no input has 3 rows of 9 steps or more"),
        ((X,), {"lengths": [[5, 2], [3, 1]]}, ShapeError, "one number per row is needed"),
        ((X,), {"lengths": [5, -1, 3]}, ShapeError, "whole numbers from 0"),
        ((X, N, N, N), {}, UserError, "does not take these inputs: TypeError"),
        ((), {}, UserError, "no arrays were given"),
        ((X,), {"mask": torch.ones(3)}, ShapeError, r"one value per row and step is needed: \[B, T\]"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(inputs: Any, options: Any, kind: type[Exception], phrase: str) -> None:
    """What cannot be checked is refused with what was seen and what is needed."""
    with pytest.raises(kind, match=phrase) as raised:
        check_padding(Last(), *inputs, **options)
    assert len(str(raised.value).splitlines()) == 1


def test_what_is_no_model_is_refused() -> None:
    """A value that cannot be called, and a model without numbers, are refused."""
    with pytest.raises(UserError, match=r"a builtins\.int is not a model that can be checked"):
        check_padding(3, X)
    with torch.device("meta"):
        model = nn.Linear(3, 2)
    with pytest.raises(UserError, match="on the meta device"):
        check_padding(model, X)


def test_functions_are_checked() -> None:
    """A function on numpy's arrays is a model too, without a place."""
    x, mask = np.asarray(X), (np.arange(5) < np.asarray(N)[:, None])[..., None]
    assert [f.rule for f in check_padding(lambda x: x.mean(1), x, lengths=N).findings] == ["reads-padding"]
    assert check_padding(lambda x, m: (x * m).sum(1) / m.sum(1), x, mask, mask=mask[..., 0]).verdict == "clean"


def test_wrappers_are_looked_through() -> None:
    """DataParallel and torch.compile are checked as the module within them."""
    for wrap in (nn.DataParallel, torch.compile):
        report = check_padding(wrap(Last()), X, N)  # type: ignore[operator]
        assert report.findings[0].evidence["after"] == "rnn"
    compiled = Last()
    compiled.compile()
    assert check_padding(compiled, X, N).findings[0].rule == "reads-padding"


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_precisions(dtype: torch.dtype) -> None:
    """Half and double precision are judged by what rounding may do there."""
    assert check_padding(Gathered().to(dtype), X.to(dtype), N).verdict == "clean"
    assert check_padding(Last().to(dtype), X.to(dtype), N).findings[0].rule == "reads-padding"


def test_the_assertion() -> None:
    """It passes on a right model, and fails with the finding on a wrong one; what could not be probed fails."""
    assert_ignores_padding(Gathered(), X, N)
    with pytest.raises(FindingsError, match="reads-padding"):
        assert_ignores_padding(Last(), X, N)
    with pytest.raises(FindingsError, match="could not judge"):
        assert_ignores_padding(Last(), X, lengths="full", probes="noise")


def test_the_fixture(assert_ignores_padding: Any) -> None:
    """The plugin's fixture is the assertion."""
    assert_ignores_padding(Gathered(), X, lengths=N)


def test_masks_in_other_forms() -> None:
    """A key padding mask, one of `[T, B]`, one that is added to scores; one that is real nowhere is refused."""
    mask = torch.arange(5) < N[:, None]
    for name, value in (("key_padding_mask", ~mask), ("attention_mask", mask.long()), ("mask", mask[:, :, None])):
        report = check_padding(lambda x, **masks: x.mean(1), X, kwargs={name: value}, mask=name)
        assert (report.lengths, report.findings[0].rule) == ([5, 2, 3], "reads-padding")
    report = check_padding(lambda x, mask: x.mean(0), X.transpose(0, 1), mask.t(), mask="mask")
    assert (report.lengths, report.findings[0].rule) == ([5, 2, 3], "reads-padding")
    added = (~mask)[:, None, None].float() * -1e9
    assert check_padding(lambda x, attention_mask: x.mean(1), X, added).lengths == [5, 2, 3]
    with pytest.raises(ShapeError, match="it must be True where a step is real"):
        check_padding(Last(), X, mask=~mask)


@pytest.mark.parametrize("heeds", [True, False])
def test_as_many_rows_as_steps_beside_a_mask_that_lies_otherwise(heeds: bool) -> None:
    """`[T, B, D]` beside a mask `[B, T]`, T and B equal: sums of the real steps are clean, of all of them a finding."""
    real = torch.arange(4) < torch.tensor([4, 1, 3, 2])[:, None]

    def summed(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        weights = torch.where(mask.t() == 1, 1.0, 0.0 if heeds else 0.5)
        return (x.cumsum(0) * weights[..., None]).sum(0) / weights.sum(0)[:, None]  # type: ignore[no-any-return]

    report = check_padding(summed, torch.randn(4, 4, 2), real, mask="mask")
    assert report.lengths == [4, 1, 3, 2]
    assert [finding.rule for finding in report.findings][:1] == ([] if heeds else ["reads-padding"])


def test_arguments_that_may_hold_lengths_are_pointed_at() -> None:
    """Whole numbers that count steps of a row are shown as they would be stated, by the name that `record` takes too;
    labels of which one is zero, and numbers beyond the steps, are not.
    """

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.GRU(3, 3, batch_first=True)

        def forward(self, *pairs: Any) -> torch.Tensor:
            (x, _), *_ = pairs
            return self.rnn(x)[1][0]  # type: ignore[no-any-return]

    model, other = Plain(), torch.tensor([3, 1, 3])
    for numbers, hint in ((N, "; pairs[0][1] may hold lengths: lengths='pairs[0][1]'"), (N - 2, ""), (N + 9, "")):
        report = check_padding(model, (X, numbers), probes=("noise", "permute"))
        assert report.untested == f"whether padding is read cannot be told: the rows' lengths are not known{hint}"
    both = {"pairs[0][0]": "pairs[0][1]", "pairs[1][0]": "pairs[1][1]"}
    assert f"lengths={both!r}" in check_padding(model, (X, N), (X[:, :3], other)).untested
    with rnninspect.record(model, lengths="pairs[0][1]") as recording:
        model((X, N))
    rules = [finding.rule for finding in recording.inspect().findings]
    assert rules == ["lengths-ignored"]
    assert check_padding(model, (X, N), lengths="pairs[0][1]").findings[0].rule == "reads-padding"


def test_a_lazy_module_is_refused() -> None:
    """It has no weights, and running it would make some."""
    with pytest.raises(UserError, match="LazyLinear without weights"):
        check_padding(nn.LazyLinear(2), X, lengths=N)


def test_rows_without_a_real_step_are_not_judged() -> None:
    """What a model returns for a row of length 0 is no real result; other rows are judged as ever."""
    empty = torch.tensor([5, 0, 3])
    report = check_padding(Gathered(), X, empty)
    assert report.verdict == "clean"
    assert any("not judged, since they have no real step: rows 1" in note for note in report.notes)
    assert check_padding(Last(), X, empty).findings[0].rows == [2]


@pytest.mark.parametrize("name", ["widths", "num_frames", "n_tokens", "image_width"])
def test_lengths_are_known_by_other_names(name: str) -> None:
    """How wide images are, how many frames or tokens there are: these are lengths too."""
    report = check_padding(lambda x, **more: x.mean(1), X, kwargs={name: N})
    assert (report.lengths, report.findings[0].rule) == ([5, 2, 3], "reads-padding")


def test_a_layer_is_recorded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two probes that lead to one layer share what its recording says, and no search for other weights is made."""
    from rnninspect.diagnosis.evidence import weight_search
    from rnninspect.invariance.torch_modules import rule

    class State(Last):
        def forward(self, x: Tensor, lengths: Tensor | None = None) -> Any:
            return self.rnn(x)[1][0][0]

    recordings, searches = [], []
    record, search = rule.record, weight_search.fixed_by_two
    monkeypatch.setattr(rule, "record", lambda *args, **options: recordings.append(1) or record(*args, **options))
    monkeypatch.setattr(
        "rnninspect.diagnosis.weights_rule.fixed_by_two", lambda case: searches.append(1) or search(case)
    )
    report = check_padding(State(), X, N)
    assert report.findings[0].evidence["rule"] == "lengths-ignored"
    assert (len(recordings), len(searches)) == (1, 0)


@pytest.mark.parametrize("right", [True, False])
def test_padding_that_long_rows_forget_again_is_seen(right: bool) -> None:
    """A backward direction that begins in padding is named although no digit of a long row's result tells of it."""

    class Backward(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.rnn = nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True)

        def forward(self, x: Tensor, lengths: Tensor) -> Any:
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            return self.rnn(packed if right else x)[1][0][-1]

    lengths = torch.tensor([120, 70, 90])
    x = torch.randn(3, 120, 3, generator=torch.Generator().manual_seed(0))
    model = Backward()
    noise = torch.where((torch.arange(120) < lengths[:, None])[..., None], x, 9.0)
    with torch.no_grad():
        assert torch.equal(model(x, lengths), model(noise, lengths))  # that is all that the result tells
    report = check_padding(model, x, lengths)
    if right:  # and its first steps are read, although a row's last step tells nothing of them
        assert report.verdict == "clean"
        return
    (finding,) = report.findings
    assert (finding.rule, finding.evidence["where"]) == ("reads-padding", "rnn")
    assert "all rows cut by 62 steps (longer rows forget it)" in finding.message


def test_rows_whose_steps_have_lengths_of_their_own_are_cut_with_them() -> None:
    """Sentences of word_counts in long documents: which word_counts are real is cut and stacked as the rows are."""
    lengths, word_counts = (
        torch.tensor([30, 18]),
        torch.randint(1, 4, (2, 30), generator=torch.Generator().manual_seed(0)),
    )
    word_counts = word_counts * (torch.arange(30) < lengths[:, None])
    documents = torch.randn(2, 30, 4) * (torch.arange(4) < word_counts[..., None])

    def mean(docs: Tensor, doc_lengths: Tensor, word_lengths: Tensor) -> Tensor:
        real = torch.arange(4) < word_lengths[..., None]
        return (docs * real).sum((1, 2)) / doc_lengths

    assert check_padding(mean, documents, lengths, word_counts, lengths="doc_lengths").verdict == "clean"


def test_a_maximum_over_long_rows_hides_no_padding() -> None:
    """One padded step that wins over few real ones is seen, although it seldom wins over many."""

    def greatest(x: Tensor, lengths: Tensor) -> Tensor:
        real = torch.arange(x.size(1)) < lengths[:, None]
        return (x * real[..., None]).max(1)[0]

    x = torch.randn(3, 60, 5, generator=torch.Generator().manual_seed(0)) - 1.5
    report = check_padding(greatest, x, torch.tensor([60, 30, 40]))
    assert report.findings[0].rule == "depends-on-padded-width"


def test_without_lengths_padding_is_not_judged() -> None:
    """Where nothing says which steps are padding the verdict is open; said to be full, or not asked, it is clean."""
    torch.manual_seed(0)
    layer, inputs = nn.GRU(4, 6, batch_first=True).eval(), torch.randn(4, 5, 4)

    def last(x: Tensor) -> Tensor:
        return layer(x)[1][-1]  # type: ignore[no-any-return]

    report = rnninspect.check_padding(last, inputs)
    assert (report.verdict, report.ok) == ("unjudged", False)
    assert "lengths are not known" in report.untested
    assert rnninspect.check_padding(last, inputs, lengths="full").verdict == "clean"
    assert rnninspect.check_padding(last, inputs, probes="permute").verdict == "clean"


def test_a_row_of_one_step_hides_no_other() -> None:
    """An index one too small is named although the only step of a short row is read; the right index is not."""
    lengths = torch.tensor([12, 4, 7, 1, 6])
    x = torch.randn(5, 12, 6, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    gru = nn.GRU(6, 8, batch_first=True)

    def gathered(x: Tensor, lengths: Tensor, back: int) -> Tensor:
        return gru(x)[0][torch.arange(len(x)), (lengths - back).clamp(min=0)]

    wrong = check_padding(lambda x, lengths: gathered(x, lengths, 2), x, lengths)
    assert [(f.rule, f.rows) for f in wrong.findings] == [("step-unread", [0, 1, 2, 4])]
    assert check_padding(lambda x, lengths: gathered(x, lengths, 1), x, lengths).verdict == "clean"


def test_transformers_are_compared_with_themselves() -> None:
    """torch computes padding by another path while floats are watched: a mean over it is named, each time."""
    x, lengths = torch.randn(4, 7, 6, generator=torch.Generator().manual_seed(0)), torch.tensor([7, 3, 5, 2])
    torch.manual_seed(0)
    inner = nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, 8, batch_first=True), 1).eval()

    class Pooled(nn.Module):
        def __init__(self, right: bool) -> None:
            super().__init__()
            self.encoder, self.right = inner, right

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            mask = torch.arange(x.size(1))[None] < lengths[:, None]
            y = self.encoder(x, src_key_padding_mask=~mask)
            if not self.right:
                return y.mean(1)
            mask = mask[:, : y.size(1)]
            return (y * mask[..., None]).sum(1) / lengths[:, None]

    for _ in range(3):
        assert [f.rule for f in check_padding(Pooled(False).eval(), x, lengths).findings] == ["depends-on-padded-width"]
        assert check_padding(Pooled(True).eval(), x, lengths).verdict == "clean"


def test_a_state_outside_the_model_is_no_padding_read() -> None:
    """A model that goes on from the state of its last call, kept where no module is, is unjudged and not accused; with
    a start of zeros it is clean."""
    torch.manual_seed(0)
    gru, kept = nn.GRU(6, 5, batch_first=True), {}
    x, lengths = torch.randn(5, 9, 6), torch.tensor([9, 4, 7, 2, 6])

    def carrying(x: Tensor, lengths: Tensor, carry: bool = True) -> Tensor:
        before = kept.get("h") if carry else None
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        h = gru(packed, before if before is not None and before.size(1) == len(x) else None)[1]
        kept["h"] = h.detach()
        return h[-1]

    report = check_padding(carrying, x, lengths)
    assert (report.verdict, report.findings) == ("unjudged", [])
    assert check_padding(lambda x, lengths: carrying(x, lengths, False), x, lengths).verdict == "clean"
