"""What a study means: reads MLflow, writes tables, figures and the report."""
