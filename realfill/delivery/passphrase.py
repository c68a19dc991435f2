"""The passphrase of a private key, where nobody can be asked for it."""

from __future__ import annotations

import os
from pathlib import Path

from realfill.core.errors import CredentialsError

PASSPHRASE = "REALFILL_KEY_PASSPHRASE"  # name of the environment variable


def read_passphrase(key: Path) -> str:
    """Read the passphrase of a key from the environment.

    Args:
        key: The file of the key, to be named in the error.

    Raises:
        CredentialsError: It is not there.
    """
    if PASSPHRASE not in os.environ:
        raise CredentialsError("The key needs a passphrase.", f"Set {PASSPHRASE}.", key)
    return os.environ[PASSPHRASE]
