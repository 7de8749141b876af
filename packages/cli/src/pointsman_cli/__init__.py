"""The `pointsman` command.

A verb is the `command` of a package in this one, or of another distribution that declares it through
`pointsman_commands`; none is imported before it is run. Modules named `command` import click and the standard library
only: what needs an event loop, pydantic or Rich is imported inside the function that needs it.
"""
