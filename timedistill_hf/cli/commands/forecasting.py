"""What a saved model does."""

from ...settings.outputs import PlotSettings
from ...settings.run import DataSettings, EvaluateSettings
from ...settings.tables import BacktestSettings, ExportSettings, FleetSettings, ForecastSettings
from ..parsing import parse


def forecast(about: str) -> None:
    (settings,) = parse((ForecastSettings,), description=about)

    from ...forecasting.forecaster import forecast_file
    from ..logging import set_up_logging

    set_up_logging()
    print(forecast_file(settings))


def fleet(about: str) -> None:
    (settings,) = parse((FleetSettings,), description=about)

    from accelerate import PartialState

    from ...forecasting.fleet.forecasting import forecast_fleet_file
    from ..logging import is_main_process, set_up_logging

    set_up_logging()
    line = forecast_fleet_file(settings)
    if is_main_process():
        print(line)
    PartialState().destroy_process_group()


def backtest(about: str) -> None:
    (settings,) = parse((BacktestSettings,), description=about)

    from ...forecasting.backtest import backtest_file
    from ..logging import set_up_logging

    set_up_logging()
    print(backtest_file(settings))


def evaluate(about: str) -> None:
    data_settings, settings = parse((DataSettings, EvaluateSettings), description=about)

    from ...forecasting.evaluate import evaluate_saved_model
    from ..logging import set_up_logging

    set_up_logging()
    results = evaluate_saved_model(data_settings, settings)
    note = f" ({results.data.note})" if results.data.note else ""
    print(f"\n{settings.model} on {results.data.name}{note}, all test windows, MSE and MAE of standardised values\n")
    print(results.table())
    units = results.models[results.other["role"]].units
    print(
        f"\nIn the data's units: MAE {units.mae:.4g}, RMSE {units.rmse:.4g}, sMAPE {units.smape:.2f} %, "
        f"MASE {units.mase:.3f} (season of {units.season} steps)"
    )


def export(about: str) -> None:
    (settings,) = parse((ExportSettings,), description=about)

    from ...forecasting.onnx import export_file
    from ..logging import set_up_logging

    set_up_logging()
    print(export_file(settings.model, settings.output, revision=settings.revision, units=settings.units))


def plot(about: str) -> None:
    (settings,) = parse((PlotSettings,), description=about)

    from ...plots.run import replot
    from ..logging import set_up_logging

    set_up_logging()
    for path in replot(settings):
        print(path)
