"""The `pointsman` command: its verbs, ours and those of other packages, found without importing them."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import click

from .context import debug_option, debugging, options_of, remembered, told
from .exits import Exit

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

GROUP = "pointsman.commands"

VERBS = {
    "batch": ("Ask every line of a file, and resume after a crash.", "pointsman_cli.batch.command:batch"),
    "chat": ("Stream an answer.", "pointsman_cli.chat.command:chat"),
    "completion": (
        "Complete verbs, providers and models with the Tab key.",
        "pointsman_cli.completion.command:completion",
    ),
    "config": ("Every setting and where it comes from; change one.", "pointsman_cli.settings.command:config"),
    "costs": ("What calls cost, by day, model, tag and more.", "pointsman_cli.costs.command:costs"),
    "demo": ("See it work, without a key and without a network.", "pointsman_cli.demo.command:demo"),
    "doctor": ("Check the whole setup, and say what to do next.", "pointsman_cli.doctor.command:doctor"),
    "keys": ("Store, list, test and remove keys.", "pointsman_cli.keys.command:keys"),
    "models": ("Models of the ready providers, with context and price.", "pointsman_cli.models.command:models"),
    "plugins": ("What is installed, and whether it loads; begin one.", "pointsman_cli.plugins.command:plugins"),
    "prices": ("What a model costs, who says so and since when.", "pointsman_cli.prices.command:prices"),
    "providers": ("Who can answer, and who cannot and why.", "pointsman_cli.providers.command:providers"),
    "route": ("Where a prompt would go, and why; nobody is asked.", "pointsman_cli.route.command:route"),
}
"""Name -> the line that ``--help`` shows, and where the click command is."""


class Verbs(click.Group):
    """Imports a verb when it is run, and turns whatever it raises into a message and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*VERBS, *_strangers()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in VERBS:
            found: click.Command | None = _imported(VERBS[cmd_name][1])
        else:
            from .strangers import command

            found = command(cmd_name)
        if found is not None and "_POINTSMAN_COMPLETE" in os.environ:
            from .completion.completers import equip

            equip(found)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not near:
                raise
            raise click.UsageError(f"{error.format_message()} Did you mean {near[0]!r}?", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Ours with their help lines; of others only metadata is read, which has no such line."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (line, _) in sorted(VERBS.items())])
        if strangers := _strangers():
            with formatter.section("Commands of other packages"):
                formatter.write_dl([(name, f"from {origin}") for name, origin in sorted(strangers.items())])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code.value), code.meaning) for code in Exit])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """As click does it, but without importing every verb."""
        from click.shell_completion import CompletionItem

        lines = {name: line for name, (line, _) in VERBS.items()} | {
            name: f"from {o}" for name, o in _strangers().items()
        }
        verbs = [CompletionItem(name, help=lines[name]) for name in sorted(lines) if name.startswith(incomplete)]
        return verbs + click.Command.shell_complete(self, ctx, incomplete)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        try:
            ctx = super().make_context(info_name, args, parent, **extra)
        except KeyboardInterrupt:  # Which click would call "Aborted!", with another code.
            raise click.exceptions.Exit(Exit.INTERRUPTED) from None
        except click.ClickException as error:
            raise self._fitted(error) from None
        if ctx.obj is None:
            from .host import host

            ctx.obj = host()
        return ctx

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            raise self._fitted(error) from None
        except (click.exceptions.Exit, click.Abort):
            raise
        except BaseException as error:
            self._end(ctx, error)

    @staticmethod
    def _fitted(error: click.ClickException) -> click.ClickException:
        """`error`, which on a terminal is shown broken between words, as the errors of ours are."""
        from .listing import wrapped
        from .terminal import is_terminal

        if is_terminal(sys.stderr):
            text = wrapped(f"Error: {error.format_message()}", "", "  ").removeprefix("Error: ")
            setattr(error, "format_message", lambda: text)  # noqa: B010  (which click's own kinds make up anew)
        return error

    @staticmethod
    def _end(ctx: click.Context, error: BaseException) -> NoReturn:
        if isinstance(error, SystemExit | GeneratorExit):
            raise error
        try:
            from .report import COMMAND, OTHER, alone, known_to, report
            from .terminal import abandon_stdout
        except Exception:  # Of a package whose import was interrupted half may be left, which does not import again.
            if not isinstance(error, KeyboardInterrupt):
                raise
            ctx.exit(Exit.INTERRUPTED)
        error = alone(error)
        if isinstance(error, BrokenPipeError):
            abandon_stdout()
            ctx.exit(Exit.FAILURE)
        means = COMMAND if ctx.invoked_subcommand in VERBS else OTHER
        debug, roster, options = debugging(ctx), remembered(ctx) or known_to(error), options_of(ctx)
        ctx.exit(report(error, debug=debug, roster=roster, told=told(ctx), means=means, options=options))


def _strangers() -> dict[str, str]:
    """Verbs of other packages, each with the distribution it comes from. Ours cannot be taken over."""
    if not _somebody_names(GROUP):
        return {}
    from importlib.metadata import entry_points

    return {
        entry.name: f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
        for entry in entry_points(group=GROUP)
        if entry.name not in VERBS
    }


def _somebody_names(group: str) -> bool:
    """Whether any package that is installed has entry points of this group, as far as folders tell.

    `importlib.metadata` would say it too, but its import takes longer than all the rest of ``--help``.
    """
    for place in sys.path:
        if os.path.isfile(place):
            return True  # An archive. Who looks into it is not in a hurry.
        with suppress(OSError):
            for name in os.listdir(place or "."):
                if name.endswith((".dist-info", ".egg-info")) and _mentions(os.path.join(place, name), group):
                    return True
    return False


def _mentions(info: str, text: str) -> bool:
    with suppress(OSError), open(os.path.join(info, "entry_points.txt"), "rb") as file:
        return text.encode() in file.read()
    return False


def _imported(entry: str) -> click.Command:
    from importlib import import_module

    module, _, name = entry.partition(":")
    return getattr(import_module(module), name)


def _show_version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        python = ".".join(map(str, sys.version_info[:3]))
        click.echo(f"pointsman {version('pointsman')} (pointsman-cli {version('pointsman-cli')}, Python {python})")
        ctx.exit()


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_show_version, help="Show versions."
)
@debug_option
def cli() -> None:
    """Streams prompts through LLM providers, and keeps the promise when they fail.

    Data goes to stdout, everything else to stderr.
    """
