/* How close samples are to data, as in ddpm_course/metrics.py. Points of D coordinates lie
   one after the other. */
// needs: live oracle
Live.metrics = (() => {
  /** @typedef {InstanceType<typeof Live.oracle.GaussianMixture>} Mixture */

  /** The square of a distance. @param {ArrayLike<number>} x @param {number} i
   *  @param {ArrayLike<number>} y @param {number} j @param {number} D */
  const square = (x, i, y, j, D) => {
    let sum = 0;
    for (let d = 0; d < D; d++) sum += (x[i * D + d] - y[j * D + d]) ** 2;
    return sum;
  };

  /** E‖x − y‖. @param {Float64Array} x @param {Float64Array} y @param {number} D */
  const meanDistance = (x, y, D) => {
    const [n, m] = [x.length / D, y.length / D];
    let sum = 0;
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < m; j++) sum += Math.sqrt(square(x, i, y, j, D));
    }
    return sum / (n * m);
  };

  /** 2 E‖x − y‖ − E‖x − x'‖ − E‖y − y'‖.
   *  @param {Float64Array} x @param {Float64Array} y @param {number} D */
  const energyDistance = (x, y, D) =>
    2 * meanDistance(x, y, D) - meanDistance(x, x, D) - meanDistance(y, y, D);

  /** The standard deviation within modes, over the true one. Each point belongs to the
   *  nearest mean; its deviation is measured from the average of those that belong there.
   *  @param {Float64Array} x @param {Mixture} mixture with one width for all modes */
  const modeWidth = (x, { K, D, means, stds }) => {
    const flat = means.flat();
    const n = x.length / D;
    const count = new Float64Array(K);
    const sum = new Float64Array(K * D);
    let squares = 0;
    for (let i = 0; i < n; i++) {
      let mode = 0;
      for (let k = 1; k < K; k++) {
        if (square(x, i, flat, k, D) < square(x, i, flat, mode, D)) mode = k;
      }
      count[mode] += 1;
      for (let d = 0; d < D; d++) {
        sum[mode * D + d] += x[i * D + d];
        squares += x[i * D + d] ** 2;
      }
    }
    let free = n; // each group's average takes one
    for (let k = 0; k < K; k++) {
      if (count[k]) free -= 1;
      for (let d = 0; d < D; d++) squares -= sum[k * D + d] ** 2 / (count[k] || 1);
    }
    return Math.sqrt(squares / (free * D)) / stds[0];
  };

  /** How far each point is from the nearest of the data: root mean square over the
   *  coordinates. @param {Float64Array} x @param {Float64Array} data @param {number} D */
  const nearestDistance = (x, data, D) =>
    Float64Array.from({ length: x.length / D }, (_, i) => {
      let least = Infinity;
      for (let j = 0; j * D < data.length; j++) {
        least = Math.min(least, square(x, i, data, j, D));
      }
      return Math.sqrt(least / D);
    });

  /** How far points are from their nearest neighbors, on average: as above.
   *  @param {Float64Array} x @param {number} D */
  const neighborDistance = (x, D) => {
    const n = x.length / D;
    let sum = 0;
    for (let i = 0; i < n; i++) {
      const others = x.filter((_, at) => Math.floor(at / D) !== i);
      sum += nearestDistance(x.subarray(i * D, (i + 1) * D), others, D)[0];
    }
    return sum / n;
  };

  return { energyDistance, meanDistance, modeWidth, nearestDistance, neighborDistance };
})();
