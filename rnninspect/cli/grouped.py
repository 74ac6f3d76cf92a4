"""The help of a command with many options, in groups: what is read, the layer, the cell, how to judge and to show."""

from __future__ import annotations

import click

GROUPS = ("Input", "Layer", "Cell", "Judging", "Output", "Many dumps")
OTHERS = "Input"  # of an option that names no group
ATTRIBUTE = "help_group"


class Grouped(click.Command):
    """A command whose help lists its options group by group, in the order of GROUPS."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group that has options; `--help` comes last."""
        sections: dict[str, list[tuple[str, str]]] = {name: [] for name in GROUPS}
        last = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is None:
                continue
            if "--help" in param.opts:
                last.append(record)
            else:
                sections[getattr(param, ATTRIBUTE, OTHERS)].append(record)
        for name, records in {**sections, "Help": last}.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)
