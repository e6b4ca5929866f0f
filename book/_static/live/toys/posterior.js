/* The posterior under your hand (chapter 3). */
// needs: plot controls posterior data/settings
Live.toy("posterior", (toy) => {
  const { slider, quantity, number } = Live.controls;
  const { name, T, ...parameters } = Live.data.settings.short;
  const schedule = Live.schedules.make(name, T, parameters);
  const t = slider(toy, "t", "time t", { min: 1, max: T, value: 8 });
  const x0 = slider(toy, "x0", "start x_0", { min: -2, max: 2, value: 1, step: 0.05 });
  const xt = slider(toy, "xt", "now x_t", {
    min: -2,
    max: 2,
    value: -0.2,
    step: 0.05,
  });
  const plot = new Live.plot.Plot(
    toy,
    "Three bell curves over x at t − 1: what x0 says, what x at t says, and the posterior.",
    { height: 260, xLabel: "x_{t−1}" },
  );
  Live.plot.legend(toy, [
    ["2", "x_0 says (prior)", [8, 3, 2, 3]],
    ["1", "x_t says (likelihood)", [6, 4]],
    ["3", "posterior", []],
  ]);
  const showOnX0 = quantity(toy, "on_x0", "factor of x_0");
  const showOnXt = quantity(toy, "on_xt", "factor of x_t");
  const showMean = quantity(toy, "mean", "mean μ̃_t");
  const showVariance = quantity(toy, "variance", "variance β̃_t");

  const grid = Float64Array.from({ length: 401 }, (_, i) => -4 + i / 50);

  toy.draw(() => {
    const mean = Live.posterior.mean(schedule, x0.value, xt.value, t.value);
    const variance = Live.posterior.variance(schedule, t.value);
    const [onX0, onXt] = Live.posterior.meanCoefficients(schedule, t.value);
    const posterior = { mean, variance };
    const likelihood = Live.posterior.likelihood(schedule, xt.value, t.value);
    const prior = Live.posterior.prior(schedule, x0.value, t.value);
    const narrowest = variance > 0 ? posterior : likelihood;
    const top = 1.2 * Live.posterior.density(narrowest, narrowest.mean);
    plot.begin([-4, 4], [0, top], { yTicks: false });
    /** @param {{mean: number, variance: number}} law @param {string} color
     *  @param {object} options */
    const bell = (law, color, options) => {
      if (law.variance > 0) {
        const heights = grid.map((at) => Live.posterior.density(law, at));
        plot.curve(grid, heights, color, options);
      } else {
        plot.curve([law.mean, law.mean], [0, top], color, options); // a point
      }
    };
    // at t = 1 prior and posterior are one point: the prior is a pale band around it
    const band = prior.variance > 0 ? {} : { width: 12, alpha: 0.4 };
    bell(prior, "2", { dash: [8, 3, 2, 3], ...band });
    bell(likelihood, "1", { dash: [6, 4] });
    bell(posterior, "3", { fill: variance > 0, width: 2.5 });
    plot.knob(x0.value, "2", "x_0");
    plot.knob(xt.value, "1", "x_t");
    showOnX0(onX0);
    showOnXt(onXt);
    showMean(mean);
    showVariance(variance);
    const std = number(Math.sqrt(variance));
    toy.say(
      t.value === 1
        ? "At t = 1 nothing is left to guess: the posterior is the point x_0, with variance 0."
        : `On average, x_{t−1} is ${number(onX0)} x_0 + ${number(onXt)} x_t = ${number(mean)}, give or take ${std}.`,
    );
  });

  Live.plot.drag(plot, [x0, xt]);
});
