"""The gate blocks were taken in another framework's order."""

from __future__ import annotations

from rnninspect.core.weights import Weights
from rnninspect.diagnosis.rule import CannotInject, Thread
from rnninspect.diagnosis.weights_rule import WeightsRule
from rnninspect.engine import cells


class GateOrder(WeightsRule):
    name = "gate-order"
    summary = "with the gate blocks in another order, the weights give the dump's numbers"
    why = (
        "TensorFlow 1 stacks the gates as i, j, f, o; PyTorch and Keras as i, f, g, o; ONNX as i, o, f, c. A kernel "
        "that is copied without reordering has the right shape and the wrong gates."
    )
    fix = (
        'blocks = dict(zip(file_order, np.split(kernel, len(file_order), axis=-1)))  # file_order: "ifgo", say\n'
        "kernel = np.concatenate([blocks[gate] for gate in layer_order], axis=-1)  # recurrent kernel, bias likewise"
    )
    fixed_in = "arrays"
    group = "Weights and arithmetic"
    place = 1
    threads = (
        Thread(
            "https://github.com/CrispStrobe/CrispASR/pull/106",
            "Weights from an ONNX file were read in PyTorch's gate order, and all speakers were taken for one.",
        ),
        Thread(
            "https://github.com/apple/coremltools/pull/93",
            "The documentation names one gate order, the code uses another.",
        ),
        Thread(
            "https://github.com/tensorflow/tensorflow/issues/29308",
            "In which order does cuDNN's kernel hold the gates, compared with BasicLSTMCell's?",
        ),
    )

    def corrupt(self, weights: Weights) -> Weights:
        from rnninspect.diagnosis.evidence.weight_changes import ordered

        gates = len(cells.get(weights.spec.cell).gates)
        if gates < 3:
            raise CannotInject("needs several gates")
        order = (0, 2, 1, 3)[:gates]
        return ordered(order)(weights)


RULE = GateOrder()
