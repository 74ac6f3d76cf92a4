"""Names that people give the arrays of a dump, whatever the framework: which role each speaks of.

A pattern matches a whole name, with slashes as dots. It may hold the groups `layer` (a number), `direction` (a word)
and `position` (a place in a list of states, nested or not: `2`, `0.1`).
"""

from __future__ import annotations

import re

from rnninspect.core.evidence import Role

_WORD = r"(?:[A-Za-z]\w*?_)?"  # what the array belongs to: enc_, lstm_, decoder_
_WAY = r"[._]?(?P<direction>fw|bw|fwd|bwd|forward|backward)"
_FINAL = r"(?!(?:init|initial|prev|previous|begin|start)_)"  # and not what a layer starts from
_LAYER = r"(?:encoder|enc|decoder|dec|rnn|lstm|gru)"
_STATE = rf"(?:(?:output|final|last|{_LAYER})_)?states?"

# Exact names, which say it plainly. A convention's own patterns come first.
PLAIN_NAMES: dict[Role, tuple[str, ...]] = {
    "outputs": (r"outputs?", r"Y"),
    "h": (r"final_state(\.h)?", r"state_h", r"h_n", r"Y_h", r"carry(\.h)?", r"states?", r"h", r"final"),
    "c": (r"final_state\.c", r"state_c", r"c_n", r"Y_c", r"carry\.c", r"c"),
    "initial_h": (r"initial_state(\.h)?", r"initial_h", r"h_?0", r"initial_carry(\.h)?"),
    "initial_c": (r"initial_state\.c", r"initial_c", r"c_?0", r"initial_carry\.c"),
    "inputs": (r"inputs?", r"x", r"X"),
    "lengths": (r"lengths?", r"sequence_lengths?", r"seq_lengths?", r"sequence_lens"),
    "mask": (r"mask",),
}

# Names of the same arrays in people's programs: each is taken for its role where nothing plainer is there.
USUAL_NAMES: dict[Role, tuple[str, ...]] = {
    "outputs": (
        _WORD + r"out(?:put)?s?" + _WAY,
        r"(?P<direction>fw|bw|fwd|bwd|forward|backward)_out(?:put)?s?",
        r"outs?|o|ys?|hs|hdn|memory|hidden_states?|all_(?:hidden|outputs|states)|h_(?:all|seq)|(?:seq|unpacked|padded)",
        _WORD + r"out(?:put)?s?",
        r"(?!(?:last|final|cell)_)" + _WORD + r"(?:memory|hiddens|encodings)",
        r"(?:bi)?(?:lstm|gru|rnn)|enc",
    ),
    "h": (
        _STATE + _WAY + r"(?:[._](?P<layer>\d+))?(?:[._]h)?",
        r"(?P<direction>fw|bw|fwd|bwd|forward|backward)_(?:states?|h|hn|h_n|hidden)",
        r"h(?P<direction>f|b)",
        _STATE + r"(?:[._](?P<layer>\d+))?[._]h(?:idden)?",
        r"(?:h|hidden|final|last|state|h_?n|h_?t)[._](?P<direction>fw|bw|fwd|bwd|forward|backward)",
        _STATE + r"(?P<position>(?:\.\d+)+)",
        r"hidden(?P<position>(?:\.\d+)+)",
        r"h_?[ntT]|hx|hxs|hid|hidden|h_(?:final|last|out)|(?:final|last)_(?:h|hidden)(?:_state)?|last|final[._]h|last[._]h",
        r"hidden_?(?:n|t|state)|hstate|(?:final|last)_?(?:output|memory|encoding)|(?:(?:final|last)_)?memory_state",
        _STATE,
        _LAYER + r"_(?:last|final|h)",
        _FINAL + _WORD + r"(?:h_?n|hx|hxs|hidden|state_h|h_t)",
        r"(?:h_?n?|hidden|state)\.h",
    ),
    "c": (
        _STATE + _WAY + r"(?:[._](?P<layer>\d+))?[._]c",
        r"(?P<direction>fw|bw|fwd|bwd|forward|backward)_(?:c|cn|c_n|cell)",
        r"c(?P<direction>f|b)",
        _STATE + r"(?:[._](?P<layer>\d+))?[._]c(?:ell)?",
        r"(?:c|cell|c_?n|c_?t)[._](?P<direction>fw|bw|fwd|bwd|forward|backward)",
        r"c_?[ntT]|cx|cxs|cell(?:_state|_memory)?s?|c_(?:final|last|out)|(?:final|last)_(?:c|cell)(?:_state)?|final[._]c|last[._]c",
        _FINAL + _WORD + r"(?:c_?n|cx|cells?|cell_state|state_c|c_t)",
        r"(?:(?:final|last)_)?carry_state",
        _LAYER + r"_c",
        r"(?:h_?n?|hidden|state)\.c",
    ),
    "initial_h": (
        r"(?:init|prev|previous|begin|start)_(?:state|hidden|h)(\.h)?",
        r"h_(?:init|initial|prev)|hx0|hidden_?0|start",
    ),
    "initial_c": (r"(?:init|prev|previous|begin|start)_(?:state\.c|cell|c)", r"c_(?:init|initial|prev)|cx0|cell_?0"),
    "inputs": (
        r"(?:embedded|embeddings?|embeds|feats|features|frames|data|batch|seqs?|sequences?|src|source)",
        _WORD + r"inputs?",
        r"x_?(?:in|batch|padded|pad)|(?:batch|padded)_x",
    ),
    "lengths": (
        r"lens?|len|ls",
        r"(?:x|seq|sequence|src|source|input|text|sent|sentence|token|word|batch|row|enc|encoder|mel|frame|audio|wav|doc"
        r"|real|true|actual|decode|caption|cap|q|query|feat|feats|feature|time|step)_?(?:lens?|lengths?)",
        r"(?:n|nb|num)_?(?:frames|steps|tokens|words|real|valid)|input_sizes?|valid_(?:lens?|lengths?)|durations?|cu_seq_?lens?",
        _WORD + r"[a-z]?(?:lens|lengths)",
    ),
    "mask": (
        r"masks|attention_mask|attn_mask|(?:seq|sequence|src|input|text|sent|valid|x|step|time)_mask|valid|is_real",
    ),
}

# Names that speak of something else: arrays that shape and value alone must not make lengths or a mask of.
OTHER_THINGS = (
    r"(?:.*_)?(?:labels?|targets?|tgts?|class(?:es)?|ids?|idx|index|indices|order|perm(?:utation)?|sort(?:ed)?_.*|argsort"
    r"|seeds?|tags?|tokens|words|actions?|rewards?|dones?|preds?|predictions?|logits?|sorted_indices|unsorted_indices"
    r"|batch_sizes|padding_mask|key_padding_mask|pad_mask|epoch|step)"
)


def is_usual(role: Role, name: str) -> bool:
    """Whether people give arrays of this role that name."""
    return any(re.fullmatch(pattern, name) for pattern in (*PLAIN_NAMES[role], *USUAL_NAMES[role]))
