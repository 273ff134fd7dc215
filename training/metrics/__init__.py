"""How well scores do: ranking, calibration, what filtering gains, detection."""
