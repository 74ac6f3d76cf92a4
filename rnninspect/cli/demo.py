"""`rnninspect demo`: plants a mistake in a worked example and shows what the tool says."""

from __future__ import annotations

from typing import Any

import click

from rnninspect import rules
from rnninspect.cli import options, output


@click.command("demo", short_help="Plant a mistake in a worked example and look.")
@click.argument("rule", required=False)
@options.report_options
@options.output_options
def command(rule: str | None, **given: Any) -> int:
    """Plant RULE's mistake in the packaged worked example that suits it, and show what rnninspect says.

    Without RULE the correct example is shown.

    \b
    rnninspect demo lengths-ignored
    """
    from rnninspect import api, examples
    from rnninspect.cli.inputs import judging

    chosen = None if rule is None else rules.get(rule)
    case = examples.case("single" if chosen is None else chosen.example)
    if chosen is not None:
        case = chosen.plant(case)
        output.note(f"planted in the {chosen.example} example: {chosen.summary}", given["quiet"])
    report = api.inspect_case(case, "demo", source={"example": rule or "correct"}, **judging(given))
    output.show(report, given)
    return 0 if given["exit_zero"] or chosen is not None else output.exit_code(report, given)
