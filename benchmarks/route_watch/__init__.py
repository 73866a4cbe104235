"""The route watch measured on public series and on drawn ones, beside other detectors."""
