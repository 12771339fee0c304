"""Pages of tables and charts, made of what evaluations measured."""
