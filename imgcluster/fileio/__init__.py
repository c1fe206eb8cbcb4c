"""Files and what they hold: paths as text, atomic writes, locks, tables, JSON, signatures and object storage."""
