"""What `benchmarks/reproduce.py` does: plan and run, or report."""

from pathlib import Path

from .cells import Places
from .matrix import load_matrix
from .plan import choose, make_plan
from .report import write_report
from .results import load_results
from .running import Runner, duration
from .settings import ReproduceSettings


def reproduce(settings: ReproduceSettings, scripts: Path) -> bool:
    """Print the plan and, without `dry_run`, run it; whether no cell failed.

    Args:
        scripts: folder of `distill.py` and `train_teacher.py`.

    Raises:
        InputError: matrix, data or earlier results do not fit.
        Terminated: stopped by SIGTERM or Ctrl-C.
    """
    matrix = load_matrix(settings.matrix)
    results = Path(settings.results_dir) / matrix.name
    places = Places(scripts, Path(settings.runs_dir), results, settings.data_dir)
    plan = make_plan(choose(matrix.cells, settings.only), places)
    print(plan.table(settings.lanes), flush=True)
    if settings.dry_run:
        print(f"\n{plan.commands()}")
        return True
    runner = Runner(
        matrix.cells,
        places,
        plan.estimator,
        lanes=settings.lanes,
        threads=settings.threads,
        max_seconds=None if settings.max_hours is None else 3600 * settings.max_hours,
        say=lambda line: print(line, flush=True),
    )
    went_well = runner.run(plan.cells)
    left = plan.to_do
    if runner.too_long:
        seconds = sum(plan.estimator.seconds(step) for step in left)
        print(f"{len(runner.too_long)} cells were not begun, to end within --max_hours; left: {duration(seconds)}")
    for name, reason in runner.failed.items():
        print(f"failed: {name} ({reason})")
    return went_well


def report(settings: ReproduceSettings) -> str:
    """Write the document of the matrix's results; a line about it."""
    name = Path(settings.matrix).stem
    results = load_results(Path(settings.results_dir) / name)
    path = write_report(
        results, Path(settings.docs_dir), command=f"python benchmarks/reproduce.py --matrix {settings.matrix} --report"
    )
    return f"{len(results)} cells: {path}"
