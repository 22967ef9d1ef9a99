"""MariaDB: the provider ``mysql``, in `provider`. Nothing here needs the driver to be imported."""
