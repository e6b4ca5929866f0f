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
    const xt = new Float64Array(x0.length);
    for (let i = 0; i < xt.length; i++) xt[i] = signal * x0[i] + noise * eps[i];
    return xt;
  };

  /** L_T, how far x_T is from N(0, I), in nats. @param {Schedule} schedule
   *  @param {Float64Array} x0 */
  const priorKl = (schedule, x0) => {
    const abar = schedule.alphaBar[schedule.T];
    const squares = x0.reduce((sum, x) => sum + x ** 2, 0);
    return (abar * squares - x0.length * (abar + Math.log1p(-abar))) / 2;
  };

  /** Nats of an image as bits a coordinate. @param {number} nats @param {number} dims */
  const bitsPerDim = (nats, dims) => nats / (dims * Math.LN2);

  return { signalAndNoise, qSample, priorKl, bitsPerDim };
})();
