"""The symbols of the book: their LaTeX, their SymPy form and their meaning."""

from dataclasses import dataclass

import sympy as sp


@dataclass(frozen=True)
class Notation:
    """One symbol of the book: its LaTeX, its SymPy form, what it means."""

    latex: str
    symbol: sp.Basic
    meaning: str


#: Every symbol that stands in a labelled equation, by its Python name.
NOTATION: dict[str, Notation] = {}


def _symbol(name: str, latex: str, meaning: str, **assumptions: bool) -> sp.Symbol:
    symbol = sp.Symbol(latex, **assumptions)
    NOTATION[name] = Notation(latex, symbol, meaning)
    return symbol


def _function(
    name: str, latex: str, index: sp.Symbol, meaning: str
) -> type[sp.Function]:
    """A quantity with a running index; ``latex`` shows it at that index."""
    function = sp.Function(name, positive=True)
    NOTATION[name] = Notation(latex, function(index), meaning)
    return function


# Time
t = _symbol(
    "t", "t", "time: 0 is the clean image, T the noise", integer=True, positive=True
)
T = _symbol("T", "T", "number of steps", integer=True, positive=True)
s = _symbol(
    "s", "s", "an earlier time, or a running index", integer=True, positive=True
)

# Schedule
beta_t = _symbol("beta_t", r"\beta_t", "variance of the noise of step t", positive=True)
beta_1 = _symbol("beta_1", r"\beta_1", "variance of the first step", positive=True)
beta_T = _symbol("beta_T", r"\beta_T", "variance of the last step", positive=True)
alpha_t = _symbol(
    "alpha_t", r"\alpha_t", "share of the variance kept by step t", positive=True
)
alpha_prev = _symbol(
    "alpha_prev", r"\alpha_{t-1}", "the same, one step earlier", positive=True
)
abar_t = _symbol(
    "abar_t", r"\bar\alpha_t", "share of the variance kept up to t", positive=True
)
abar_prev = _symbol(
    "abar_prev", r"\bar\alpha_{t-1}", "the same, one step earlier", positive=True
)
abar_T = _symbol(
    "abar_T", r"\bar\alpha_T", "share of the variance kept to the end", positive=True
)
snr_t = _symbol("snr_t", r"\mathrm{SNR}_t", "signal-to-noise ratio at t", positive=True)
snr_prev = _symbol(
    "snr_prev", r"\mathrm{SNR}_{t-1}", "the same, one step earlier", positive=True
)
betatilde_t = _symbol(
    "betatilde_t", r"\tilde\beta_t", "variance of the posterior", positive=True
)
sigma_t = _symbol(
    "sigma_t",
    r"\sigma_t",
    r"standard deviation of the model's step; its square is \beta_t or \tilde\beta_t",
    positive=True,
)
abar_s = _symbol(
    "abar_s", r"\bar\alpha_s", "share of the variance kept up to s", positive=True
)
sigma_s = _symbol(
    "sigma_s",
    r"\sigma_s",
    "standard deviation of the noise that a step to s adds",
    positive=True,
)
eta = _symbol("eta", r"\eta", "share of new noise in a step, 0 … 1", positive=True)
steepness = _symbol(
    "steepness", r"\kappa", "steepness of the sigmoid schedule", positive=True
)
offset = _symbol("offset", r"\delta", "offset of the cosine schedule", positive=True)
alpha = _function("alpha", r"\alpha_s", s, "share of the variance kept by step s")
beta = _function("beta", r"\beta_s", s, "variance of the noise of step s")

# Data and noise
x_0 = _symbol("x_0", "x_0", "clean data", real=True)
x_t = _symbol("x_t", "x_t", "noisy data at time t", real=True)
x_prev = _symbol("x_prev", "x_{t-1}", "one step less noisy", real=True)
x_prev2 = _symbol("x_prev2", "x_{t-2}", "two steps less noisy", real=True)
x_s = _symbol("x_s", "x_s", "data at an earlier time s < t", real=True)
z = _symbol("z", "z", "standard normal noise of a step back", real=True)
eps = _symbol(
    "eps", r"\varepsilon", "standard normal noise of the forward process", real=True
)
mu_tilde = _symbol(
    "mu_tilde", r"\tilde\mu_t(x_t, x_0)", "mean of the posterior", real=True
)
v = _symbol("v", "v", "velocity: the noise less the data, weighted", real=True)
score = _symbol(
    "score",
    r"\nabla_{x_t} \log q(x_t)",
    "score: where the density of the noisy data grows",
    real=True,
)

# What a network gives
mu_theta = _symbol(
    "mu_theta", r"\mu_\theta(x_t, t)", "mean of the model's step", real=True
)
x0_hat = _symbol("x0_hat", r"\hat x_\theta(x_t, t)", "predicted clean data", real=True)
x0_hat_1 = _symbol(
    "x0_hat_1", r"\hat x_\theta(x_1, 1)", "the same in the last step", real=True
)
eps_hat = _symbol(
    "eps_hat", r"\varepsilon_\theta(x_t, t)", "predicted noise", real=True
)
v_hat = _symbol("v_hat", r"v_\theta(x_t, t)", "predicted velocity", real=True)

# Densities
q_s = _function("q_s", r"q(x_s \mid x_{s-1})", s, "density of one forward step")
q_0 = _function("q_0", r"q(x_s \mid x_0)", s, "density of the first s steps at once")
q_back = _function(
    "q_back", r"q(x_{s-1} \mid x_s, x_0)", s, "density of the posterior of step s"
)
p_s = _function(
    "p_s", r"p_\theta(x_{s-1} \mid x_s)", s, "density of the model's step back from s"
)
p_T = _symbol("p_T", "p(x_{T})", "standard normal density of the start", positive=True)

# The bound
mean_1 = _symbol("mean_1", r"\mu_1", "mean of a Gaussian", real=True)
mean_2 = _symbol("mean_2", r"\mu_2", "mean of another", real=True)
var_1 = _symbol("var_1", r"\sigma_1^2", "variance of a Gaussian", positive=True)
var_2 = _symbol("var_2", r"\sigma_2^2", "variance of another", positive=True)
L_s = _function("L_s", "L_s", s, "term of the bound, in nats")
D = _symbol("D", "D", "number of coordinates of an image", integer=True, positive=True)

# The network
d = _symbol("d", "d", "length of the vector that stands for a time", positive=True)
j = _symbol("j", "j", "number of a frequency, from 0")
longest = _symbol("longest", "P", "inverse of the lowest frequency", positive=True)
omega_j = _symbol("omega_j", r"\omega_j", "frequency number j", positive=True)
h = _symbol("h", "h", "a value inside the network", real=True)
mean_h = _symbol("mean_h", r"\mu_h", "mean of the values of a group", real=True)
var_h = _symbol("var_h", r"\sigma_h^2", "variance of a group", positive=True)

# Training
M = _symbol("M", "M", "number of images in a batch", integer=True, positive=True)
J_s = _function("J_s", "J_s", s, "loss of one image of a batch")
