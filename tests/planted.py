"""Errors to plant, by kind, for ``mutants.py``: (file, what stands there, the error)."""

# ruff: noqa: E501

#: For each kind, the files whose tests ought to notice, without those marked long. For
#: pictures, the changed notebook is run with nbval, too.
TESTS = {
    "displays": "tests/test_book_displays.py tests/test_book_witnesses.py",
    "sources": "tests/test_book_concordance.py tests/test_book_witnesses.py",
    "pictures": "tests/test_book_figures.py tests/test_book_reading.py",
    "reports": "tests/test_main.py tests/test_metrics.py tests/test_pretrained.py tests/test_runs.py",
    "training": "tests/test_training.py tests/test_runs.py tests/test_main.py",
    "words": "tests/test_exercises.py tests/test_book_displays.py",
}

PLANTED = {
    "displays": [
        (
            "book/01_forward_process.ipynb",
            "\\alpha_t (1 - \\alpha_{t-1}) + (1 - \\alpha_t) =",
            "\\alpha_t (1 - \\alpha_{t-1}) - (1 - \\alpha_t) =",
        ),
        (
            "book/01_forward_process.ipynb",
            "x_{t-1} = \\sqrt{\\bar\\alpha_{t-1}}\\, x_0\n+ \\sqrt{1 - \\bar\\alpha_{t-1}}",
            "x_{t-1} = \\sqrt{\\bar\\alpha_{t-1}}\\, x_0\n+ \\sqrt{1 + \\bar\\alpha_{t-1}}",
        ),
        (
            "book/01_forward_process.ipynb",
            "+ \\sqrt{\\alpha_t (1 - \\alpha_{t-1})}\\, \\varepsilon_1",
            "+ \\sqrt{\\alpha_{t-1} (1 - \\alpha_t)}\\, \\varepsilon_1",
        ),
        (
            "book/01_forward_process.ipynb",
            "+ \\sqrt{\\alpha_3 \\beta_2}\\,\\varepsilon_2",
            "+ \\sqrt{\\alpha_2 \\beta_2}\\,\\varepsilon_2",
        ),
        (
            "book/02_elbo.ipynb",
            "\\tilde\\beta_t =\n\\frac{1 - \\bar\\alpha_{t-1}}{1 - \\bar\\alpha_t}\\, \\beta_t ,",
            "\\tilde\\beta_t =\n\\frac{1 - \\bar\\alpha_t}{1 - \\bar\\alpha_{t-1}}\\, \\beta_t ,",
        ),
        (
            "book/02_elbo.ipynb",
            "\\log \\frac{q(x_{1:T} \\mid x_0)}{p_\\theta(x_{0:T})} + \\log p_\\theta(x_0) .",
            "\\log \\frac{q(x_{1:T} \\mid x_0)}{p_\\theta(x_{0:T})} - \\log p_\\theta(x_0) .",
        ),
        (
            "book/02_elbo.ipynb",
            "\\frac{q(x_{s-1} \\mid x_s, x_0)}{p_\\theta(x_{s-1} \\mid x_s)} +\n\\log",
            "\\frac{q(x_{s-1} \\mid x_s, x_0)}{p_\\theta(x_{s-1} \\mid x_s)} -\n\\log",
        ),
        (
            "book/02_elbo.ipynb",
            "L_T + \\sum_{t=2}^{T} L_{t-1} + L_0 = \\frac12 \\log(2 \\pi e) .",
            "L_T + \\sum_{t=1}^{T} L_{t-1} + L_0 = \\frac12 \\log(2 \\pi e) .",
        ),
        (
            "book/02_elbo.ipynb",
            "\\frac{(x - \\mu_2)^2}{2 \\sigma_2^2} - \\frac{(x - \\mu_1)^2}{2 \\sigma_1^2} .",
            "\\frac{(x - \\mu_2)^2}{2 \\sigma_2^2} + \\frac{(x - \\mu_1)^2}{2 \\sigma_1^2} .",
        ),
        (
            "book/03_posterior_mean.ipynb",
            "q(x_{t-1} \\mid x_t) = \\frac{q(x_t \\mid x_{t-1})\\, q(x_{t-1})}{q(x_t)} .",
            "q(x_{t-1} \\mid x_t) = \\frac{q(x_t \\mid x_{t-1})\\, q(x_t)}{q(x_{t-1})} .",
        ),
        (
            "book/03_posterior_mean.ipynb",
            "\\frac{q(x_t \\mid x_{t-1}, x_0)\\, q(x_{t-1} \\mid x_0)}{q(x_t \\mid x_0)} .",
            "\\frac{q(x_t \\mid x_{t-1}, x_0)\\, q(x_t \\mid x_0)}{q(x_{t-1} \\mid x_0)} .",
        ),
        (
            "book/03_posterior_mean.ipynb",
            "& - \\frac{(x_t - \\sqrt{\\bar\\alpha_t}\\, x_0)^2}",
            "& + \\frac{(x_t - \\sqrt{\\bar\\alpha_t}\\, x_0)^2}",
        ),
        (
            "book/03_posterior_mean.ipynb",
            "\\frac{(x_{t-1} - m)^2}{w} = \\frac1w\\, x_{t-1}^2 - \\frac{2m}{w}\\, x_{t-1} +",
            "\\frac{(x_{t-1} - m)^2}{w} = \\frac1w\\, x_{t-1}^2 + \\frac{2m}{w}\\, x_{t-1} +",
        ),
        (
            "book/03_posterior_mean.ipynb",
            "1 - \\frac{(1 - a)(1 - p)}{1 + a p} .",
            "1 + \\frac{(1 - a)(1 - p)}{1 + a p} .",
        ),
        (
            "book/03_posterior_mean.ipynb",
            "\\tanh\\left(\\frac{\\sqrt{\\bar\\alpha_t}\\, x_t}{1 - \\bar\\alpha_t}\\right) .",
            "\\tanh\\left(\\frac{\\sqrt{\\bar\\alpha_t}\\, x_t}{1 + \\bar\\alpha_t}\\right) .",
        ),
        (
            "book/04_x0_and_noise.ipynb",
            "\\varepsilon_\\theta(x_t, t) \\approx -\\sqrt{1",
            "\\varepsilon_\\theta(x_t, t) \\approx \\sqrt{1",
        ),
        (
            "book/07_sampling.ipynb",
            "\\sqrt{\\bar\\alpha_t}\\, \\hat x_0 + \\sqrt{1 - \\bar\\alpha_t}\\, \\hat\\varepsilon .",
            "\\sqrt{\\bar\\alpha_t}\\, \\hat x_0 - \\sqrt{1 - \\bar\\alpha_t}\\, \\hat\\varepsilon .",
        ),
        (
            "book/06_training.ipynb",
            "\\lambda \\bar\\theta + (1 - \\lambda)\\, \\theta ,",
            "\\lambda \\bar\\theta - (1 - \\lambda)\\, \\theta ,",
        ),
    ],
    "sources": [
        (
            "book/concordance.yml",
            "- id: slides/introduction-1/two-arrows\n  document: slides\n  place: 'Introduction (1/2)'\n  kind: figure\n  quote: 'Two pictures: the forward/diffusion process from image to noise, and the reverse/denoising process back'\n  to: fig-forward-arrows\n",
            "",
        ),
        (
            "book/concordance.yml",
            "  to: sec-sampling-memory\n\n- id: slides/introduction-2/mnist",
            "  to: sec-forward-step\n\n- id: slides/introduction-2/mnist",
        ),
    ],
    "pictures": [
        (
            "book/01_forward_process.ipynb",
            "plt.plot(walkers[:, :12], color",
            "plt.plot(-walkers[:, :12], color",
        ),
        (
            "book/01_forward_process.ipynb",
            "plt.plot(kappas, lives, **",
            "plt.plot(kappas, lives[::-1], **",
        ),
        (
            "book/01_forward_process.ipynb",
            'plotting.image_grid([top, bottom], ["noisy", "averaged"]',
            'plotting.image_grid([bottom, top], ["noisy", "averaged"]',
        ),
        (
            "book/01_forward_process.ipynb",
            'plotting.image_grid(rows, ["linear", "cosine"]',
            'plotting.image_grid(rows[::-1], ["linear", "cosine"]',
        ),
        (
            "book/01_forward_process.ipynb",
            "(line,) = plt.plot(grid, bell, style)",
            "(line,) = plt.plot(grid, 2 * bell, style)",
        ),
        (
            "book/02_elbo.ipynb",
            "plt.plot(grid, density, color=BLUE)",
            "plt.plot(grid, -density, color=BLUE)",
        ),
        (
            "book/02_elbo.ipynb",
            'plt.plot(thetas, upper, "o-", color=ORANGE',
            'plt.plot(thetas, lower, "o-", color=ORANGE',
        ),
        (
            "book/02_elbo.ipynb",
            'plt.plot(counts_T, bounds, "o-", color=ORANGE)',
            'plt.plot(counts_T, bounds[::-1], "o-", color=ORANGE)',
        ),
        (
            "book/02_elbo.ipynb",
            "plt.bar(levels, heights, 0.118",
            "plt.bar(levels, heights[::-1], 0.118",
        ),
        (
            "book/03_posterior_mean.ipynb",
            "        ax.plot(x, curve, style)",
            "        ax.plot(x, -curve, style)",
        ),
    ],
    "reports": [
        (
            "ddpm_course/lab/evaluation.py",
            '"value": bound.bits_per_dim',
            '"value": -bound.bits_per_dim',
        ),
        (
            "ddpm_course/lab/evaluation.py",
            '"value": bound.bits_per_dim',
            '"value": bound.total',
        ),
        (
            "ddpm_course/lab/evaluation.py",
            '"standard_error": bound.standard_error',
            '"standard_error": bound.standard_error * len(x0) ** 0.5',
        ),
        (
            "ddpm_course/lab/commands.py",
            "data.test[: options.images]",
            "data.train[: options.images]",
        ),
        (
            "ddpm_course/lab/evaluation.py",
            "        variance=variance,\n        times",
            '        variance="beta",\n        times',
        ),
        (
            "ddpm_course/lab/evaluation.py",
            "times=times,\n        **kind",
            "times=1,\n        **kind",
        ),
        (
            "ddpm_course/lab/evaluation.py",
            ".manual_seed(seed),\n        variance",
            ".manual_seed(0),\n        variance",
        ),
        (
            "ddpm_course/lab/evaluation.py",
            "in_chunks(denoiser, chunk)",
            "in_chunks(denoiser, None)",
        ),
        (
            "ddpm_course/lab/evaluation.py",
            '"samples": _nearest(x, data.train)',
            '"samples": _nearest(x, data.test)',
        ),
        (
            "ddpm_course/lab/evaluation.py",
            '"held out": _nearest(held_out, data.train)',
            '"held out": _nearest(x, data.train)',
        ),
        (
            "ddpm_course/lab/evaluation.py",
            '"held out": _nearest(held_out, data.train)',
            '"held out": _nearest(other, held_out)',
        ),
        (
            "ddpm_course/lab/evaluation.py",
            "distance.min()",
            "distance.max()",
        ),
        (
            "ddpm_course/lab/evaluation.py",
            "distance.mean()",
            "distance.median()",
        ),
        (
            "ddpm_course/lab/evaluation.py",
            '"value": distance(x, held_out)',
            '"value": distance(x, other)',
        ),
        (
            "ddpm_course/lab/evaluation.py",
            '"floor": distance(other, held_out)',
            '"floor": distance(other, x)',
        ),
        (
            "ddpm_course/lab/evaluation.py",
            "for part in (data.train, data.test)",
            "for part in (data.test, data.train)",
        ),
        (
            "ddpm_course/lab/evaluation.py",
            '"value": metrics.mode_width(x, ring)',
            '"value": metrics.mode_width(held_out, ring)',
        ),
        (
            "ddpm_course/lab/evaluation.py",
            '"floor": metrics.mode_width(other, ring)',
            '"floor": metrics.mode_width(x, ring)',
        ),
        (
            "ddpm_course/lab/evaluation.py",
            "features(network, images) for images in sets",
            "features(network, -images) for images in sets",
        ),
        (
            "ddpm_course/lab/commands.py",
            "n = min(options.n, len(data.train), len(data.test))",
            "n = min(options.n, len(data.train))",
        ),
        (
            "ddpm_course/lab/drawing.py",
            "partial(ancestral_step, variance=options.variance)",
            "partial(ancestral_step)",
        ),
        (
            "ddpm_course/lab/drawing.py",
            "partial(ddim_step, eta=options.eta)",
            "partial(ddim_step)",
        ),
        (
            "ddpm_course/lab/drawing.py",
            'options.sampler == "ddim"',
            'options.sampler != "ddim"',
        ),
        (
            "ddpm_course/lab/drawing.py",
            "(seed, i))",
            "(0, i))",
        ),
        (
            "ddpm_course/lab/drawing.py",
            "(seed, i))",
            "(seed, 0))",
        ),
        (
            "ddpm_course/lab/drawing.py",
            "noise() if s > 0 else z",
            "noise() if s == schedule.T else z",
        ),
        (
            "ddpm_course/lab/drawing.py",
            "noise() if s > 0 else z",
            "x_T",
        ),
        (
            "ddpm_course/lab/drawing.py",
            "_generators(n, options.seed, model)",
            "_generators(n, 0, model)",
        ),
        (
            "ddpm_course/lab/drawing.py",
            "steps=options.steps,",
            "steps=min(2, options.steps),",
        ),
        (
            "ddpm_course/lab/commands.py",
            "options.steps or min(100, model.about.T)",
            "min(100, model.about.T)",
        ),
        (
            "ddpm_course/lab/pretrained.py",
            "clip=self.about.reach",
            "clip=None",
        ),
        (
            "ddpm_course/lab/commands.py",
            "x.abs().max().item()",
            "1.0",
        ),
        (
            "ddpm_course/lab/pretrained.py",
            "self.about.schedule, self.about.T)",
            '"linear", self.about.T)',
        ),
        (
            "ddpm_course/lab/output.py",
            'np.savetxt(file, x.numpy(), delimiter=",")',
            'np.savetxt(file, x.numpy() / 2, delimiter=",")',
        ),
        (
            "ddpm_course/lab/commands.py",
            '"variance" if options.sampler == "ancestral" else "eta"',
            '"eta" if options.sampler == "ancestral" else "variance"',
        ),
        (
            "ddpm_course/lab/commands.py",
            "trained.losses[-100:]",
            "trained.losses[:100]",
        ),
        (
            "ddpm_course/lab/commands.py",
            "trained.losses[-100:]",
            "trained.losses",
        ),
        (
            "ddpm_course/lab/output.py",
            "steps = torch.arange(1, len(losses) + 1)",
            "steps = torch.arange(len(losses))",
        ),
        (
            "ddpm_course/lab/output.py",
            'losses = checkpoints.read(checkpoint)["losses"]',
            'losses = checkpoints.read(checkpoint)["losses"].cummin(0).values',
        ),
        (
            "ddpm_course/lab/commands.py",
            "torch.manual_seed(settings.seed)",
            "torch.manual_seed(0)",
        ),
        (
            "ddpm_course/lab/commands.py",
            "        torch.manual_seed(settings.seed)\n",
            "",
        ),
        (
            "ddpm_course/lab/commands.py",
            "_known(options, training.Settings))",
            '{k: v for k, v in _known(options, training.Settings).items() if k != "warmup"})',
        ),
        (
            "ddpm_course/lab/commands.py",
            "_known(options, training.Settings))",
            '{k: v for k, v in _known(options, training.Settings).items() if k != "kind"})',
        ),
        (
            "ddpm_course/lab/commands.py",
            "_known(options, training.Settings))",
            '{k: v for k, v in _known(options, training.Settings).items() if k != "ema"})',
        ),
        (
            "ddpm_course/lab/commands.py",
            "                make_schedule(about.schedule, about.T),",
            '                make_schedule("cosine", about.T),',
        ),
        (
            "ddpm_course/lab/commands.py",
            "x = _data(options, options.data).train",
            "x = _data(options, options.data).test",
        ),
        (
            "ddpm_course/lab/pretrained.py",
            '"loss": content["losses"][-1000:].mean().item()',
            '"loss": content["losses"][:1000].mean().item()',
        ),
        (
            "ddpm_course/lab/pretrained.py",
            'content["weights" if "weights" in content else "ema"]',
            'content["weights" if "weights" in content else "model"]',
        ),
        (
            "ddpm_course/lab/commands.py",
            "predict(network, data.test) == data.test_labels",
            "predict(network, data.train) == data.train_labels",
        ),
        (
            "ddpm_course/lab/commands.py",
            "right.float().mean()",
            "(~right).float().mean()",
        ),
        (
            "ddpm_course/lab/commands.py",
            "images, data.train_labels, options.steps, options.seed, progress",
            "images, data.train_labels, options.steps, 0, progress",
        ),
        (
            "ddpm_course/lab/commands.py",
            "images, data.train_labels, options.steps, options.seed, progress",
            "images, data.train_labels, 2, options.seed, progress",
        ),
        (
            "ddpm_course/lab/pretrained.py",
            '        network.load_state_dict(weights)\n    except (KeyError, RuntimeError) as error:\n        raise CheckpointError(f"{source}: {error}") from error\n    return network.eval()',
            '        network.load_state_dict(weights)\n    except (KeyError, RuntimeError) as error:\n        raise CheckpointError(f"{source}: {error}") from error\n    return network',
        ),
        (
            "ddpm_course/lab/pretrained.py",
            "Pretrained(network.eval().requires",
            "Pretrained(network.requires",
        ),
        (
            "ddpm_course/lab/evaluation.py",
            'generator = torch.Generator("cpu").manual_seed(seed)',
            'generator = torch.Generator("cpu").manual_seed(0)',
        ),
        (
            "ddpm_course/lab/commands.py",
            "chunk=options.chunk,\n            seed=options.seed,",
            "chunk=options.chunk,\n            seed=0,",
        ),
        (
            "ddpm_course/lab/commands.py",
            "times=options.times",
            "times=50",
        ),
        (
            "ddpm_course/lab/commands.py",
            "variance=options.variance,\n            chunk",
            'variance="beta_tilde",\n            chunk',
        ),
        (
            "ddpm_course/lab/commands.py",
            "classifier=options.classifier,",
            "classifier=None,",
        ),
        (
            "ddpm_course/lab/commands.py",
            '"steps": options.steps,',
            '"steps": 1000,',
        ),
        (
            "ddpm_course/lab/datasets.py",
            "draw(50_000, _seeded(1)).float()",
            "draw(50_000, _seeded(0)).float()",
        ),
        (
            "ddpm_course/lab/datasets.py",
            "data.moons(50_000, _seeded(1))",
            "data.moons(50_000, _seeded(0))",
        ),
        (
            "ddpm_course/lab/datasets.py",
            "images[n:], labels[:n]",
            "images[n - 100 :], labels[:n]",
        ),
        (
            "ddpm_course/lab/datasets.py",
            'load("train"), load("test")',
            'load("train"), load("train")',
        ),
        (
            "ddpm_course/lab/datasets.py",
            "images[~held_out],",
            "images,",
        ),
        (
            "ddpm_course/metrics.py",
            "torch.cat(nearest) / x.shape[1] ** 0.5",
            "torch.cat(nearest)",
        ),
        (
            "ddpm_course/metrics.py",
            "free = len(x) - len(groups)",
            "free = len(x)",
        ),
        (
            "ddpm_course/metrics.py",
            ".sqrt().item() / std",
            ".sqrt().item()",
        ),
        (
            "ddpm_course/metrics.py",
            "(len(x) * len(y))",
            "(len(x) * (len(y) - 1))",
        ),
        (
            "ddpm_course/metrics.py",
            "root @ s_y @ root",
            "s_x @ s_y",
        ),
        (
            "ddpm_course/lab/drawing.py",
            "tqdm(chain, total=options.steps):\n        yield x",
            "tqdm(chain, total=options.steps):\n        yield x.clamp(-1, 1)",
        ),
        (
            "ddpm_course/lab/drawing.py",
            "    for _, x, _ in",
            "    for _, _, x in",
        ),
    ],
    "training": [
        (
            "ddpm_course/training.py",
            "torch.randint(1, T + 1, (size,), **here)",
            "torch.randint(1, T, (size,), **here)",
        ),
        (
            "ddpm_course/training.py",
            "torch.randint(1, T + 1, (size,), **here)",
            "torch.randint(2, T + 1, (size,), **here)",
        ),
        (
            "ddpm_course/training.py",
            "torch.randint(1, T + 1, (size,), **here)",
            "torch.maximum(*torch.randint(1, T + 1, (2, size), **here))",
        ),
        (
            "ddpm_course/training.py",
            "data[torch.randint(len(data), (size,), **here)]",
            "data[torch.randint(len(data), (2, size), **here).amin(0)]",
        ),
        (
            "ddpm_course/training.py",
            "min(decay, (1 + step) / (10 + step))",
            "min(decay, (2 + step) / (11 + step))",
        ),
        (
            "ddpm_course/training.py",
            "min(decay, (1 + step) / (10 + step))",
            "decay",
        ),
        (
            "ddpm_course/training.py",
            "run.model, step, settings.ema)",
            "run.model, step + 1, settings.ema)",
        ),
        (
            "ddpm_course/training.py",
            "run.model, step, settings.ema)",
            "run.model, step, 0.999)",
        ),
        (
            "ddpm_course/training.py",
            "        averaged.copy_(current)",
            "        pass",
        ),
        (
            "ddpm_course/training.py",
            "_as_called(model.train(),",
            "_as_called(model,",
        ),
        (
            "ddpm_course/training.py",
            "copy.deepcopy(model).eval()",
            "copy.deepcopy(model)",
        ),
        (
            "ddpm_course/training.py",
            "    finally:\n        model.eval()",
            "    finally:\n        pass",
        ),
        (
            "ddpm_course/training.py",
            "learning_rate(step, settings)\n",
            "learning_rate(step + 1, settings)\n",
        ),
        (
            "ddpm_course/training.py",
            'run.optimizer.param_groups[0]["lr"] = learning_rate(step, settings)\n    run.optimizer.step()',
            'run.optimizer.step()\n    run.optimizer.param_groups[0]["lr"] = learning_rate(step, settings)',
        ),
        (
            "ddpm_course/training.py",
            '    run.optimizer.param_groups[0]["lr"] = learning_rate(step, settings)\n',
            "",
        ),
        (
            "ddpm_course/training.py",
            "run.model.parameters(), settings.clip)",
            "run.model.parameters(), settings.clip / 2)",
        ),
        (
            "ddpm_course/training.py",
            "run.model.parameters(), settings.clip)",
            "run.model.parameters(), settings.clip, math.inf)",
        ),
        (
            "ddpm_course/training.py",
            "run.model.parameters(), settings.clip)",
            "run.model.parameters(), 1.0)",
        ),
        (
            "ddpm_course/training.py",
            "    run.optimizer.zero_grad()\n",
            "",
        ),
        (
            "ddpm_course/training.py",
            "    loss.backward()\n    nn.utils.clip_grad_norm_(run.model.parameters(), settings.clip)",
            "    nn.utils.clip_grad_norm_(run.model.parameters(), settings.clip)\n    loss.backward()",
        ),
        (
            "ddpm_course/training.py",
            "x0, t, eps, settings.kind)\n    run",
            "x0, t, eps)\n    run",
        ),
        (
            "ddpm_course/training.py",
            "torch.optim.Adam(model.parameters(), lr=settings.lr)",
            "torch.optim.AdamW(model.parameters(), lr=settings.lr)",
        ),
        (
            "ddpm_course/training.py",
            "torch.optim.Adam(model.parameters(), lr=settings.lr)",
            "torch.optim.Adam(model.parameters(), lr=settings.lr, betas=(0.9, 0.99))",
        ),
        (
            "ddpm_course/training.py",
            "manual_seed(settings.seed)",
            "manual_seed(0)",
        ),
        (
            "ddpm_course/training.py",
            "    run.optimizer.step()\n    update_ema(run.ema, run.model, step, settings.ema)",
            "    update_ema(run.ema, run.model, step, settings.ema)\n    run.optimizer.step()",
        ),
        (
            "ddpm_course/training.py",
            "math.cos(math.pi * progress)) / 2",
            "math.cos(math.pi * progress / 2)) / 2",
        ),
        (
            "ddpm_course/lab/runs.py",
            "self.losses[max(0, self.done - check_every) : self.done]",
            "self.losses[: self.done]",
        ),
        (
            "ddpm_course/lab/runs.py",
            "return slice(rank() * size, (rank() + 1) * size)",
            "return slice(0, size)",
        ),
    ],
    "words": [
        (
            "book/03_posterior_mean.ipynb",
            "Return $\\tilde\\beta_t$, a single number.",
            "Return $\\beta_t$, a single number.",
        ),
        (
            "ddpm_course/exercises/chapter_6.py",
            "Right for the batch. The mean over",
            "Wrong for the batch. The mean over",
        ),
        (
            "book/06_training.ipynb",
            "so the learning rate must be $MD$ times smaller.",
            "so the learning rate must be $MD$ times larger.",
        ),
    ],
}
