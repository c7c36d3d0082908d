"""The localhost API: who may call what, and how requests and answers look."""
