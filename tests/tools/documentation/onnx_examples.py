"""ONNX: every recurrent node test of onnx.backend.test: its expected outputs, and what two runtimes give."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx.backend.test.case.node import collect_testcases
from onnx.reference import ReferenceEvaluator

from documentation.saving import Set


def make() -> Set:
    made = Set("onnx", f"{onnx.__version__}, onnxruntime {onnxruntime.__version__}", "onnx")
    for case in collect_testcases("RNN"):  # it collects every operator's, whatever is asked for
        if case.model.graph.node[0].op_type in ("LSTM", "GRU", "RNN"):
            node_test(made, case)
    return made


def node_test(made: Set, case: Any) -> None:
    model = case.model
    op = model.graph.node[0].op_type
    ((inputs, outputs),) = case.data_sets
    node = model.graph.node[0]
    feeds = dict(zip([i.name for i in model.graph.input], inputs, strict=True))
    expected = dict(zip([o.name for o in model.graph.output], outputs, strict=True))
    name = "onnx-" + case.name.removeprefix("test_").replace("_", "-")
    page = f"onnx.backend.test.case.node.{op.lower()}, {case.name}"
    layout = next((a.i for a in node.attribute if a.name == "layout"), 0)
    reverse = next((a.s.decode() for a in node.attribute if a.name == "direction"), "forward")
    options = "" if layout == 0 else " --batch-first"
    options += "" if reverse == "forward" else f" --direction {reverse}"
    made.save(
        f"{name}-expected",
        page,
        {".npz": {**feeds, **expected}, "@.onnx": model.SerializeToString()},
        "@.npz",
        "@.npz --weights @.onnx",
        saved="npz, the test's inputs and expected outputs, and its model",
    )
    whole = onnx.ModelProto.FromString(model.SerializeToString())
    wanted = ("Y", "Y_h", "Y_c")[: 3 if op == "LSTM" else 2]
    del whole.graph.node[0].output[:]
    whole.graph.node[0].output.extend(wanted)
    del whole.graph.output[:]
    whole.graph.output.extend(onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in wanted)
    whole.ir_version = min(whole.ir_version, 10)
    whole.opset_import[0].version = min(whole.opset_import[0].version, 22)
    for runtime, how in (("runtime", "onnxruntime"), ("reference", "onnx.reference.ReferenceEvaluator")):
        try:
            results = run(whole, feeds, runtime)
        except Exception as error:
            print(f"{name} by {how}: {str(error).strip().splitlines()[0][:90]}")
            continue
        made.save(
            f"{name}-{runtime}",
            page,
            {".npz": {**feeds, **dict(zip(wanted, results, strict=True))}},
            "@.npz",
            *([f"@.npz{options}"] if options else []),
            saved=f"npz, run by {how}",
            changed="all outputs of the node are asked for",
        )


def run(model: onnx.ModelProto, feeds: dict[str, np.ndarray], runtime: str) -> list[Any]:
    if runtime == "reference":
        return ReferenceEvaluator(model).run(None, feeds)
    session = onnxruntime.SessionOptions()
    session.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), session, ["CPUExecutionProvider"]).run(None, feeds)
