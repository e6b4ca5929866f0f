/* Particles that run from noise to data with the exact denoiser: the toys of chapters 7
   and 8. States are computed when they are first shown, a few milliseconds a frame. */
// needs: plot controls random oracle sampling solvers rules metrics plane datasets
Live.chain = (() => {
  const SECONDS = 6; // from noise to data
  const BUDGET = 5; // milliseconds a frame
  const ARROWS = 60; // particles with an arrow
  const SIGMA_MAX = 80; // as in chapter 8
  const { reverseProcess } = Live.sampling;
  const { heunStep, spacedTimes } = Live.solvers;
  const { RULES, recorded } = Live.rules;

  /** Builds the toy. @param {InstanceType<typeof Live.core.Toy>} toy
   *  @param {{rules: string[], rule: string, schedule: string, steps: number[],
   *    count: number, spread: string, start: number, toFlow: boolean}} options
   *    `start`: the share of the chain that is done at first; `toFlow`: compare with
   *    where the flow leads */
  const build = (
    toy,
    { rules, rule, schedule: first, steps, count, spread, start, toFlow },
  ) => {
    const { slider, select, button, quantity, number } = Live.controls;
    const { particles, held_out, floor } = Live.data.oracle;
    const plane = new Live.plane.Plane(
      toy,
      "Points in the plane, arrows to the guesses, and the regions of the data.",
    );
    const data = Live.datasets.choose(toy, plane, () => renew());
    const titles = Object.fromEntries(rules.map((name) => [name, RULES[name].title]));
    const kind = select(toy, "rule", "rule", titles, rule);
    const counts = Object.fromEntries(steps.map((n) => [n, String(n)]));
    const number_of = select(toy, "steps", "steps", counts, String(count));
    const spacings = { time: "in time", "log-snr": "in the log-SNR" };
    const spacing = select(toy, "spacing", "spread evenly", spacings, spread);
    const name = select(
      toy,
      "schedule",
      "schedule",
      { linear: "linear", cosine: "cosine" },
      first,
    );
    const eta = slider(toy, "eta", "η", { min: 0, max: 1, step: 0.05, value: 0 });
    const play = button(toy, "play", "Play", () => (isPlaying ? pause() : run()));
    button(toy, "fresh", "New noise", () => {
      seed += 1;
      renew();
    });
    /** @type {number[]} */
    let times = [0, 0];
    const time = slider(toy, "t", "from noise to data", {
      min: 0,
      max: count,
      value: 0,
      show: (i) => `t = ${times[i]}`,
    });
    time.row.style.flexBasis = "100%";
    const showWidth = hideable(toy, () =>
      quantity(toy, "width", "width of the modes / true"),
    );
    const showNearest = hideable(toy, () =>
      quantity(toy, "nearest", "distance to the nearest data point"),
    );
    const showFlow = hideable(toy, () =>
      quantity(toy, "error", "distance to where the flow leads"),
    );
    const showEnergy = hideable(toy, () =>
      quantity(toy, "energy", "energy distance to data"),
    );
    const showFloor = hideable(toy, () =>
      quantity(toy, "floor", `the same for ${particles} real points`),
    );
    const showCalls = whole(toy, "calls", "calls of the denoiser");

    let seed = 1;
    let share = start;
    let isPlaying = false;
    let isNew = true; // until it has been played or the time was set
    let schedule = Live.schedules.make(first);
    let chain = recorded((function* () {})(), new Float64Array());
    let flow = chain;
    let reference = new Float64Array();
    let neighbors = NaN; // how far apart the data points are

    /** Fresh noise of step i, the same for every rule. @param {number} i */
    const noise = (i) => Live.random.normal(2 * particles, 7919 * seed + i + 1);

    /** Settings have changed: the same start, and the same share of the way. */
    const renew = () => {
      const n = Number(number_of.value);
      schedule = Live.schedules.make(name.value);
      times = spacedTimes(schedule, n, spacing.value, SIGMA_MAX);
      const x = Live.random.normal(2 * particles, 7919 * seed);
      const denoiser = data.mixture.denoiser(schedule);
      const step = RULES[kind.value].make(denoiser, eta.value);
      chain = recorded(
        reverseProcess(denoiser, schedule, x, { step, times, noise }),
        x,
      );
      const fine = spacedTimes(schedule, 200, "log-snr", SIGMA_MAX);
      const heun = { step: heunStep(denoiser), times: fine, noise };
      flow = recorded(reverseProcess(denoiser, schedule, x, heun), x);
      const data_points = data.isFinite ? data.mixture.means.flat() : held_out;
      reference = Float64Array.from(data_points);
      neighbors = data.isFinite ? Live.metrics.neighborDistance(reference, 2) : NaN;
      time.input.max = String(n);
      time.value = Math.round(share * n);
      eta.row.hidden = toFlow || kind.value !== "ddim";
      if (spacing.parentElement) spacing.parentElement.hidden = !toFlow;
      Object.assign(toy, { state: () => ({ times, seed, states: chain.states }) });
    };
    for (const control of [kind, number_of, spacing, name]) {
      control.addEventListener("change", renew);
    }
    eta.input.addEventListener("input", renew);
    time.input.addEventListener("input", () => {
      share = time.value / (times.length - 1);
      isNew = false;
      pause();
    });

    const pause = () => {
      isPlaying = false;
      play.textContent = "Play";
      toy.stop();
    };
    const run = () => {
      isPlaying = true;
      play.textContent = "Pause";
      if (isNew || share >= 1) share = 0;
      isNew = false;
      toy.animate((seconds) => {
        const last = times.length - 1;
        share = Math.min(1, share + seconds / SECONDS);
        time.value = Math.floor(share * last);
        if (share >= 1) pause();
        return isPlaying;
      });
    };
    data.start();

    toy.draw(() => {
      const until = performance.now() + BUDGET;
      const wanted = time.value;
      const shown = chain.reach(wanted, until);
      const end = toFlow ? flow.reach(200, until) : 200;
      if (shown < wanted || end < 200) toy.change(); // the rest in the next frame
      const x = chain.states[shown];
      const t = times[shown];
      plane.begin();
      const label = `${data.name} ${name.value}`;
      plane.regions(data.mixture, schedule, Math.max(t, 1), label);
      data.draw();
      if (toFlow && end === 200) {
        plane.dots(flow.states[200], "2", { radius: 3, open: true });
        if (t === 0) plane.arrows(x, flow.states[200], "1", { head: 0 });
      }
      plane.dots(x, "", { alpha: 0.75 });
      if (t > 0) {
        const some = x.subarray(0, 2 * ARROWS);
        plane.arrows(some, data.mixture.x0Mean(schedule, some, t), "1");
      }
      const { isFinite } = data;
      const energy = Live.metrics.energyDistance(x, reference, 2);
      const least = isFinite
        ? Live.metrics.meanDistance(reference, reference, 2) / particles
        : floor;
      const away = Live.metrics.nearestDistance(x, reference, 2);
      const near = away.reduce((sum, r) => sum + r, 0) / particles;
      const width = isFinite ? NaN : Live.metrics.modeWidth(x, data.mixture);
      const error = toFlow && end === 200 ? apart(x, flow.states[200]) : NaN;
      showWidth(isFinite ? null : width);
      showNearest(isFinite ? near : null);
      showFlow(toFlow ? error : null);
      showEnergy(toFlow ? null : energy);
      showFloor(toFlow ? null : least);
      showCalls(RULES[kind.value].calls?.(shown) ?? shown);
      if (t > 0) {
        toy.say(`At t = ${t} the arrows lead to the guesses E[x_0 | x_t].`);
      } else if (toFlow) {
        const calls = RULES[kind.value].calls?.(shown) ?? shown;
        toy.say(
          `After ${calls} calls, x_0 is ${number(error)} from where the flow leads, root mean square.`,
        );
      } else if (isFinite) {
        const theirs = Number.isFinite(neighbors)
          ? `; data points are ${number(neighbors)} from theirs`
          : "";
        toy.say(
          `Samples are ${number(near)} from the nearest data point, on average${theirs}.`,
        );
      } else {
        toy.say(
          `Modes are ${number(width)} times as wide as they should be, and the energy distance is ${number(energy / least, 2)} times that of real points.`,
        );
      }
    });
  };

  /** Root mean square over the coordinates. @param {Float64Array} x
   *  @param {Float64Array} y */
  const apart = (x, y) =>
    Math.sqrt(x.reduce((sum, value, i) => sum + (value - y[i]) ** 2, 0) / x.length);

  /** A whole number below the toy. @param {Parts} toy @param {string} name
   *  @param {string} label */
  const whole = (toy, name, label) => {
    Live.controls.quantity(toy, name, label);
    const output = /** @type {HTMLOutputElement} */ (
      toy.numbers.querySelector(`[data-quantity="${name}"]`)
    );
    return (/** @type {number} */ n) => {
      output.value = String(n);
    };
  };

  /** A number that is hidden while there is none. @param {Parts} toy
   *  @param {() => (x: number) => void} make */
  const hideable = (toy, make) => {
    const show = make();
    const group = /** @type {HTMLElement} */ (toy.numbers.lastElementChild);
    return (/** @type {number | null} */ x) => {
      group.hidden = x === null;
      if (x !== null) show(x);
    };
  };

  return { build };
})();
