/* Noise schedules, as in ddpm_course/schedules.py. Time runs t = 1 … T; every array of a
   schedule has length T + 1 and is indexed by t, with the clean image at 0. */
// needs: live data/settings
Live.schedules = (() => {
  /** @typedef {{T: number, beta: Float64Array, alpha: Float64Array,
   *    alphaBar: Float64Array, snr: Float64Array}} Schedule */
  /** @typedef {Record<string, number>} Parameters named as in Python */

  /** n numbers on a straight line. @param {number} first @param {number} last @param {number} n */
  const linspace = (first, last, n) =>
    Float64Array.from(
      { length: n },
      (_, i) => first + ((last - first) * i) / Math.max(n - 1, 1),
    );

  /** β_t on a straight line. @param {number} T @param {Parameters} parameters */
  const linearBetas = (T, { beta_1, beta_T }) => linspace(beta_1, beta_T, T);

  /** √β_t on a straight line. @param {number} T @param {Parameters} parameters */
  const quadraticBetas = (T, { beta_1, beta_T }) =>
    linspace(Math.sqrt(beta_1), Math.sqrt(beta_T), T).map((root) => root ** 2);

  /** β_t on a logistic curve. @param {number} T @param {Parameters} parameters */
  const sigmoidBetas = (T, { beta_1, beta_T, steepness }) =>
    linspace(-steepness, steepness, T).map(
      (u) => beta_1 + (beta_T - beta_1) / (1 + Math.exp(-u)),
    );

  /** ᾱ_t on a squared cosine, before any clipping. @param {number} T @param {number} s */
  const cosineAlphaBar = (T, s) => {
    const f = (/** @type {number} */ t) =>
      Math.cos(((t / T + s) / (1 + s)) * (Math.PI / 2)) ** 2;
    return Float64Array.from({ length: T + 1 }, (_, t) => f(t) / f(0));
  };

  /** β_t = 1 − ᾱ_t / ᾱ_{t−1}. @param {Float64Array} alphaBar */
  const betasFromAlphaBar = (alphaBar) =>
    alphaBar.slice(1).map((abar, i) => 1 - abar / alphaBar[i]);

  /** β_t of the squared cosine, clipped. @param {number} T @param {Parameters} parameters */
  const cosineBetas = (T, { s, max_beta }) =>
    betasFromAlphaBar(cosineAlphaBar(T, s)).map((beta) => Math.min(beta, max_beta));

  /** The schedule with these variances. @param {Float64Array} betas β_1 … β_T
   *  @returns {Schedule} */
  const fromBetas = (betas) => {
    const beta = new Float64Array(betas.length + 1);
    beta.set(betas, 1);
    const alpha = beta.map((b) => 1 - b);
    let product = 1;
    const alphaBar = alpha.map((a) => (product *= a));
    const snr = alphaBar.map((abar) => abar / (1 - abar));
    return { T: betas.length, beta, alpha, alphaBar, snr };
  };

  const betas = {
    linear: linearBetas,
    quadratic: quadraticBetas,
    cosine: cosineBetas,
    sigmoid: sigmoidBetas,
  };

  /** The schedule of that name; parameters that are missing are those of Python.
   *  @param {string} name @param {number} T @param {Parameters} parameters */
  const make = (name, T = Live.data.settings.T, parameters = {}) => {
    const key = /** @type {keyof typeof betas} */ (name);
    return fromBetas(
      betas[key](T, { ...Live.data.settings.schedules[key], ...parameters }),
    );
  };

  /** Their names on the page. */
  const titles = Object.fromEntries(Object.keys(betas).map((name) => [name, name]));

  return { fromBetas, make, titles };
})();
