/* The posterior q(x_{t−1} | x_t, x_0), as in ddpm_course/posterior.py, and the two
   densities that it is the product of. With ᾱ_0 = 1, t = 1 needs no special case. */
// needs: live schedules
Live.posterior = (() => {
  /** @typedef {ReturnType<typeof Live.schedules.make>} Schedule */
  /** @typedef {{mean: number, variance: number}} Gaussian */

  /** The coefficients of x_0 and of x_t in the mean. @param {Schedule} schedule
   *  @param {number} t */
  const meanCoefficients = ({ alpha, alphaBar }, t) => {
    const onX0 = ((1 - alpha[t]) * Math.sqrt(alphaBar[t - 1])) / (1 - alphaBar[t]);
    const onXt = ((1 - alphaBar[t - 1]) * Math.sqrt(alpha[t])) / (1 - alphaBar[t]);
    return [onX0, onXt];
  };

  /** The mean μ̃_t. @param {Schedule} schedule @param {number} x0 @param {number} xt
   *  @param {number} t */
  const mean = (schedule, x0, xt, t) => {
    const [onX0, onXt] = meanCoefficients(schedule, t);
    return onX0 * x0 + onXt * xt;
  };

  /** The variance β̃_t. @param {Schedule} schedule @param {number} t */
  const variance = ({ beta, alphaBar }, t) =>
    ((1 - alphaBar[t - 1]) / (1 - alphaBar[t])) * beta[t];

  /** q(x_{t−1} | x_0). @param {Schedule} schedule @param {number} x0 @param {number} t
   *  @returns {Gaussian} */
  const prior = ({ alphaBar }, x0, t) => ({
    mean: Math.sqrt(alphaBar[t - 1]) * x0,
    variance: 1 - alphaBar[t - 1],
  });

  /** q(x_t | x_{t−1}) as a function of x_{t−1}, up to a factor.
   *  @param {Schedule} schedule @param {number} xt @param {number} t
   *  @returns {Gaussian} */
  const likelihood = ({ alpha, beta }, xt, t) => ({
    mean: xt / Math.sqrt(alpha[t]),
    variance: beta[t] / alpha[t],
  });

  /** The density of a Gaussian. @param {Gaussian} law @param {number} x */
  const density = (law, x) =>
    Math.exp(-((x - law.mean) ** 2) / (2 * law.variance)) /
    Math.sqrt(2 * Math.PI * law.variance);

  return { meanCoefficients, mean, variance, prior, likelihood, density };
})();
