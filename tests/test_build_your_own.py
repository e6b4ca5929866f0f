"""The capstone runs on the student's own pieces, in any right form."""

import importlib.util
import inspect
import re

import matplotlib as mpl
import nbformat
import pytest
import torch
from accepted_pieces import PIECES
from witnesses import BOOK, PAGES

from ddpm_course.exercises import build, check

SHORT = "STEPS, BATCH, RATE = 3, 4"


def run(answers):
    """What the page's open cells bind, with these answers and a short training."""
    names = {"__name__": "__main__"}
    for cell in nbformat.read(PAGES["B"], as_version=4).cells:
        tags = set(cell.metadata.get("tags", []))
        if "exercise-check" in tags:
            ((number, answer),) = re.findall(r'use\("(B\.\d+)", (\w+)\)', cell.source)
            names[answer] = answers[number]
        drawn_or_solved = tags & {"hide-input", "hide-cell", "exercise-solution"}
        if cell.cell_type == "code" and (
            cell.id in ("imports", "unet") or not drawn_or_solved
        ):
            exec(re.sub(r"STEPS, BATCH, RATE = \d+, \d+", SHORT, cell.source), names)
        if cell.id == "fast":
            return names
    raise AssertionError("there is no cell fast")


@pytest.fixture(autouse=True)
def own_style():
    """The page's style for figures does not outlive the test."""
    with mpl.rc_context():
        yield


@pytest.mark.slow
@pytest.mark.parametrize("form", range(5))
def test_right_answers_in_any_form_make_a_program(form, capsys):
    """Later cells can go on with whatever the check accepts."""
    answers = {number: forms[form] for number, forms in PIECES.items()}
    names = run(answers)
    said = capsys.readouterr().out
    assert said.count("Going on with your own.") == len(PIECES)
    assert "Going on with ours" not in said
    assert names["sample"] is answers["B.11"]
    for pictures in (names["clothes"], names["fast"]):
        assert pictures.shape == (24, 1, 28, 28)
        assert pictures.isfinite().all()


def test_the_first_picture_of_the_page_is_its_last_result():
    """``python book/build_picture.py`` copies it."""
    spec = importlib.util.spec_from_file_location("page", BOOK / "build_picture.py")
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    assert page.PICTURE.read_bytes() == page.drawn()


class OpenBias(build.ResidualBlock):
    """Its conv_2 has zeros for weights alone."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        torch.nn.init.ones_(self.conv_2.bias)


class NoZeros(build.ResidualBlock):
    """Its conv_2 starts as PyTorch makes it, after another draw."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        torch.rand(1)
        self.conv_2.reset_parameters()


def step_with_gradient(network, optimizer, *batch):
    build.train_step(network, optimizer, *batch)
    return build.noise_loss(network, *batch)


def losses_as_tensors(*arguments):
    average, losses = build.train(*arguments)
    return average, [torch.tensor(loss, requires_grad=True) for loss in losses]


def average_that_is_the_network(network, *others):
    build.train(network, *others)
    return network, []


def batch_seeded_inside(images, T, size, rng):
    return build.draw_batch(images, T, size, rng.manual_seed(0))


def batch_in_float(*arguments):
    x0, t, eps = build.draw_batch(*arguments)
    return x0, t.float(), eps


def batch_of_all_images(images, *others):
    return images, *build.draw_batch(images, *others)[1:]


def sample_by(noise):
    def run(network, alpha_bar, x, rng):
        return build.sample(network, alpha_bar, x, rng) + noise(x)

    return run


@pytest.mark.parametrize(
    ("number", "answer", "sentence"),
    [
        ("B.1", lambda *a: build.make_alpha_bar(*a).tolist(), "need a tensor"),
        ("B.2", lambda *a: build.q_sample(*a).numpy(), "need a tensor"),
        ("B.6", lambda *a: build.noise_loss(*a).detach(), "no gradient"),
        ("B.6", lambda *a: build.noise_loss(*a).item(), "need a tensor"),
        (
            "B.6",
            lambda net, a, x0, t, eps: net(build.q_sample(a, x0, t, eps), t[0]),
            "a time for each image",
        ),
        ("B.4", lambda i, o, e: torch.nn.Conv2d(i, o, 3), "has no norm_1.weight"),
        ("B.4", OpenBias, "set the weight and the bias of conv_2 to zero"),
        ("B.4", NoZeros, "set the weight and the bias of conv_2 to zero"),
        ("B.5", batch_seeded_inside, "Don't seed rng inside"),
        ("B.5", batch_in_float, "Your t has dtype torch.float32"),
        ("B.5", batch_of_all_images, "Your x0 has shape (5, 1, 1, 2), expected (1000"),
        ("B.5", lambda *a: build.draw_batch(*a[:3], None), "Pass generator=rng"),
        ("B.7", step_with_gradient, "Return a plain number, loss.item()"),
        ("B.9", losses_as_tensors, "with loss.item()"),
        ("B.9", average_that_is_the_network, "copy.deepcopy(network)"),
        ("B.11", sample_by(torch.randn_like), "Pass generator=rng to every draw"),
        ("B.11", sample_by(lambda x: torch.randn(x.shape)), "Pass generator=rng"),
        ("B.11", inspect.unwrap(build.sample), "@torch.no_grad()"),
        ("B.12", inspect.unwrap(build.ddim), "@torch.no_grad()"),
        ("B.5", lambda *a: build.draw_batch(*a)[:2], "three things: x0, t, eps"),
        ("B.9", lambda *a: build.train(*a)[0], "two things: the averaged network"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_a_piece_lacks_is_said(number, answer, sentence, capsys):
    check(number, answer)
    assert sentence in " ".join(capsys.readouterr().out.split())
