"""Tables, settings and estimators that several test files share."""
