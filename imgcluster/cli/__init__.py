"""The command line: parses, forwards to the commands, prints. Only here are Typer and Rich known."""
