"""Exercises of the page "Find the bug"."""

from ddpm_course.exercises.checker import Exercise

EXERCISES: tuple[Exercise, ...] = ()
