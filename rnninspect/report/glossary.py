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
        "One place of a row along the time axis, counted from 0 as the array stores it. Ranges are Python's: "
        "`outputs[1, 1:3]` is row 1, steps 1 and 2.",
        ("steps", "time"),
    ),
    Word(
        "unit",
        "One number of an output or a state: the last axis.",
        ("units", "hidden size"),
    ),
    Word(
        "final state",
        "What the layer returns beside its outputs: h, and for an LSTM the cell state c. h of a row is its output "
        "at the last step that was read; c is no output, and is never compared with one.",
        ("final_state", "h", "state"),
    ),
    Word(
        "cell state",
        "c of an LSTM: what it carries from step to step beside h.",
        ("c", "cell"),
    ),
    Word(
        "length",
        "How many steps of a row are real. The steps behind them are padding. `full` states that no row is "
        "shorter than the time axis.",
        ("lengths", "mask"),
    ),
    Word(
        "padding",
        "The steps of a row that are not real. What the outputs hold there is the framework's habit: zeros, the "
        "last real output repeated, or whatever the layer computed from the padded inputs.",
        ("padded",),
    ),
    Word(
        "expected step",
        "The step whose output the final state of a row should equal: the last real one, and for a backward "
        "direction the first one (step 0), where its reading ends.",
        ("expected", "expected_step"),
    ),
    Word(
        "layer",
        "One level of a stack, counted from 0 at the inputs; the top one's outputs are what the stack returns.",
        ("layers", "stack"),
    ),
    Word(
        "direction",
        "Which end of a row is read first: forward from step 0, backward from the last real step to step 0, where the "
        "backward final state is.",
        ("directions", "forward", "backward", "bidirectional"),
    ),
    Word(
        "track",
        "One layer read in one direction, with its own outputs and its own final state: `layer 0 backward`. A "
        "layer of two directions has two tracks.",
        ("tracks",),
    ),
    Word(
        "reading",
        "What the arrays were taken for: which is the outputs and which the state, whose framework they are, what "
        "each axis means, how many layers and directions are stacked in them. It is chosen by names, shapes and "
        "values, or stated by options; the report says why, and which other readings fit.",
        ("readings", "read as"),
    ),
    Word(
        "axes",
        "The order of an array's axes. [batch, steps, units] is B T H; [steps, batch, directions x units] is T B "
        "(D H), where both directions lie side by side in the last axis; [layers x directions, batch, units] is "
        "(L D) B H, a state that holds one [batch, units] for each direction of each layer, the forward one "
        "first.",
        ("(L D) B H", "B T H", "T B (D H)", "B H", "layout"),
    ),
    Word(
        "convention",
        "A framework's habits: its axes, the order of its state and gates, what its padding holds. `rnninspect "
        "list conventions` shows each.",
        ("framework",),
    ),
    Word(
        "proven",
        "The mistake reconstructs the numbers: made on purpose, it gives exactly the state (or the outputs) that "
        "is there.",
    ),
    Word(
        "suspected",
        "The mistake fits what is there, and what could prove it was not given.",
    ),
    Word(
        "explains",
        "How many rows a finding accounts for: with the mistake taken back, their states are where they should "
        "be. `not 2` beside it: two rows of the same track stay wrong.",
    ),
    Word(
        "or",
        "Another mistake that gives the same numbers, so that the evidence cannot tell the two apart. `what would "
        "decide` says what could.",
        ("alternatives", "alternative"),
    ),
    Word(
        "no evidence",
        "A row that can tell nothing: it has no real step, all its steps are equal or within the tolerance, or its "
        "state is all zero.",
        ("no-evidence",),
    ),
    Word(
        "clean",
        "Something could have failed and did not: every state that could be tested is the right one. Notes do not "
        "change that. Exit code 0.",
    ),
    Word(
        "unjudged",
        "Nothing could have failed, whatever the numbers were: without lengths, say, any step may be the last. "
        "The report says what would decide. Exit code 2.",
        ("could not judge", "untested"),
    ),
    Word(
        "finding",
        "One named cause, an error, a warning or a note; exit code 1 for errors, unless another severity is asked for.",
        ("findings", "error", "warning", "note", "severity"),
    ),
    Word(
        "not checked",
        "Mistakes that could not be looked for because their evidence was not given: weights, inputs, a second dump.",
        ("unchecked", "why"),
    ),
    Word(
        "dump",
        "The arrays that a run left: a file (.npz, .pt, .json, …), a print-out, or arrays in Python.",
        ("dumps",),
    ),
)
# Findings that are no rule: nothing that is known explains the numbers.
FINDINGS = (
    Word(
        "unexplained-state",
        "A final state is not the output of its row's last real step, and no known mistake gives these numbers. "
        "The message says where the state was found instead, or which step comes nearest and how far off it is. "
        "Check that outputs and state are of one call, then give more: the lengths, the inputs and the weights "
        "let many more mistakes be tried, and a tolerance tells rounding from a mistake.",
    ),
    Word(
        "unexplained-difference",
        "Two dumps of the same inputs differ by more than rounding, or a dump differs from what its inputs and "
        "weights give, and no known mistake makes that difference. The message names the first step that differs: "
        "what goes into that step (inputs, initial state, weights, options of the cell) is where to look.",
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
