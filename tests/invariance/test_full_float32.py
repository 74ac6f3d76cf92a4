"""A check computes in full float32, whatever is set: TF32 on a GPU depends on the shapes, and accuses right models."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnninspect import UserError, check_padding
from rnninspect.core.batch import Batch
from rnninspect.core.trace import prefix_mask
from rnninspect.engine import full_float32 as in_torch
from rnninspect.engine.initialise import glorot
from rnninspect.engine.run import run
from rnninspect.invariance.full_float32 import full_float32

B: Any = torch.backends
LENGTHS = [5, 2, 3]
SEEN: list[dict[str, Any]] = []  # what was set in each run of `Last`


def settings() -> dict[str, Any]:
    """Every setting that torch has, as it is read; what cannot be read is so called."""
    readers: dict[str, Callable[[], Any]] = {
        "cudnn.allow_tf32": lambda: B.cudnn.allow_tf32,
        "matmul.allow_tf32": lambda: B.cuda.matmul.allow_tf32,
        "matmul_precision": torch.get_float32_matmul_precision,
    }
    read: dict[str, Any] = {"/".join(p): in_torch._get(*p) for p in in_torch.PLACES} if in_torch._get else {}
    for name, reader in readers.items():
        try:
            read[name] = reader()
        except RuntimeError:
            read[name] = "mixed"
    return read


def is_full(read: dict[str, Any]) -> bool:
    """Whether nothing narrower than float32 is allowed anywhere."""
    return not {True, "tf32", "bf16", "high", "medium"} & set(read.values())


def older() -> None:
    B.cudnn.allow_tf32 = True
    torch.set_float32_matmul_precision("medium")


def older_off() -> None:
    B.cudnn.allow_tf32 = False
    B.cuda.matmul.allow_tf32 = False


def newer() -> None:
    B.fp32_precision = "tf32"


def narrow() -> None:
    B.cudnn.rnn.fp32_precision = "ieee"
    B.mkldnn.matmul.fp32_precision = "bf16"
    B.cuda.matmul.fp32_precision = "tf32"


def both() -> None:
    torch.set_float32_matmul_precision("high")
    B.cuda.matmul.fp32_precision = "ieee"
    B.mkldnn.fp32_precision = "bf16"


WAYS: dict[str, Callable[[], None]] = {"as torch begins": lambda: None, "older": older, "older, off": older_off}
if hasattr(B, "fp32_precision"):
    WAYS |= {"newer": newer, "newer, one by one": narrow, "both": both}


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """torch's settings as it begins with them."""
    yield
    torch.set_float32_matmul_precision("highest")
    for place in in_torch.PLACES if in_torch._get else ():
        in_torch._set(*place, "none")
    B.cudnn.allow_tf32 = True


class Last(nn.Module):
    """A right model that shows what is set while it runs."""

    def __init__(self, error: type[BaseException] | None = None) -> None:
        super().__init__()
        self.rnn = nn.GRU(3, 4, batch_first=True)
        self.error = error

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        SEEN.append(settings())
        if self.error is not None and len(SEEN) > 3:
            raise self.error
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.rnn(packed)[1][0]


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("way", list(WAYS))
def test_a_model_runs_in_full_float32(way: str, error: type[BaseException] | None) -> None:
    """Whichever way TF32 or bfloat16 was allowed, no run of a check uses it, and all is set again, errors or not."""
    WAYS[way]()
    before = settings()
    SEEN.clear()
    model, x, lengths = Last(error), torch.randn(3, 5, 3), torch.tensor(LENGTHS)
    with nullcontext() if error is None else suppress(KeyboardInterrupt, UserError):
        assert not check_padding(model, x, lengths, lengths="lengths").findings
    assert len(SEEN) > 3
    assert all(is_full(read) for read in SEEN)
    assert settings() == before


@pytest.mark.skipif(not hasattr(B, "fp32_precision"), reason="this torch has the older settings alone")
def test_what_was_inherited_still_is() -> None:
    """A place that took its precision from a wider one follows that one afterwards, and one of its own keeps it."""
    B.fp32_precision, B.cudnn.conv.fp32_precision, B.cudnn.rnn.fp32_precision = "tf32", "ieee", "none"
    heirs = [B.cuda.matmul, B.cudnn.rnn, B.mkldnn.rnn]
    with in_torch.full_float32():
        assert is_full(settings())
    assert [heir.fp32_precision for heir in heirs] == ["tf32"] * 3
    B.fp32_precision = "none"
    assert [heir.fp32_precision for heir in heirs] == ["none"] * 3
    assert B.cudnn.conv.fp32_precision == "ieee"


@pytest.mark.parametrize("way", list(WAYS))
def test_a_reference_run_is_in_full_float32(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So is a run of the engine on the CPU, whose products are set apart, and nothing is changed by it."""
    WAYS[way]()
    before = settings()
    seen: list[list[str]] = []
    kernel = torch.lstm

    def watched(*args: Any) -> Any:
        rooms = [getattr(B.mkldnn, name, None) for name in ("matmul", "rnn")]
        seen.append([torch.get_float32_matmul_precision(), *(getattr(r, "fp32_precision", "none") for r in rooms)])
        return kernel(*args)

    if way != "both":  # then the older setting cannot be read
        monkeypatch.setattr(torch, "lstm", watched)
    inputs = np.random.default_rng(0).normal(size=(3, 5, 3)).astype(np.float32)
    run(Batch(inputs, prefix_mask(LENGTHS, 5), np.array(LENGTHS)), glorot("lstm", 3, 4))
    assert not {"medium", "high", "tf32", "bf16"} & {name for names in seen for name in names}
    assert seen or way == "both"
    assert settings() == before


@pytest.mark.parametrize("fails", [False, True])
def test_other_frameworks_are_asked_where_they_are_imported(fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """JAX by its context, TensorFlow by its setting, which is what it was afterwards; neither is imported for it."""
    allowed = [True]
    asked: list[str] = []

    @contextmanager
    def default_matmul_precision(name: str) -> Iterator[None]:
        asked.append(name)
        try:
            yield
        finally:
            asked.pop()

    def enable(value: bool) -> None:
        allowed[0] = value

    experimental = SimpleNamespace(
        tensor_float_32_execution_enabled=lambda: allowed[0], enable_tensor_float_32_execution=enable
    )
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(default_matmul_precision=default_matmul_precision))
    tensorflow = SimpleNamespace(config=SimpleNamespace(experimental=experimental))
    monkeypatch.setitem(sys.modules, "tensorflow", tensorflow)
    with suppress(KeyboardInterrupt), full_float32():
        assert (allowed, asked) == ([False], ["float32"])
        if fails:
            raise KeyboardInterrupt
    assert (allowed, asked) == ([True], [])
    for name in ("jax", "tensorflow"):
        monkeypatch.delitem(sys.modules, name)
    with full_float32():
        assert not {"jax", "tensorflow"} & {*sys.modules}


class Cast(nn.Module):
    """A right model on float32, one product of which is in bfloat16; no layer of it returns that."""

    def __init__(self, autocast: bool) -> None:
        super().__init__()
        self.rnn = nn.GRU(6, 16, batch_first=True, bidirectional=True)
        self.kernel = nn.Parameter(torch.rand(32, 3))
        self.autocast = autocast

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        padded = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=x.shape[1])[0]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.autocast):
            product = padded @ self.kernel if self.autocast else padded.bfloat16() @ self.kernel.bfloat16()
        return product.float().sum(1)


@pytest.mark.parametrize("wrap", [lambda model: model, lambda model: lambda x, lengths: model(x, lengths)])
@pytest.mark.parametrize("autocast", [True, False])
def test_what_is_cast_within_a_forward_is_seen(autocast: bool, wrap: Callable[[Any], Any]) -> None:
    """The allowance is that of bfloat16 though inputs, weights, layers' outputs and results are float32."""
    torch.manual_seed(0)
    x, lengths = torch.randn(4, 7, 6), torch.tensor([7, 3, 5, 1])
    report = check_padding(wrap(Cast(autocast)), x, lengths, lengths="lengths")
    assert not report.findings
    assert "computed in bfloat16" in report.render("table")


def test_what_cannot_be_looked_at_runs_all_the_same() -> None:
    """A forward that fails under a look at its operations is run without it, and judged."""

    class Shy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.GRU(3, 4, batch_first=True)

        def forward(self, x: Tensor) -> Any:
            if torch._C._len_torch_function_stack():
                raise RuntimeError("not under a mode")
            return self.rnn(x)[0]

    assert check_padding(Shy(), torch.randn(3, 5, 3), lengths=LENGTHS).verdict == "clean"
