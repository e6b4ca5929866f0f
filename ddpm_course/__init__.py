"""Companion package of the DDPM course, about one module a chapter.

Nothing is imported here, so that ``ddpm_course.equations`` (SymPy only) can be
read without torch: write ``from ddpm_course.forward import q_sample``.
"""

__version__ = "0.1.0"
