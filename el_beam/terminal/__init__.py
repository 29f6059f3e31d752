"""What people see of a command: lines, tables, progress."""
