"""Each failure of docs/runbook.md is brought about, and what the page says is compared with what is printed."""
