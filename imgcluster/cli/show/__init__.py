"""What is printed of each command's answer for people; where `--json` is given none of it is."""
