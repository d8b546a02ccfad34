"""Pages and plots made from traces: one self-contained HTML page that shows a run, and charts of results."""
