"""`pointsman config`: every setting and where it comes from; reading one, and changing it."""

from __future__ import annotations

import click

from ..context import debug_option

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_project = click.option(
    "--project", is_flag=True, help="In the project's pointsman.toml, instead of the user's own file."
)


@click.group(invoke_without_command=True)
@_json
@debug_option
@click.pass_context
def config(ctx: click.Context, as_json: bool) -> None:
    """Show settings, and change them. Without a command: every setting that is in force, and where it comes from.

    A secret is shown as ***. A setting is named section.setting, providers.NAME.setting, limits."NAME".setting,
    or prices."NAME".setting.

    \b
    Examples:
      pointsman config
      pointsman config set engine.deadline 60
      pointsman config set --project routing.targets sambanova/gpt-oss-120b,lan/qwen3-32b
      pointsman config set providers.lan.plugin openai-compatible
      pointsman config set providers.lan.base_url http://10.0.0.7:8000/v1
    """  # noqa: D301  (click wants the backspace)
    if ctx.invoked_subcommand is None:
        from .show import show_settings

        show_settings(as_json=as_json)
    elif as_json:
        raise click.UsageError(f"--json stands after {ctx.invoked_subcommand}", ctx)


@config.command()
@_json
@debug_option
def show(as_json: bool) -> None:
    """Show every setting that is in force, with where it comes from.

    Example: pointsman config show --json | jq '.settings[] | select(.origin.kind != "default")'
    """
    from .show import show_settings

    show_settings(as_json=as_json)


@config.command()
@click.argument("key", metavar="KEY")
@_json
@debug_option
def get(key: str, as_json: bool) -> None:
    """Print the value of KEY that is in force, or nothing where none is.

    The values of a list stand between commas, as set takes them.

    Example: pointsman config get engine.deadline
    """
    from .show import show_setting

    show_setting(key, as_json=as_json)


@config.command("set")
@click.argument("key", metavar="KEY")
@click.argument("value")
@_project
@_json
@debug_option
def set_(key: str, value: str, project: bool, as_json: bool) -> None:
    """Write VALUE for KEY into your file, and leave the rest of it as it is.

    The whole configuration is checked before anything is written. The values of a list stand between commas.
    A secret is stored by pointsman keys set.

    \b
    Examples:
      pointsman config set engine.stall 30
      pointsman config set routing.targets sambanova/gpt-oss-120b,lan/qwen3-32b
      pointsman config set 'limits."sambanova/gpt-oss-120b".rpm' 60
      pointsman config set 'prices."lan/qwen3-32b"' '{ input = 0.20, output = 0.50 }'
      pointsman config set providers.ollama.keep_alive -- -1    (a value that begins with -)
    """  # noqa: D301  (click wants the backspace)
    from .change import set_setting

    set_setting(key, value, project=project, as_json=as_json)


@config.command()
@click.argument("key", metavar="KEY")
@_project
@_json
@debug_option
def unset(key: str, project: bool, as_json: bool) -> None:
    """Remove KEY from your file. What another place says then holds, else the default.

    Examples: pointsman config unset engine.stall; pointsman config unset providers.lan
    """
    from .change import unset_setting

    unset_setting(key, project=project, as_json=as_json)


@config.command()
@_project
@_json
@debug_option
def edit(project: bool, as_json: bool) -> None:
    """Open your file in the editor that VISUAL or EDITOR names.

    It is checked when the editor is left. What is wrong then is said and may be edited again; it is not put in force,
    but kept beside the file.

    Example: EDITOR=nano pointsman config edit
    """
    from .edit import edit_settings

    edit_settings(project=project, as_json=as_json)


@config.command()
@_project
@_json
@debug_option
def path(project: bool, as_json: bool) -> None:
    """Print where your file is, whether it is there or not. With --json, every file that settings are read from.

    Example: cat "$(pointsman config path)"
    """
    from .show import show_paths

    show_paths(project=project, as_json=as_json)
