"""PDF files, which only ``cardd.formats.pdf.host`` reads: in a process of its own, with a limit on time and memory.

A PDF is a program for whoever reads it: lengths, cycles and compression that grow without end. pyHanko guards against
much of that, and a process that the system limits against the rest; the daemon never loads pyHanko, lxml or Pillow.
"""
