"""The one exception that is meant for the user's eyes."""


class UserError(Exception):
    """Something the user can put right: names what was wrong, where, and what to do.

    The command line prints the message alone, without a traceback, and ends with exit status 2.
    """
