"""Exercises of the page "Build your own diffusion model"."""

from ddpm_course.exercises.checker import Exercise

EXERCISES: tuple[Exercise, ...] = ()
