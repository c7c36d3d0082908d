"""The commands of cardctl, by subject: each module shows what its commands may be told and what they do.

A module's ``COMMANDS`` at its end names them; ``cardd.cli.cardctl`` says which module has which.
"""
