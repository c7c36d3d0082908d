"""The commands of cardctl, one module each: ``arguments`` declares, ``run`` does."""
