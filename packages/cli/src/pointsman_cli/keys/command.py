"""`pointsman keys`: storing, listing, testing and removing keys, none of which is ever shown."""

from __future__ import annotations

import click

from ..context import debug_option

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_setting = click.option("--setting", metavar="SETTING", help="Which key, of a provider with several.")


@click.group()
@debug_option
def keys() -> None:
    """Keep keys in a file that only you can read, and see which provider has one, and from where.

    A key in POINTSMAN_<PROVIDER>_API_KEY goes first, then one in the vendor's own variable, then one that is stored
    here. Only for a second provider on one plugin, one that is stored here goes before the vendor's own variable.

    \b
    Examples:
      pointsman keys set sambanova
      pass show sambanova | pointsman keys set sambanova
      pointsman keys list
    """  # noqa: D301  (click wants the backspace)


@keys.command("set")
@click.argument("provider", metavar="PROVIDER")
@click.argument("surplus", nargs=-1, metavar="")
@_setting
@_json
@debug_option
def set_(provider: str, surplus: tuple[str, ...], setting: str | None, as_json: bool) -> None:
    """Store the key of PROVIDER. It is asked for, and not shown as you type, or read from a pipe.

    Example: pointsman keys set sambanova < key.txt
    """
    if surplus:  # Which click would repeat in its complaint.
        raise click.UsageError(
            "a key is never an argument: others see those in the list of processes, and your shell keeps them in its "
            "history, from which you should remove it now. Leave it out: it is asked for, or read from a pipe"
        )
    from .store import set_key

    set_key(provider, setting, as_json=as_json)


@keys.command("list")
@_json
@debug_option
def list_(as_json: bool) -> None:
    """Show which provider has a key, and where it comes from.

    Example: pointsman keys list --json | jq -r '.keys[] | select(.origin) | .provider'
    """
    from .overview import list_keys

    list_keys(as_json=as_json)


@keys.command()
@click.argument("provider", metavar="PROVIDER")
@_setting
@_json
@debug_option
def rm(provider: str, setting: str | None, as_json: bool) -> None:
    """Remove every stored key of PROVIDER, or the one of SETTING.

    Example: pointsman keys rm sambanova
    """
    from .store import remove_key

    remove_key(provider, setting, as_json=as_json)


@keys.command()
@click.argument("providers", nargs=-1, metavar="[PROVIDER]...")
@_json
@debug_option
def test(providers: tuple[str, ...], as_json: bool) -> None:
    """Ask the PROVIDERS named, else each that has a key, whether they take it. No tokens are spent.

    Exits with 4 if a key is refused or missing, 3 if a provider is down. A vendor without a free way to ask leaves it
    unknown, which is no failure.

    Example: pointsman keys test sambanova
    """
    from .probe import try_keys

    try_keys(providers, as_json=as_json)


@keys.command()
@_json
@debug_option
def path(as_json: bool) -> None:
    """Print where the keys are kept, whether the file is there or not.

    Example: ls -l "$(pointsman keys path)"
    """
    from ..settings.show import show_keys_path

    show_keys_path(as_json=as_json)
