/* The density that guided samples are often said to have, q(x_0) p(y | x_0)^w, on a line,
   and how far samples are from it. */
// needs: oracle data/guidance
Live.tilted = (() => {
  const { GaussianMixture } = Live.oracle;
  const { share, ...data } = Live.data.guidance;
  /** @param {{weights: number[], means: number[][], stds: number[]}} mixture */
  const made = ({ weights, means, stds }) => new GaussianMixture(weights, means, stds);
  const told = made(data.told);
  const every = made(data.every);

  const WIDTH = 0.001; // of a piece of the axis
  const axis = Float64Array.from({ length: 7001 }, (_, i) => -3 + (7 * i) / 7000);
  const clean = Live.schedules.fromBetas(new Float64Array()); // ᾱ_0 = 1 is all we need
  const logEvery = every.logProb(clean, axis, 0);
  const logLabel = told
    .logProb(clean, axis, 0)
    .map((value, i) => value + Math.log(share) - logEvery[i]);

  /** The tilted density on the axis, and n of its quantiles. @param {number} w
   *  @param {number} n */
  const tilted = (w, n) => {
    const log = logEvery.map((value, i) => value + w * logLabel[i]);
    const largest = log.reduce((a, b) => Math.max(a, b));
    const density = log.map((value) => Math.exp(value - largest));
    const total = density.reduce((a, b) => a + b);
    const quantiles = new Float64Array(n);
    let below = 0;
    for (let i = 0, found = 0; i < axis.length && found < n; i++) {
      below += density[i] / total;
      while (found < n && below >= (found + 0.5) / n) quantiles[found++] = axis[i];
    }
    return { density: density.map((d) => d / (total * WIDTH)), quantiles };
  };

  /** @param {Float64Array} x */
  const mean = (x) => x.reduce((a, b) => a + b, 0) / x.length;

  /** The standard deviation. @param {Float64Array} x */
  const width = (x) => {
    const middle = mean(x);
    const squares = x.reduce((sum, value) => sum + (value - middle) ** 2, 0);
    return Math.sqrt(squares / (x.length - 1));
  };

  /** Wasserstein's distance of two sets of equal size: how far a point has to move, on
   *  average. @param {Float64Array} x @param {Float64Array} y */
  const distance = (x, y) => {
    const sorted = y.slice().sort();
    return mean(
      x
        .slice()
        .sort()
        .map((value, i) => Math.abs(value - sorted[i])),
    );
  };

  return { told, every, axis, tilted, mean, width, distance };
})();
