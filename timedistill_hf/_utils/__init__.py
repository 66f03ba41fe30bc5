"""What every layer may use: errors, files, locks and what the Hub says; nothing of the package is imported here."""
