"""What the commands share: run folders, options, messages, output files."""
