"""The `pointsman` command.

A verb is a module of this package, or of another one that declares it through `pointsman_commands`; none is imported
before it is run. Modules that define verbs import click and the standard library only: what needs an event loop,
pydantic or Rich is imported inside the function that needs it.
"""
