"""Forecasts of more series than memory holds: Parquet in, Parquet out, in order, on one process or several."""

from .forecasting import FleetReport, forecast_fleet


__all__ = ["FleetReport", "forecast_fleet"]
