"""The command line: parses, forwards to the pipeline, prints. Only here are Typer and Rich known."""
