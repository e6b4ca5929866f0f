/* Sampling steps, as in ddpm_course/sampling.py: each leads from time t to any earlier s,
   x_s = on_x_t x_t + on_x0 x̂_0 + σ z. */
// needs: live schedules
Live.sampling = (() => {
  /** @typedef {ReturnType<typeof Live.schedules.make>} Schedule */
  /** @typedef {(x: Float64Array, t: number) => Float64Array} Denoise */
  /** @typedef {(schedule: Schedule, xt: Float64Array, x0Hat: Float64Array, t: number,
   *    s: number, z: Float64Array) => Float64Array} Step */

  /** σ² of the ancestral step, "beta" or "beta_tilde". @param {Schedule} schedule
   *  @param {number} t @param {number} s @param {string} variance */
  const stepVariance = ({ alphaBar }, t, s, variance) => {
    const beta = 1 - alphaBar[t] / alphaBar[s];
    return variance === "beta" ? beta : ((1 - alphaBar[s]) / (1 - alphaBar[t])) * beta;
  };

  /** on_x_t, on_x0 and σ of the ancestral step: the posterior mean, and its noise.
   *  @param {Schedule} schedule @param {number} t @param {number} s
   *  @param {string} variance */
  const ancestralCoefficients = (schedule, t, s, variance) => {
    const { alphaBar } = schedule;
    const alpha = alphaBar[t] / alphaBar[s];
    const onX0 = ((1 - alpha) * Math.sqrt(alphaBar[s])) / (1 - alphaBar[t]);
    const onXt = ((1 - alphaBar[s]) * Math.sqrt(alpha)) / (1 - alphaBar[t]);
    return [onXt, onX0, Math.sqrt(stepVariance(schedule, t, s, variance))];
  };

  /** The same of the DDIM step. @param {Schedule} schedule @param {number} t
   *  @param {number} s @param {number} eta the share of new noise, in [0, 1] */
  const ddimCoefficients = (schedule, t, s, eta) => {
    const { alphaBar } = schedule;
    const variance = eta ** 2 * stepVariance(schedule, t, s, "beta_tilde");
    const onXt = Math.sqrt((1 - alphaBar[s] - variance) / (1 - alphaBar[t]));
    const onX0 = Math.sqrt(alphaBar[s]) - onXt * Math.sqrt(alphaBar[t]);
    return [onXt, onX0, Math.sqrt(variance)];
  };

  /** @param {number[]} coefficients @param {Float64Array} xt @param {Float64Array} x0Hat
   *  @param {Float64Array} z */
  const linearStep = ([onXt, onX0, sigma], xt, x0Hat, z) =>
    xt.map((x, i) => onXt * x + onX0 * x0Hat[i] + sigma * z[i]);

  /** A draw from p_θ(x_s | x_t). @param {string} variance @returns {Step} */
  const ancestralStep =
    (variance = "beta") =>
    (schedule, xt, x0Hat, t, s, z) =>
      linearStep(ancestralCoefficients(schedule, t, s, variance), xt, x0Hat, z);

  /** To x_s along the noise that x_t already has. @param {number} eta @returns {Step} */
  const ddimStep =
    (eta = 0) =>
    (schedule, xt, x0Hat, t, s, z) =>
      linearStep(ddimCoefficients(schedule, t, s, eta), xt, x0Hat, z);

  /** The whole number nearest to x, halves to the even one, as in Python.
   *  @param {number} x */
  const round = (x) => {
    const low = Math.floor(x);
    return x - low === 0.5 ? low + (low % 2) : Math.round(x);
  };

  /** T, …, 0 in steps of nearly equal length. @param {number} T @param {number} steps */
  const sparseTimes = (T, steps) =>
    Array.from({ length: steps + 1 }, (_, k) => round((T * (steps - k)) / steps));

  /** The chain from x_T back to data, state by state: yields x_s, then waits.
   *  @param {Denoise} denoiser @param {Schedule} schedule @param {Float64Array} xT
   *  @param {{step: Step, times: number[], noise: (i: number) => Float64Array}} options
   *    `noise(i)` is z of step i; the last step adds none
   *  @returns {Generator<Float64Array, void>} */
  const reverseProcess = function* (denoiser, schedule, xT, { step, times, noise }) {
    let x = xT;
    for (let i = 0; i + 1 < times.length; i++) {
      const [t, s] = [times[i], times[i + 1]];
      const z = s > 0 ? noise(i) : new Float64Array(x.length);
      x = step(schedule, x, denoiser(x, t), t, s, z);
      yield x;
    }
  };

  return { ancestralStep, ddimStep, sparseTimes, reverseProcess };
})();
