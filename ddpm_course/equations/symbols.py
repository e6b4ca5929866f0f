"""The symbols of the book: LaTeX, SymPy form and meaning."""

from dataclasses import dataclass
from functools import partial

import sympy as sp


@dataclass(frozen=True)
class Notation:
    """A symbol of the book: LaTeX, SymPy form, and what it means."""

    latex: str
    symbol: sp.Basic
    meaning: str


#: Every symbol of a labeled equation, by its Python name.
NOTATION: dict[str, Notation] = {}


def _symbol(name: str, latex: str, meaning: str, **assumptions: bool) -> sp.Symbol:
    symbol = sp.Symbol(latex, **assumptions)
    NOTATION[name] = Notation(latex, symbol, meaning)
    return symbol


_real = partial(_symbol, real=True)
_positive = partial(_symbol, positive=True)
_whole = partial(_symbol, integer=True, positive=True)

# Time
t = _whole("t", "t", "time: 0 is the clean image, $T$ the noise")
T = _whole("T", "T", "number of steps")
s = _whole("s", "s", "an earlier time, or a running index")


def _indexed(name: str, latex: str, meaning: str) -> type[sp.Function]:
    """A quantity with the running index s."""
    function = sp.Function(name, positive=True)
    NOTATION[name] = Notation(latex, function(s), meaning)
    return function


# Schedule
beta_t = _positive("beta_t", r"\beta_t", "variance of the noise of step $t$")
beta_1 = _positive("beta_1", r"\beta_1", "variance of the first step")
beta_T = _positive("beta_T", r"\beta_T", "variance of the last step")
alpha_t = _positive("alpha_t", r"\alpha_t", "share of the variance kept by step $t$")
alpha_prev = _positive("alpha_prev", r"\alpha_{t-1}", "the same, one step earlier")
abar_t = _positive("abar_t", r"\bar\alpha_t", "share of the variance kept up to $t$")
abar_prev = _positive("abar_prev", r"\bar\alpha_{t-1}", "the same, one step earlier")
abar_1 = _positive("abar_1", r"\bar\alpha_1", "share of the variance kept by step 1")
abar_T = _positive("abar_T", r"\bar\alpha_T", "share of the variance kept up to $T$")
snr_t = _positive("snr_t", r"\mathrm{SNR}_t", "signal-to-noise ratio at $t$")
snr_prev = _positive("snr_prev", r"\mathrm{SNR}_{t-1}", "the same, one step earlier")
betatilde_t = _positive("betatilde_t", r"\tilde\beta_t", "variance of the posterior")
sigma_t = _positive(
    "sigma_t",
    r"\sigma_t",
    r"the model's standard deviation; its square is $\beta_t$ or $\tilde\beta_t$",
)
abar_s = _positive("abar_s", r"\bar\alpha_s", "share of the variance kept up to $s$")
sigma_s = _positive(
    "sigma_s", r"\sigma_s", "standard deviation of the noise that a step to $s$ adds"
)
eta = _positive(
    "eta", r"\eta", "factor of a step's new noise, from 0 (DDIM) to 1 (ancestral)"
)
lambda_t = _real("lambda_t", r"\lambda_t", "log of the signal-to-noise ratio at $t$")
lambda_s = _real("lambda_s", r"\lambda_s", "the same at $s$")
lambda_r = _real(
    "lambda_r", r"\lambda_r", "the same at $r$, where the previous step began"
)
w_t = _positive("w_t", "w_t", "root of the signal-to-noise ratio at $t$")
w_s = _positive("w_s", "w_s", "the same at $s$")
scale = _positive("scale", "w", "scale of guidance: 0 is unconditional, 1 conditional")
tau_t = _positive("tau_t", r"\tau_t", "time of the straight line: 0 is data, 1 noise")
steepness = _positive("steepness", r"\kappa", "steepness of the sigmoid schedule")
offset = _positive("offset", r"\delta", "offset of the cosine schedule")
alpha = _indexed("alpha", r"\alpha_s", "share of the variance kept by step $s$")
beta = _indexed("beta", r"\beta_s", "variance of the noise of step $s$")

# Data and noise
x_0 = _real("x_0", "x_0", "clean data")
x_t = _real("x_t", "x_t", "noisy data at time $t$")
x_prev = _real("x_prev", "x_{t-1}", "one step less noisy")
x_prev2 = _real("x_prev2", "x_{t-2}", "two steps less noisy")
x_s = _real("x_s", "x_s", "data at an earlier time $s < t$")
z = _real("z", "z", "standard normal noise of a reverse step")
eps = _real("eps", r"\varepsilon", "standard normal noise of the forward process")
mu_tilde = _real("mu_tilde", r"\tilde\mu_t(x_t, x_0)", "mean of the posterior")
v = _real("v", "v", "velocity: weighted noise minus weighted data")
ydot = _real("ydot", r"\dot y", "velocity along the straight line from data to noise")
score = _real(
    "score",
    r"\nabla_{x_t} \log q(x_t)",
    "score: the direction in which noisy data become likelier fastest",
)


# Conditions
y = _real("y", "y", "condition: a label, or a measured number")
var_rho = _positive("var_rho", r"\rho^2", "variance of a measurement's noise")
var_all = _positive("var_all", r"\sigma^2", "variance of all the data")
var_y = _positive("var_y", r"\sigma_y^2", "variance of the data with the label $y$")
score_y = _real(
    "score_y", r"\nabla_{x_t} \log q(x_t \mid y)", "score of the data with the label"
)
pull = _real(
    "pull",
    r"\nabla_{x_t} \log p(y \mid x_t)",
    "pull of a classifier: the direction in which the label becomes likelier fastest",
)
power_pull = _real(
    "power_pull",
    r"\nabla_{x_t} \log \mathbb E[p(y \mid x_0)^w \mid x_t]",
    "the same for a power of the classifier, averaged over the clean images",
)
x0_mean = _real("x0_mean", r"\mathbb E[x_0 \mid x_t]", "best guess of the clean data")
x0_told = _real(
    "x0_told", r"\mathbb E[x_0 \mid x_t, y]", "the same if the label is known"
)
eps_told = _real(
    "eps_told",
    r"\mathbb E[\varepsilon \mid x_t, y]",
    "best guess of the noise if the label is known",
)

# What a network predicts
mu_theta = _real("mu_theta", r"\mu_\theta(x_t, t)", "mean of the model's step")
x0_hat = _real("x0_hat", r"\hat x_\theta(x_t, t)", "predicted clean data")
x0_hat_1 = _real(
    "x0_hat_1", r"\hat x_\theta(x_1, 1)", "the same at the last step, $t = 1$"
)
eps_hat = _real("eps_hat", r"\varepsilon_\theta(x_t, t)", "predicted noise")
x0_hat_y = _real(
    "x0_hat_y", r"\hat x_\theta(x_t, t, y)", "clean data, predicted with the label"
)
eps_hat_y = _real(
    "eps_hat_y", r"\varepsilon_\theta(x_t, t, y)", "noise, predicted with the label"
)
x0_hat_s = _real("x0_hat_s", r"\hat x_\theta(x_s, s)", "predicted clean data at $s$")
x0_hat_r = _real("x0_hat_r", r"\hat x_\theta(x_r, r)", "the guess of the previous step")
div_x0 = _real(
    "div_x0",
    r"\nabla_{x_t} \cdot \hat x_\theta(x_t, t)",
    "divergence of the guess: the sum of its slopes",
)
var_x0 = _positive(
    "var_x0", r"\mathrm{Var}[x_0 \mid x_t]", "how uncertain $x_t$ leaves $x_0$"
)
ydot_hat = _real("ydot_hat", r"\dot y_\theta(x_t, t)", "predicted velocity of the line")
v_hat = _real("v_hat", r"v_\theta(x_t, t)", "predicted velocity")

# Densities
q_s = _indexed("q_s", r"q(x_s \mid x_{s-1})", "density of one forward step")
q_0 = _indexed("q_0", r"q(x_s \mid x_0)", "density of the first $s$ steps together")
q_back = _indexed(
    "q_back", r"q(x_{s-1} \mid x_s, x_0)", "density of the posterior of step $s$"
)
p_s = _indexed(
    "p_s", r"p_\theta(x_{s-1} \mid x_s)", "density of the model's reverse step from $s$"
)
p_T = _positive("p_T", "p(x_{T})", "standard normal density of $x_T$")
q_marginal = _indexed("q_marginal", "q(x_s)", "density of $x_s$, over all the data")
q_reverse = _indexed(
    "q_reverse", r"q(x_{s-1} \mid x_s)", "density of the exact reverse step from $s$"
)
q_path = _positive(
    "q_path", r"q(x_{1:T} \mid x_0)", "density of the forward path from $x_0$"
)
p_joint = _positive("p_joint", r"p_\theta(x_{0:T})", "density of a path of the model")
p_path = _positive(
    "p_path", r"p_\theta(x_{1:T} \mid x_0)", "the same, given that it ends in $x_0$"
)
p_x0 = _positive("p_x0", r"p_\theta(x_0)", "density of the data under the model")

#: ``E(q, f)``: the average of f over draws from the density q.
E = sp.Function("E", real=True)
#: ``KL(q, p)``: the divergence, the average of log(q / p) over q.
KL = sp.Function("KL", nonnegative=True)

# The bound
mean_1 = _real("mean_1", r"\mu_1", "mean of a Gaussian")
mean_2 = _real("mean_2", r"\mu_2", "mean of another Gaussian")
var_1 = _positive("var_1", r"\sigma_1^2", "variance of a Gaussian")
var_2 = _positive("var_2", r"\sigma_2^2", "variance of another Gaussian")
L_s = _indexed("L_s", "L_s", "term of the bound, in nats")
D = _whole("D", "D", "number of coordinates of an image")

# The network
d = _positive("d", "d", "length of the time embedding")
j = _symbol("j", "j", "index of a frequency, from 0")
longest = _positive("longest", "P", "inverse of the lowest frequency")
omega_j = _positive("omega_j", r"\omega_j", "the frequency with index j")
h = _real("h", "h", "a value inside the network")
mean_h = _real("mean_h", r"\mu_h", "mean of the values of a group")
var_h = _positive("var_h", r"\sigma_h^2", "variance of a group")

# Training
M = _whole("M", "M", "number of images in a batch")
J_s = _indexed("J_s", "J_s", "loss of image $s$ of a batch")
