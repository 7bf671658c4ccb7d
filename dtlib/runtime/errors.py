"""What a user can get wrong; each message is one line."""


class ConfigError(ValueError):
    """A setting that cannot be used; the message is one line that names field, value and rule."""


class FileError(ValueError):
    """A file or folder that cannot be used; the message is one line that names it."""
