"""What a saved model does: forecasts, backtests, fleets and exports."""
