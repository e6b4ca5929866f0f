/* The forward process, as in ddpm_course/forward.py, and L_T, as in bound.py. */
// needs: live schedules
Live.forward = (() => {
  /** @typedef {ReturnType<typeof Live.schedules.make>} Schedule */

  /** √ᾱ_t and √(1 − ᾱ_t). @param {Schedule} schedule @param {number} t */
  const signalAndNoise = (schedule, t) => [
    Math.sqrt(schedule.alphaBar[t]),
    Math.sqrt(1 - schedule.alphaBar[t]),
  ];

  /** All t steps at once, x_0 → x_t. @param {Schedule} schedule
   *  @param {Float64Array} x0 @param {number} t @param {Float64Array} eps */
  const qSample = (schedule, x0, t, eps) => {
    const [signal, noise] = signalAndNoise(schedule, t);
    return x0.map((x, i) => signal * x + noise * eps[i]);
  };

  /** L_T, how far x_T is from N(0, I), in nats. @param {Schedule} schedule
   *  @param {Float64Array} x0 */
  const priorKl = (schedule, x0) => {
    const abar = schedule.alphaBar[schedule.T];
    const ofPixel = (/** @type {number} */ x) =>
      (abar * x ** 2 - abar - Math.log1p(-abar)) / 2;
    return x0.reduce((sum, x) => sum + ofPixel(x), 0);
  };

  /** Nats of an image as bits a coordinate. @param {number} nats @param {number} dims */
  const bitsPerDim = (nats, dims) => nats / (dims * Math.LN2);

  return { signalAndNoise, qSample, priorKl, bitsPerDim };
})();
