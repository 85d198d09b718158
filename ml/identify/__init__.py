"""The command `naturewatch identify`: from files, folders and addresses to answers on the terminal and in files."""
