"""Events outside the database: JSON, CloudEvents, files and imports."""
