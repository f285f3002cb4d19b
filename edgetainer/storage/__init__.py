"""The database: tables, migrations and one file of SQL per noun."""
