"""The files in deploy/, with the servers that they are for."""
