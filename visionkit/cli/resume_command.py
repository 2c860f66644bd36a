"""`visionkit resume RUN`: go on after a crash, a kill or Ctrl-C."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from visionkit.cli.common_options import DataOption, RunArgument, SettingsOption

HELP = (
    "Go on with a run after a crash, a kill or Ctrl-C, at the batch that was saved last.\n\n"
    "The run's own settings hold. On a CPU the finished run is the same, to the last bit, as if it had never "
    "been broken off. A run that is done is left as it is."
)


def resume(
    run: RunArgument,
    force: Annotated[
        bool,
        typer.Option("--force", help="Go on although data, recipe, packages or visionkit have changed."),
    ] = False,
    data: DataOption = None,
    gpus: Annotated[
        int | None,
        typer.Option(
            metavar="INTEGER",
            min=1,
            help="Processes that train together from now on. Default: as many as before.",
            show_default=False,
        ),
    ] = None,
    on_nan: Annotated[
        str | None,
        typer.Option(
            "--on-nan",
            metavar="stop|skip",
            help="From now on, when the loss is no number: stop, or leave the batch out.",
            show_default=False,
        ),
    ] = None,
    settings: SettingsOption = None,
) -> None:
    """Go on with a run; see `HELP`."""
    from visionkit.cli.progress import terminal_progress, terminal_reporter, wait_message
    from visionkit.cli.recipe_commands import print_done, start_together
    from visionkit.cli.reproduce_command import print_differences
    from visionkit.distributed.started import follows, started_here, started_together
    from visionkit.runs import find_run
    from visionkit.settings_file import SettingsFile

    file = SettingsFile.read(settings)
    found = find_run(run, file.paths().runs)
    if found.status == "done":
        typer.echo(f"{found.path}: the run is done; there is nothing left to train.")
        return
    recorded = found.info.get("settings", {})
    started = started_here() if started_together() > 1 else recorded.get("gpus", 1)
    count = gpus or started
    device = str(recorded.get("device", "auto"))
    start_together(count, device.partition(":")[0] if count > 1 else device)
    with wait_message("loading fastai …"):
        from visionkit.training import resuming

    with terminal_progress(stderr=True) as progress:
        resumption = resuming.plan_resumption(found, data, file.store(progress), progress.note)
    if resumption.differences:
        print_differences(resumption.differences)
    changes: dict[str, Any] = {"gpus": count, **({} if on_nan is None else {"on_nan": on_nan})}
    with terminal_reporter() as reporter:
        done = resuming.resume(
            resumption, changes=changes, store=file.store(reporter), reporter=reporter, force=force
        )
    if not follows():
        print_done(done)
