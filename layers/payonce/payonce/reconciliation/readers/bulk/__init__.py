"""CSV files read by the engine in one pass, where every row has the ordinary form. See docs/adr/0023-csv-in-bulk.md.

The readers stay the one specification. What is here accepts less than they do and makes the same of it, or declines:
then the reader reads the file as if nobody had tried, and says what is wrong with it, line and field.
"""
