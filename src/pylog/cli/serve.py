"""``pylog serve``: run a broker in the foreground.

Exit codes: 0 stopped by a signal; 1 unforeseen failure; 2 wrong setting or command line; 3 the
address can't be listened on; 4 the data folder is in use; 5 the data folder can't be used.
"""

from __future__ import annotations

import click

LEVELS = ("debug", "info", "warning", "error", "critical")


@click.command("serve")
@click.option(
    "-d",
    "--data-dir",
    envvar="PYLOG_DATA_DIR",
    metavar="DIR[,DIR]",
    help="Default: ./pylog-data. The first has the metadata.",
)
@click.option(
    "-l",
    "--listen",
    envvar="PYLOG_LISTEN",
    metavar="HOST:PORT",
    help="Default: 127.0.0.1:9092; port 0 takes a free one.",
)
@click.option(
    "-s", "--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Any setting, repeatable."
)
@click.option(
    "-c", "--config", "file", envvar="PYLOG_CONFIG", metavar="FILE", help="Settings in TOML."
)
@click.option("--log-level", envvar="PYLOG_LOG_LEVEL", type=click.Choice(LEVELS), default="info")
def command(
    data_dir: str | None,
    listen: str | None,
    pairs: tuple[str, ...],
    file: str | None,
    log_level: str,
) -> None:
    """Run a broker in the foreground until SIGTERM or SIGINT.

    Settings have Kafka's names. The command line wins over the environment
    (PYLOG_LOG_SEGMENT_BYTES for log.segment.bytes), that over the file.
    """
    from pylog.config import ConfigError
    from pylog.server import app

    try:
        config = app.load_config(data_dir=data_dir, listen=listen, file=file, pairs=pairs)
    except ConfigError as error:
        raise SystemExit(app.fail(app.Exit.WRONG_SETTING, str(error))) from None
    raise SystemExit(app.serve(config, log_level))
