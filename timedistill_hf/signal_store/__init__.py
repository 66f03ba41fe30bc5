"""A teacher's signal kept on disk, and tables of forecasts, which are such a signal."""
