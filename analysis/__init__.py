"""Analysis of a recorded study: reads MLflow, writes tables, figures and the report.

`results.analyse` computes everything once; `report` and `figures` only format it. Nothing here
imports Ray, Optuna or torch. Begin with `report.build`.
"""
