"""``cardctl doctor``: one small function a check, a sentence and a remedy for each of its findings in both languages.

To add a check: write its function beside its like, name it in ``checks.CHECKS``, and put its title, its findings'
sentences and their remedies into ``cardd/i18n/*/doctor.py``.
"""
