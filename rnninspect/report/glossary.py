"""The words of a report, each in a sentence or two: what `explain WORD` prints, and the README's glossary."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """A word, what it means here, and other spellings under which it is looked up."""

    name: str
    meaning: str
    also: tuple[str, ...] = ()


WORDS = (
    Word(
        "row",
        "One sequence of the batch. Rows count from 0; `outputs[1]` is row 1.",
        ("rows", "batch"),
    ),
    Word(
        "step",
        "One position of a row on the time axis, counted from 0 in stored order. Ranges are written as in Python: "
        "`outputs[1, 1:3]` is row 1, steps 1 and 2.",
        ("steps", "time"),
    ),
    Word(
        "unit",
        "One number of an output or state vector; the last axis counts the units.",
        ("units", "hidden size"),
    ),
    Word(
        "final state",
        "What the layer returns beside its outputs: h, and for an LSTM also the cell state c. h of a row equals its "
        "output at the last step that was read; c is not an output and is never compared with one.",
        ("final_state", "h", "state"),
    ),
    Word(
        "cell state",
        "c of an LSTM, which it carries from step to step beside h.",
        ("c", "cell"),
    ),
    Word(
        "length",
        "The number of real steps of a row. The steps after them are padding. `full` states that every row has as "
        "many real steps as the time axis.",
        ("lengths", "mask"),
    ),
    Word(
        "padding",
        "The steps of a row that are not real. What the outputs hold there depends on the framework: zeros, the last "
        "real output repeated, or whatever the layer computed from the padded inputs.",
        ("padded",),
    ),
    Word(
        "expected step",
        "The step whose output the final state of a row should equal: the last real step, or, for a backward "
        "direction, the first one (step 0), where the backward pass ends.",
        ("expected", "expected_step"),
    ),
    Word(
        "layer",
        "One layer of a stack. Layer 0 reads the inputs; the outputs of the top layer are those of the stack.",
        ("layers", "stack"),
    ),
    Word(
        "direction",
        "The order in which a row is read: forward from step 0, or backward from the last real step to step 0, where "
        "the backward final state is.",
        ("directions", "forward", "backward", "bidirectional"),
    ),
    Word(
        "track",
        "One direction of one layer, with its own outputs and its own final state, such as `layer 0 backward`. A "
        "bidirectional layer has two tracks.",
        ("tracks",),
    ),
    Word(
        "reading",
        "How the arrays were interpreted: which array holds the outputs and which the state, which framework they are "
        "from, what each axis means, and how many layers and directions they hold. It is chosen by names, shapes and "
        "values, or stated by options; the report says why, and which other readings fit.",
        ("readings", "read as"),
    ),
    Word(
        "axes",
        "The order of an array's axes. [batch, steps, units] is B T H; [steps, batch, directions x units] is T B (D "
        "H), where the two directions are concatenated on the last axis; [layers x directions, batch, units] is (L "
        "D) B H, a state with one [batch, units] for each direction of each layer, forward before backward.",
        ("(L D) B H", "B T H", "T B (D H)", "B H", "layout"),
    ),
    Word(
        "convention",
        "How a framework arranges things: its axes, the order of its states and gates, what its padded outputs hold. "
        "`rnninspect list conventions` shows each.",
        ("framework",),
    ),
    Word(
        "proven",
        "The mistake reconstructs the numbers: making it on purpose gives exactly the state (or the outputs) in the "
        "dump.",
    ),
    Word(
        "suspected",
        "The mistake fits the numbers, but what could prove it was not given.",
    ),
    Word(
        "explains",
        "How many rows a finding accounts for: if the mistake is undone, their states are at the expected steps. "
        "With `not 2`, two more rows of the same track remain wrong.",
    ),
    Word(
        "or",
        "Another mistake that gives the same numbers, so that these data do not show which of the two it is. "
        "`what would "
        "decide` names the data that could.",
        ("alternatives", "alternative"),
    ),
    Word(
        "no evidence",
        "A row that cannot show whether its state is right: it has no real step, all its steps are equal or within the "
        "tolerance, or its state is all zeros.",
        ("no-evidence",),
    ),
    Word(
        "clean",
        "There was something to check, and every state that could be checked is right. Notes do not change this "
        "verdict. Exit code 0.",
    ),
    Word(
        "unjudged",
        "Nothing could be checked, whatever the numbers: without lengths, for example, any step may be the last one. "
        "The report names what would decide. Exit code 2.",
        ("could not judge", "untested"),
    ),
    Word(
        "finding",
        "One named cause: an error, a warning or a note. Errors give exit code 1, unless another severity is asked "
        "for.",
        ("findings", "error", "warning", "note", "severity"),
    ),
    Word(
        "not checked",
        "Mistakes that could not be checked because the data for it were not given: weights, inputs, a second dump.",
        ("unchecked", "why"),
    ),
    Word(
        "dump",
        "The saved arrays of a run: a file (.npz, .pt, .json, …), a print-out, or arrays in Python.",
        ("dumps",),
    ),
)
# Findings that are no rule: nothing that is known explains the numbers.
FINDINGS = (
    Word(
        "unexplained-state",
        "A final state is not the output of its row's last real step, and no known mistake gives these numbers. The "
        "message says where the state was found instead, or which step is nearest and by how much it differs. Check "
        "that outputs and state are from one call, then give more data: with the lengths, the inputs and the weights "
        "many more mistakes can be checked, and a tolerance separates rounding from a mistake.",
    ),
    Word(
        "unexplained-difference",
        "Two dumps of the same inputs differ by more than rounding, or a dump differs from what its inputs and "
        "weights give, and no known mistake explains the difference. The message names the first step that differs: "
        "look at what that step depends on (inputs, initial state, weights, options of the cell).",
    ),
)


def word(name: str) -> Word | None:
    """The entry of that name or spelling, in any case; None where there is none.

    >>> word("Tracks").name, word("(l d) b h").name, word("lstm")
    ('track', 'axes', None)
    """
    wanted = " ".join(name.casefold().split())
    for entry in (*WORDS, *FINDINGS):
        if wanted in (spelling.casefold() for spelling in (entry.name, *entry.also)):
            return entry
    return None
