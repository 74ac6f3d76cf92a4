"""`rnninspect explain`: what a rule means, why the mistake happens and how to mend it."""

from __future__ import annotations

import click

from rnninspect import conventions, rules
from rnninspect.rules.base import Rule


@click.command("explain", short_help="What a finding means, and how to mend it.")
@click.argument("rule", required=False)
@click.option("--convention", metavar="NAME", help="The fix for this framework alone.")
def command(rule: str | None, convention: str | None) -> int:
    """Explain RULE: the mistake, why it happens, and the code that mends it; without RULE, one line for each.

    \b
    rnninspect explain lengths-ignored
    rnninspect explain rows-permuted --convention torch
    """
    if rule is None:
        width = max(map(len, rules.rules()))
        for name, known in rules.rules().items():
            click.echo(f"{name:{width}}  {known.severity:7}  {known.summary}")
        return 0
    click.echo(text(rules.get(rule), convention))
    return 0


def text(rule: Rule, convention: str | None) -> str:
    """The explanation of one rule."""
    import textwrap

    chosen = conventions.conventions().values() if convention is None else [conventions.get(convention)]
    lines = [f"{rule.name} ({rule.severity}): {rule.summary}", "", *textwrap.wrap(rule.why, 88), ""]
    lines.append(f"Evidence it needs: {', '.join(rule.needs)}.")
    fixes = [(own.name, own.fixes[rule.fix]) for own in chosen if rule.fix in own.fixes]
    if fixes:
        lines += ["", "How to mend it:"]
    for name, fix in fixes:
        lines.append(f"  {name}")
        lines += [f"    {line}" for line in fix.splitlines()]
    lines += ["", f"See it happen: rnninspect demo {rule.name}"]
    return "\n".join(lines)
