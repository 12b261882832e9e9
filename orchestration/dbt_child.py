"""`wattledger-dbt`: dbt that ends with the process that started it.

When a run is killed, the kernel drops its lock on the home. A dbt left behind would go on writing the warehouse of a
home that is free to the next run.
"""

import os
import sys
import threading
import time
from typing import Final

PARENT_VARIABLE: Final = "WATTLEDGER_DBT_PARENT"
_POLL_SECONDS: Final = 0.2


def main() -> None:
    """Run dbt with this process's arguments."""
    parent = int(os.environ.get(PARENT_VARIABLE) or os.getppid())
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    from dbt.cli.main import cli  # after the watch has begun: importing dbt takes seconds

    sys.argv[0] = "dbt"
    cli()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    # Not sys.exit: nothing of this process may be written any more.
    os._exit(1)


if __name__ == "__main__":
    main()
