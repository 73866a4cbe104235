"""The anomaly detector measured on public series: the Numenta Anomaly Benchmark and labelled cloud latencies."""
