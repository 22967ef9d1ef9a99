"""PostgreSQL, 14 or later: the provider ``postgresql``, in `provider`. Nothing here needs the driver to be imported."""
