"""Anomalies that neither keys nor references reveal: probable double charges, bursts and outliers."""
